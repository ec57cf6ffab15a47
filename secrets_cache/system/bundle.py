"""
The modules that a start imports, from one file: to search and read two hundred takes as long as to run them.

The layer's build writes the file (`tools/layer/bundle.py`): of each module where it is, and its byte code. All of them
are there as well, and come from there where there is no such file.
"""

import contextlib
import marshal
import mmap
import os
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from types import ModuleType


@contextlib.contextmanager
def imported_from(file: str) -> Iterator[None]:
    """While the context lasts, import from the file what it has; not if it is damaged, or of another Python."""
    try:
        with open(file, "rb") as opened:  # noqa: PTH123 - no pathlib on the start path
            data = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        version, index = marshal.loads(data)  # noqa: S302 - as trusted as the byte code beside it
    except (OSError, ValueError, EOFError, TypeError):
        version, index = 0, {}
    if version != sys.hexversion:
        yield
        return
    with data, memoryview(data) as view:
        finder = _Bundle(os.path.dirname(file), index, view)  # noqa: PTH120 - no pathlib on the start path
        sys.meta_path.insert(0, finder)
        try:
            yield
        finally:
            sys.meta_path.remove(finder)


class _Bundle:
    """
    A finder and loader of modules (https://docs.python.org/3/library/importlib.html).

    Args:
        folder: What the places of the modules are relative to.
        index: By name, the place, how far before the end of the data the code begins, and how long it is.
        data: Whatever it begins with, then the code of the modules.
    """

    def __init__(self, folder: str, index: dict[str, tuple[str, int, int]], data: memoryview) -> None:
        self._folder = folder
        self._index = index
        self._data = data

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        """Return where a module comes from; None to let other finders say."""
        if name not in self._index:
            return None
        place = f"{self._folder}/{self._index[name][0]}"
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
        _, begin, size = self._index[module.__name__]
        code = marshal.loads(self._data[len(self._data) - begin :][:size])  # noqa: S302 - as above
        exec(code, module.__dict__)  # noqa: S102 - what an import is
