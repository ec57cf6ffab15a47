"""
Write the byte code of the modules that a start imports into one file, which `secrets_cache.system.bundle` reads.

    bundle.py PRIVATE-FOLDER

Run by the interpreter that is bundled. It imports from the tree alone what an extension imports at its start.
"""

import marshal
import os
import sys
from importlib.machinery import SourcelessFileLoader

FILE = "start.bundle"


def main(private: str) -> None:
    """Write the file."""
    library = f"{private}/lib/python{sys.version_info.major}.{sys.version_info.minor}"
    sys.path[:] = [library, f"{library}/lib-dynload", f"{private}/packages"]
    # What these import is there before the file is read.
    from secrets_cache.extension import start  # noqa: F401
    from secrets_cache.system import bundle  # noqa: F401

    before = set(sys.modules)
    import_as_a_start_does()
    places: dict[str, str] = {}
    codes: dict[str, bytes] = {}
    for name in sorted(set(sys.modules) - before):
        spec = getattr(sys.modules[name], "__spec__", None)
        # Neither those of the interpreter itself nor the package asyncio, of which a start uses modules alone.
        if spec and isinstance(spec.loader, SourcelessFileLoader) and spec.origin and name != "asyncio":
            with open(spec.origin, "rb") as file:  # noqa: PTH123
                # The code follows a head (PEP 552).
                places[name], codes[name] = os.path.relpath(spec.origin, private), file.read()[16:]
    left = sum(map(len, codes.values()))
    index: dict[str, tuple[str, int, int]] = {}
    for name, code in codes.items():
        index[name] = places[name], left, len(code)
        left -= len(code)
    with open(f"{private}/{FILE}", "wb") as file:  # noqa: PTH123
        file.write(marshal.dumps((sys.hexversion, index)) + b"".join(codes.values()))


def import_as_a_start_does() -> None:
    """Import what an extension imports after its registration, or an exec wrapper that fetches secrets itself."""
    from secrets_cache.config import environment  # noqa: F401
    from secrets_cache.system import light_asyncio

    light_asyncio.install()
    from secrets_cache.extension import fallback, lifecycle  # noqa: F401
    from secrets_cache.variables import standalone  # noqa: F401


if __name__ == "__main__":
    # Not with pathlib, which imports what a start imports as well: it would not be found to be missing.
    main(sys.argv[1])
