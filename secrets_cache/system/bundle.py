"""
The modules that a start imports, from one file: to search and read two hundred takes as long as to run them.

The layer's build writes the file (`tools/layer/bundle.py`): of each module where it is, and its byte code. All of them
are there as well, and come from there where there is no such file.
"""

import marshal
import mmap
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType


class Bundle:
    """
    A finder and loader of modules (https://docs.python.org/3/library/importlib.html), used while its context lasts.

    Args:
        file: The file's path. One that is missing, damaged, or of another Python has no modules.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self._data: mmap.mmap | None = None
        # By name, where the module is, how far before the end of the data its code begins, and how long that is.
        self._index: dict[str, tuple[str, int, int]] = {}

    def __enter__(self) -> None:
        """Import from the file from now on."""
        try:
            with open(self._file, "rb") as opened:  # noqa: PTH123 - no pathlib on the start path
                self._data = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
            version, index = marshal.loads(self._data)  # noqa: S302 - as trusted as the byte code next to it
        except (OSError, ValueError, EOFError, TypeError):
            return
        if version == sys.hexversion:
            self._index = index
            sys.meta_path.insert(0, self)

    def __exit__(self, *_: object) -> None:
        """Import from nothing but the modules' places again."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        # The modules that it has loaded refer to this object.
        self._index = {}
        if self._data is not None:
            self._data.close()

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        """Return where a module comes from; None to let other finders say."""
        if name not in self._index:
            return None
        place = f"{self._file.rpartition('/')[0]}/{self._index[name][0]}"
        folder, _, file = place.rpartition("/")
        spec = ModuleSpec(name, self, origin=place)  # type: ignore[arg-type]  # a loader by its methods
        spec.has_location = True
        if file.startswith("__init__."):
            spec.submodule_search_locations = [folder]
        return spec

    def create_module(self, _spec: ModuleSpec) -> None:
        """Let the import system create the module."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code."""
        assert self._data is not None  # noqa: S101 - it was found
        _, left, size = self._index[module.__name__]
        begin = len(self._data) - left
        with memoryview(self._data) as view, view[begin : begin + size] as part:
            code = marshal.loads(part)  # noqa: S302 - as above
        exec(code, module.__dict__)  # noqa: S102 - what an import is
