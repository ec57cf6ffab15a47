"""
Retries within a time budget.

Rules
-----
1. All attempts together stay within the budget. No attempt begins after its end.
2. Time during which the process was frozen does not count: a heartbeat distinguishes it from waiting. An attempt
   that was frozen gets a short grace, since its answer may have arrived; then it is made again with the whole budget.
3. The attempt decides, by raising `RetryableError`, whether another one makes sense, and whether at once.
4. A throttled attempt is followed by a longer pause, so that a fleet does not keep its own storm going.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from secrets_cache.core.clock import Clock, Elapsed, Instant, elapsed
from secrets_cache.errors import SecretUnavailable

T = TypeVar("T")

MAX_ATTEMPTS = 3
MAX_THAWS = 3
PAUSE_SECONDS = 0.1
# Measured in docs/adr/0011-throttled.md. Of a small budget a share, so that there is room for all attempts.
THROTTLED_PAUSE_SECONDS = 1.0
THROTTLED_PAUSE_SHARE = 0.2
HEARTBEAT_SECONDS = 0.25
# A heartbeat that comes this much too late did not run in between.
FROZEN_SECONDS = 0.75
# How long an attempt that was frozen may take to end well.
GRACE_SECONDS = 0.5


class RetryableError(Exception):
    """
    An attempt failed in a way that may pass.

    Attributes:
        error: The error for the caller if there is no further attempt.
        at_once: Whether the next attempt needs no pause: the upstream works, only the connection or the signature was
            too old.
    """

    def __init__(self, error: SecretUnavailable, *, at_once: bool = False) -> None:
        super().__init__(error)
        self.error = error
        self.at_once = at_once

    def pause_seconds(self, failed: int, budget_seconds: float, random: Callable[[], float]) -> float:
        """Return the pause after the attempt number `failed`: doubled each time, a quarter more or less at random."""
        if self.at_once:
            return 0.0
        shortest = min(THROTTLED_PAUSE_SECONDS, budget_seconds * THROTTLED_PAUSE_SHARE)
        base = shortest if self.error.is_throttled else PAUSE_SECONDS
        return base * math.ldexp(0.75 + random() / 2, failed - 1)


async def retry_within_budget(
    attempt: Callable[[], Coroutine[Any, Any, T]],
    *,
    budget_seconds: float,
    clock: Clock,
    random: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> T:
    """
    Return what `attempt` returns, after up to three attempts; those that a freeze interrupted do not count.

    `attempt` raises `RetryableError` if another attempt makes sense; any other error ends the retries. The pauses count
    against the budget, and `random`, which returns a number from 0 to 1, spreads them.

    Raises:
        TimeoutError: The budget is used up.
        SecretUnavailable: The last attempt raised `RetryableError`; this is its `error`.
    """
    left, failed, thaws = budget_seconds, 0, 0
    while True:
        task = asyncio.get_running_loop().create_task(attempt())
        spent_seconds, was_frozen = 0.0, False
        try:
            spent_seconds, was_frozen = await _wait_for(task, left, clock)
            return _read_result(task)
        except (RetryableError, TimeoutError) as reason:
            if was_frozen and thaws < MAX_THAWS:
                left, thaws = budget_seconds, thaws + 1
                continue
            if not isinstance(reason, RetryableError):
                raise
            failed += 1
            pause = reason.pause_seconds(failed, budget_seconds, random)
            left -= spent_seconds + pause
            if failed >= MAX_ATTEMPTS or left <= 0:
                raise reason.error from None
            await sleep(pause)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _wait_for(task: "asyncio.Task[T]", budget_seconds: float, clock: Clock) -> tuple[float, bool]:
    """
    Wait until an attempt has ended, or the budget is used up, or, once frozen, the grace.

    Return the seconds that count, at most two heartbeats of a freeze among them, and whether the process was frozen
    meanwhile. A wall clock that went back looks the same.
    """
    spent_seconds, was_frozen = 0.0, False
    while not task.done() and spent_seconds < budget_seconds and not was_frozen:
        pause, began = min(HEARTBEAT_SECONDS, budget_seconds - spent_seconds), clock.now()
        await asyncio.wait({task}, timeout=pause)
        took = elapsed(began, clock.now())
        was_frozen = _was_frozen(took, pause)
        spent_seconds += min(took.seconds, pause + HEARTBEAT_SECONDS)
    if was_frozen:
        await asyncio.wait({task}, timeout=GRACE_SECONDS)
    return spent_seconds, was_frozen


def _read_result(task: "asyncio.Task[T]") -> T:
    if not task.done():
        raise TimeoutError
    try:
        return task.result()
    except (asyncio.CancelledError, SystemExit, KeyboardInterrupt) as error:
        # It was not cancelled from here, and no attempt may end the process: it is an error like any other.
        raise RuntimeError(type(error).__name__) from None


def _was_frozen(took: Elapsed, planned_seconds: float) -> bool:
    return took.backwards or took.seconds > planned_seconds + FROZEN_SECONDS


@contextlib.asynccontextmanager
async def timeout_unless_frozen(seconds: float, clock: Clock) -> AsyncIterator[None]:
    """Raise TimeoutError after `seconds`, as asyncio.timeout does; after a freeze, they begin anew."""
    loop = asyncio.get_running_loop()
    left = seconds
    timer: asyncio.TimerHandle

    def wait() -> asyncio.TimerHandle:
        pause = min(HEARTBEAT_SECONDS, left)
        return loop.call_later(pause, beat, clock.now(), pause)

    def beat(began: Instant, pause: float) -> None:
        nonlocal left, timer
        took = elapsed(began, clock.now())
        left = seconds if _was_frozen(took, pause) else left - max(took.seconds, pause)
        if left > 0:
            timer = wait()
        else:
            limit.reschedule(loop.time())

    timer = wait()
    async with asyncio.timeout(None) as limit:
        try:
            yield
        finally:
            timer.cancel()
