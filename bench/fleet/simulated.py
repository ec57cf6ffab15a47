"""
Time that does not pass: an event loop that jumps from one timer to the next.

Rules
-----
1. Whatever waits, waits in simulated time only: an hour of sleeping costs nothing.
2. The machine's clock is never read, so the same program gives the same result.
3. Nothing outside can wake the loop. Where nobody is due any more, waiting on is a fault, and is reported.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from secrets_cache.core.clock import Instant

T = TypeVar("T")

# What one turn of the loop takes: code that waits in tiny steps for a moment must see it come.
TURN_SECONDS = 1e-9


class _Jump(selectors.SelectSelector):
    """Instead of waiting for a file, lets the time pass that was to be waited."""

    def __init__(self, pass_time: Callable[[float], None]) -> None:
        super().__init__()
        self._pass_time = pass_time

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return at once with nothing, `timeout` later."""
        if timeout is None:
            raise RuntimeError("everybody waits, and no timer is set")
        self._pass_time(max(timeout, TURN_SECONDS))
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is simulated; it begins at 0."""

    def __init__(self) -> None:
        self._simulated_seconds = 0.0
        super().__init__(_Jump(self._pass))

    def _pass(self, seconds: float) -> None:
        self._simulated_seconds += seconds

    def time(self) -> float:
        """Return the simulated seconds since the loop was made."""
        return self._simulated_seconds


class SimulatedClock:
    """The core's clock, told by a loop: both its clocks go together."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now(self) -> Instant:
        """Read both clocks."""
        seconds = self._loop.time()
        return Instant(seconds, seconds)


def simulate(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Return what `main` returns, run in simulated time; whatever it leaves behind is cancelled."""
    loop = SimulatedLoop()
    try:
        return loop.run_until_complete(main())
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(_ended(left))
        loop.close()


async def _ended(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)
