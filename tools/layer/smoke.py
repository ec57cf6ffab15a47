"""
Import every module of a built tree, and load every shared object of it. Standard library only.

    smoke.py PRIVATE-FOLDER

Run by the tree's own interpreter. Prints what could not be imported or loaded, a line each, and last what was.
"""

import contextlib
import ctypes
import importlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path

# What the command line and /metrics use where it is installed; the layer goes without.
LEFT_OUT = {"prometheus_client", "rich", "shtab"}


def modules_below(folder: Path) -> Iterator[str]:
    """Yield the dotted names of the modules below a folder of `sys.path`; programs (`__main__`) are none."""
    for path in folder.rglob("*"):
        *parents, name = path.relative_to(folder).parts
        name = name.partition(".")[0]
        if path.suffix in {".pyc", ".so"} and name != "__main__" and all(part.isidentifier() for part in parents):
            yield ".".join(parents if name == "__init__" else [*parents, name])


def main(private: Path) -> int:
    """Return the exit code."""
    sys.path.append(str(private / "packages"))
    places = [Path(place) for place in sys.path]
    failed = [f"sys.path has {place}, outside of the layer" for place in places if private not in place.parents]
    names = {*sys.builtin_module_names, *(name for place in places for name in modules_below(place))}
    for name in sorted(names):
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                importlib.import_module(name)
        except BaseException as error:  # noqa: BLE001 - an import may even exit
            if isinstance(error, ModuleNotFoundError) and str(error.name).partition(".")[0] in LEFT_OUT:
                continue
            failed.append(f"{name} cannot be imported: {type(error).__name__}: {error}")
    shared = [path for path in private.rglob("*") if ".so" in path.suffixes]
    for path in shared:
        try:
            ctypes.CDLL(str(path))
        except OSError as error:
            failed.append(f"{path.name} cannot be loaded: {error}")
    print(*failed, f"{len(names)} modules imported, {len(shared)} shared objects loaded", sep="\n")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
