"""
What breaks a process from within. A child that imports this, before the extension, can make any call or import raise.

It patches what is not ours: the standard library and other packages, as a machine that is out of something would.
"""

import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

# As `fakes` has it, which imports what is to be broken.
CANARY = "CANARY-9f3c"
FOR_EVER = 1_000_000_000


def call_raises(target: str, error: BaseException, *, first: int = 1, times: int = FOR_EVER) -> None:
    """Let "module:function", or "module:Class.method", raise at its call number `first`, and at `times` in all."""
    module, _, path = target.partition(":")
    _once_there(module, lambda loaded: _replace(loaded, path, _Counted(error, first, times)))


def import_raises(module: str, error: BaseException, *, times: int = FOR_EVER) -> None:
    """Let the import of a module raise so often."""
    count = _Counted(error, 1, times)
    _Finder.install().refused[module] = count
    sys.modules.pop(module, None)


def enomem() -> OSError:
    """Return what the system says when there is no memory; with something in it that must not show."""
    return OSError(12, "Cannot allocate memory", CANARY)


def emfile() -> OSError:
    """Return what the system says when there is no descriptor."""
    return OSError(24, "Too many open files", CANARY)


def standard_output(kind: str) -> None:
    """Let standard output be "full", a disk without room; "unread", a pipe that nobody empties; or "broken", a pipe."""
    if kind == "full":
        os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while kind == "unread":
            os.write(writing, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writing, True)
    os.dup2(writing, 1)
    os.close(writing)
    if kind == "broken":
        os.close(reading)


class _Counted:
    """Raises at some of its calls."""

    def __init__(self, error: BaseException, first: int, times: int) -> None:
        self._error = error
        self._range = range(first, first + times)
        self._calls = 0

    def __call__(self) -> None:
        self._calls += 1
        if self._calls in self._range:
            raise self._error.with_traceback(None)


def _replace(module: ModuleType, path: str, count: _Counted) -> None:
    *parents, name = path.split(".")
    owner: Any = module
    for parent in parents:
        owner = getattr(owner, parent)
    original = getattr(owner, name)

    def replaced(*arguments: Any, **named: Any) -> Any:
        count()
        return original(*arguments, **named)

    setattr(owner, name, replaced)


def _once_there(name: str, act: Callable[[ModuleType], None]) -> None:
    if name in sys.modules:
        act(sys.modules[name])
    else:
        _Finder.install().awaited.setdefault(name, []).append(act)


class _Finder:
    """Stands before all other finders of modules."""

    def __init__(self) -> None:
        self.refused: dict[str, _Counted] = {}
        self.awaited: dict[str, list[Callable[[ModuleType], None]]] = {}

    @classmethod
    def install(cls) -> "_Finder":
        """Return the one that is there, put there if it was not."""
        first = sys.meta_path[0]
        if not isinstance(first, cls):
            first = cls()
            sys.meta_path.insert(0, first)
        return first

    def find_spec(self, name: str, _: Sequence[str] | None = None, __: ModuleType | None = None) -> ModuleSpec | None:
        """Refuse a module, or find it and act on it once it is loaded."""
        if name in self.refused:
            self.refused[name]()
        acts = self.awaited.pop(name, None)
        if acts is None:
            return None
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        execute = spec.loader.exec_module

        def execute_and_act(module: ModuleType) -> None:
            execute(module)
            for act in acts:
                act(module)

        spec.loader.exec_module = execute_and_act  # type: ignore[method-assign]
        return spec
