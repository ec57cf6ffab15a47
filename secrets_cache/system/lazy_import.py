"""
An object whose module is imported when the object is first needed.

Rules
-----
1. The import runs in a thread: it may take seconds on a share of a core, and other callers are answered meanwhile.
2. Callers who need the object at the same time share one import. One that fails is tried again by the next caller.
"""

import asyncio
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Generic, TypeVar

from secrets_cache.core.single_flight import SingleFlight

T = TypeVar("T")


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
        module = await asyncio.to_thread(importlib.import_module, self._module)
        self.created = self._create(module)
        return self.created
