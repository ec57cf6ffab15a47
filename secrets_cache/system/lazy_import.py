"""
An object whose module is imported when the object is first needed.

Rules
-----
1. The import runs in a thread: it may take seconds on a share of a core, and other callers are answered meanwhile.
2. Callers who need the object at the same time share one import. One that fails is tried again by the next caller.
3. A thread that dies without a word, as where its memory runs out, is a failure: nobody waits for it for ever.
"""

import asyncio
import importlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import ModuleType
from typing import Generic, TypeVar

from secrets_cache.core.single_flight import SingleFlight

T = TypeVar("T")

# How often a thread is looked after.
CHECK_SECONDS = 0.5


class LazyImport(Generic[T]):
    """
    One object, created from a module that is imported when `get` is first called.

    Args:
        module: The module's full name.
        create: Returns the object, given the module. Called once.

    Attributes:
        created: The object; None before the first `get` has returned.
    """

    def __init__(self, module: str, create: Callable[[ModuleType], T]) -> None:
        self.created: T | None = None
        self._module = module
        self._create = create
        self._importing: SingleFlight[str, T] = SingleFlight()

    async def get(self) -> T:
        """Return the object. Raises what the import, or creating the object, raises."""
        if self.created is None:
            return await self._importing.join(self._module, self._import)
        return self.created

    async def aclose(self) -> None:
        """Stop waiting for an import under way. The object stays open: closing it is up to the owner."""
        await self._importing.aclose()

    async def _import(self) -> T:
        module = await _import_in_thread(self._module)
        self.created = self._create(module)
        return self.created


async def _import_in_thread(name: str) -> ModuleType:
    """Return a module, as `importlib.import_module` does."""
    future: Future[ModuleType] = Future()
    # From now on nobody can cancel it: the import goes on.
    future.set_running_or_notify_cancel()

    def work() -> None:
        try:
            future.set_result(importlib.import_module(name))
        except BaseException as error:  # noqa: BLE001 - the thread that waits for the import gets it
            future.set_exception(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    found = asyncio.wrap_future(future)
    while not found.done():
        # Asked before the wait: what a thread leaves behind at its end has arrived after it.
        is_alive = thread.is_alive()
        await asyncio.wait({found}, timeout=CHECK_SECONDS)
        if not found.done() and not is_alive:
            raise MemoryError
    return found.result()
