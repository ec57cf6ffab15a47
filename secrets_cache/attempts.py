"""
Trying again, within a budget.

Rules
-----
1. All attempts together stay within the budget: an attempt that would begin after its end is not made.
2. Time spent frozen is nobody's fault. An attempt that was frozen is made again at once, with the whole budget.
3. What is worth another attempt, and whether at once or after a pause, is said by whoever failed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from secrets_cache.clock import Clock, elapsed
from secrets_cache.errors import SecretTimeout, SecretUnavailable

T = TypeVar("T")

MAX_ATTEMPTS = 3
MAX_THAWS = 3
PAUSE_SECONDS = 0.1
# A timer that fires this much too late did not run in between.
FROZEN_SECONDS = 1.0


class Passing(Exception):
    """
    An attempt failed in a way that may pass.

    Attributes:
        error: What the caller gets if there is no further attempt.
        at_once: Whether the next attempt needs no pause: the upstream is well, only the connection or the
            signature was too old.
    """

    def __init__(self, error: SecretUnavailable, *, at_once: bool = False) -> None:
        super().__init__(error)
        self.error = error
        self.at_once = at_once


async def within_budget(
    attempt: Callable[[], Awaitable[T]],
    *,
    name: str,
    budget_seconds: float,
    clock: Clock,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> T:
    """
    Return what `attempt` returns, making it up to three times in all.

    Raises:
        SecretTimeout: The budget is used up.
        SecretUnavailable: The last attempt failed for a reason that may pass.
    """
    began, failed, thaws = clock.now(), 0, 0
    while True:
        left = budget_seconds - elapsed(began, clock.now()).seconds
        sent = clock.now()
        try:
            async with asyncio.timeout(left):
                return await attempt()
        except (Passing, TimeoutError) as reason:
            took = elapsed(sent, clock.now())
            if (took.backwards or took.seconds > left + FROZEN_SECONDS) and thaws < MAX_THAWS:
                began, thaws = clock.now(), thaws + 1
                continue
            if not isinstance(reason, Passing):
                raise SecretTimeout(name, budget_seconds=budget_seconds) from None
            failed += 1
            pause = 0.0 if reason.at_once else PAUSE_SECONDS * 2 ** (failed - 1)
            if failed >= MAX_ATTEMPTS or elapsed(began, clock.now()).seconds + pause >= budget_seconds:
                raise reason.error from None
            await sleep(pause)
