"""
asyncio without what only other programs need, which takes half of the time of its import.

    install() -> import asyncio -> asyncio.Event, from asyncio.locks -> asyncio.TaskGroup: the whole package

Rules
-----
1. Its own modules are used as they are. Only the package's `__init__`, which imports all of them, runs later: when a
   name is used that is not in `HOMES`, as the libraries do.
2. What asyncio imports to show errors, with Python 3.14 also `dataclasses`, `ast`, `dis` and `tokenize`, and to start
   processes, is imported when it is first used.
"""

import sys
from _thread import RLock
from collections.abc import Mapping
from importlib.machinery import ModuleSpec, PathFinder
from types import FunctionType, ModuleType
from typing import Any

# Of the names that this package uses: the modules that define them.
HOMES = {
    "exceptions": ("CancelledError",),
    "events": ("TimerHandle", "get_running_loop"),
    "futures": ("Future", "wrap_future"),
    "locks": ("Event", "Lock", "Semaphore"),
    "protocols": ("Protocol",),
    "queues": ("Queue",),
    "tasks": ("Task", "create_task", "current_task", "gather", "shield", "sleep", "wait"),
    "timeouts": ("timeout", "timeout_at"),
    "transports": ("BaseTransport", "Transport"),
    "unix_events": ("SelectorEventLoop",),
}


def install() -> None:
    """Let `import asyncio` import no more than is used; without effect if it is imported already."""
    spec = PathFinder.find_spec("asyncio")
    if "asyncio" in sys.modules or spec is None:
        return
    for name, attributes in LAZY.items():
        if name not in sys.modules:
            sys.modules[name] = _LazyModule(name, attributes)
    sys.modules["asyncio"] = _Asyncio(spec)


class _LazyModule(ModuleType):
    """A module that is imported when an attribute of it is first used, but for those that are given."""

    def __init__(self, name: str, attributes: Mapping[str, object]) -> None:
        super().__init__(name)
        vars(self).update(attributes)

    def __getattr__(self, name: str) -> object:
        return getattr(_import(self.__name__), name)


# Threads import the libraries.
_taking_away = RLock()


def _import(name: str) -> ModuleType:
    """Return a module itself, where there may be a `_LazyModule` in its place."""
    with _taking_away:
        if isinstance(sys.modules.get(name), _LazyModule):
            del sys.modules[name]
    # Not importlib.import_module: `-X importtime` does not see it.
    return __import__(name, fromlist=["*"])


def _extract_stack(*args: Any, **kwargs: Any) -> object:  # noqa: ANN401 - as it is called
    return _import("traceback").extract_stack(*args, **kwargs)


def _unwrap(function: object, **kwargs: Any) -> object:  # noqa: ANN401 - as it is called
    wraps = kwargs or hasattr(function, "__wrapped__")
    return _import("inspect").unwrap(function, **kwargs) if wraps else function


def _is_function(thing: object) -> bool:
    return isinstance(thing, FunctionType)


# With the attributes that asyncio's modules read as they are imported, and those that report the failure of a callback,
# which must not fail itself for want of memory. Each does what it does in the module.
LAZY: dict[str, dict[str, object]] = {
    "inspect": {"unwrap": _unwrap, "isfunction": _is_function},
    "subprocess": {"PIPE": -1},
    "traceback": {"extract_stack": _extract_stack},
}


class _Asyncio(ModuleType):
    """The package asyncio, whose names are imported when they are first used."""

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(spec.name)
        self.__spec__, self.__loader__, self.__file__ = spec, spec.loader, spec.origin
        self.__package__, self.__path__ = spec.name, spec.submodule_search_locations or []
        self._homes = {name: module for module, names in HOMES.items() for name in names}

    def __getattr__(self, name: str) -> object:
        if name.startswith("__") and name != "__all__":
            raise AttributeError(name)
        if name in self._homes:
            value = getattr(_import(f"asyncio.{self._homes[name]}"), name)
        elif PathFinder.find_spec(f"asyncio.{name}", self.__path__):
            value = _import(f"asyncio.{name}")
        else:
            assert self.__spec__ is not None and self.__spec__.loader is not None  # noqa: PT018, S101 - from `install`
            self.__spec__.loader.exec_module(self)
            # Not before: meanwhile, another thread may need a name.
            self.__class__ = ModuleType  # type: ignore[assignment]
            return getattr(self, name)
        setattr(self, name, value)
        return value
