"""
Single flight: callers who want the same thing at the same time share one call.

Rules
-----
1. At most one call is under way for each key. One call may serve several keys, in a round: each key's callers get
   their result as soon as the call has it.
2. A call belongs to none of its waiters: cancelling one, the first included, harms neither the call nor the others.
3. Nothing is remembered: once a key has its result, the next call for it is a new one.
4. A waiter whose call is cancelled gets an error, not a cancellation, unless `aclose` cancelled the call.
5. Every task started here is awaited or cancelled here, by `aclose`.
"""

import asyncio
import functools
from collections.abc import Callable, Coroutine, Hashable, Iterable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class CallLost(Exception):
    """The call ended without a result for this key, though `aclose` did not end it."""


class SingleFlight(Generic[K, V]):
    """The calls under way, by key."""

    def __init__(self) -> None:
        self._flights: dict[K, asyncio.Future[V]] = {}
        self._rounds: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def __contains__(self, key: K) -> bool:
        flight = self._flights.get(key)
        return flight is not None and not flight.done()

    def start(self, key: K, call: Callable[[], Coroutine[Any, Any, V]]) -> "asyncio.Future[V]":
        """
        Return the call under way for `key`; start `call` if there is none.

        To wait for it, use `wait`: awaiting the future itself would pass a waiter's cancellation on to the call.
        """
        flight = self._flights.get(key)
        if flight is None or flight.done():
            flight = self._flights[key] = asyncio.get_running_loop().create_task(call())
            flight.add_done_callback(functools.partial(self._remove, key))
        return flight

    def start_round(
        self, keys: Iterable[K], call: "Callable[[dict[K, asyncio.Future[V]]], Coroutine[Any, Any, None]]"
    ) -> None:
        """
        Start one call for `keys`, none of which has a call under way.

        `call` gets a future for each key, and sets each one's result as soon as it is known. A key without a result
        when `call` has ended is lost.
        """
        loop = asyncio.get_running_loop()
        flights: dict[K, asyncio.Future[V]] = {key: loop.create_future() for key in keys}
        # First the task: if creating it fails, no caller may be left waiting for its futures.
        task = loop.create_task(call(flights))
        self._rounds.add(task)
        task.add_done_callback(self._rounds.discard)
        # Not in the task itself: one that is cancelled before its first step never runs.
        task.add_done_callback(lambda _: [flight.cancel() for flight in flights.values()])
        for key, flight in flights.items():
            self._flights[key] = flight
            flight.add_done_callback(functools.partial(self._remove, key))

    def _remove(self, key: K, flight: "asyncio.Future[V]") -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if not flight.cancelled():
            # Every waiter may have gone; without this, asyncio would log the exception as never retrieved.
            flight.exception()

    async def join(self, key: K, call: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """Return what the call under way for `key` returns, as `wait` does; start `call` if there is none."""
        self.start(key, call)
        return await self.wait(key)

    async def wait(self, key: K) -> V:
        """
        Return what the call under way for `key` returns, and raise what it raises.

        Raises:
            CallLost: The call was cancelled, or ended without a result for this key.
            KeyError: No call is under way for `key`.
        """
        flight = self._flights[key]
        try:
            return await asyncio.shield(flight)
        except asyncio.CancelledError:
            waiter = asyncio.current_task()
            if flight.cancelled() and not self._is_closed and waiter is not None and not waiter.cancelling():
                raise CallLost from None
            raise

    async def settle(self, keys: Iterable[K]) -> None:
        """Wait until the calls under way for `keys` have ended, however they end."""
        flights = [self._flights[key] for key in keys if key in self._flights]
        if flights:
            await asyncio.wait(flights)

    async def aclose(self) -> None:
        """Cancel every call under way and wait until all have ended."""
        self._is_closed = True
        under_way: list[asyncio.Future[Any]] = [*self._rounds, *self._flights.values()]
        for future in under_way:
            future.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
