"""
Single flight: callers who want the same thing at the same time share one call.

Rules
-----
1. At most one call is under way for each key.
2. A call belongs to nobody who waits for it: a waiter that is cancelled, the first included, harms neither the
   call nor the other waiters.
3. Nothing is remembered: once a call has ended, the next one is a new one.
4. A call that was cancelled by nobody here is an error to who waited for it, not a cancellation of theirs.
5. Every call started here is awaited or cancelled here, by `aclose`.
"""

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Iterable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class CallLost(Exception):
    """A call was cancelled, and nobody who waits for it was."""


class SingleFlight(Generic[K, V]):
    """The calls under way, by key."""

    def __init__(self) -> None:
        self._tasks: dict[K, asyncio.Task[V]] = {}
        self._is_closed = False

    def __contains__(self, key: K) -> bool:
        task = self._tasks.get(key)
        return task is not None and not task.done()

    def start(self, key: K, call: Callable[[], Coroutine[Any, Any, V]]) -> "asyncio.Task[V]":
        """
        Return the call under way for `key`; where there is none, start `call`.

        To wait for it, use `join`: awaiting the task itself would hand a waiter's cancellation on to it.
        """
        task = self._tasks.get(key)
        if task is None or task.done():
            task = self._tasks[key] = asyncio.get_running_loop().create_task(call())
            task.add_done_callback(lambda done: self._land(key, done))
        return task

    def _land(self, key: K, task: "asyncio.Task[V]") -> None:
        if self._tasks.get(key) is task:
            del self._tasks[key]
        if not task.cancelled():
            # Whoever waited may have gone: then nobody else looks.
            task.exception()

    async def join(self, key: K, call: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """Return what the call under way for `key` returns; where there is none, start `call`."""
        task = self.start(key, call)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            waiter = asyncio.current_task()
            if task.cancelled() and not self._is_closed and waiter is not None and not waiter.cancelling():
                raise CallLost from None
            raise

    async def settle(self, keys: Iterable[K]) -> None:
        """Wait until the calls under way for `keys` have ended, however they end."""
        tasks = [self._tasks[key] for key in keys if key in self._tasks]
        if tasks:
            await asyncio.wait(tasks)

    async def aclose(self) -> None:
        """Cancel every call under way and wait until all have ended."""
        self._is_closed = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
