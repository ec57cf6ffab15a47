"""
An object whose module is imported when the object is first needed.

Rules
-----
1. The import runs in a thread: it may take seconds on a share of a core, and other callers are answered meanwhile.
2. Callers who need the object at the same time share one import. One that fails is tried again by the next caller.
3. A thread that dies without a word, as where its memory runs out, is a failure: nobody waits for it for ever.
"""

import asyncio
import contextlib
import importlib
import threading
from collections.abc import Callable
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
    loop = asyncio.get_running_loop()
    found: asyncio.Future[ModuleType] = loop.create_future()

    def settle(module: ModuleType | None, error: BaseException | None) -> None:
        if found.done():
            return
        if module is not None:
            found.set_result(module)
        else:
            # A future takes no StopIteration.
            found.set_exception(RuntimeError(type(error).__name__) if isinstance(error, StopIteration) else error)  # type: ignore[arg-type]

    def work() -> None:
        module, failure = None, None
        try:
            module = importlib.import_module(name)
        except BaseException as error:  # noqa: BLE001 - whoever waits for the import gets it
            failure = error
        # There may be no loop any more.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, module, failure)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while not found.done():
        # Asked before the wait: what a thread leaves behind at its end has arrived after it.
        is_alive = thread.is_alive()
        await asyncio.wait({found}, timeout=CHECK_SECONDS)
        if not found.done() and not is_alive:
            raise MemoryError
    return found.result()
