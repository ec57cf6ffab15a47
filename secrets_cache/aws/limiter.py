"""
A bounded number of calls to AWS at once, each within its whole budget once it has begun.

Waiting for other calls to end is not part of a call's budget. A waiting call fails only if AWS answers no call
for a whole budget.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from secrets_cache.core.clock import Clock
from secrets_cache.core.retry import retry_within_budget, timeout_unless_frozen
from secrets_cache.errors import SecretError, SecretTimeout, SecretUnavailable

T = TypeVar("T")


class Limiter:
    """
    Makes at most `max_calls` calls at once; others wait for one to end.

    Args:
        max_calls: How many calls there may be at once.
        budget_seconds: The longest time for a call, all attempts together. A call that has not begun fails if AWS
            answers no call at all for this long.
        clock: Tells the time.
        random: Returns numbers between 0 and 1: spreads the pauses between attempts.
    """

    def __init__(self, max_calls: int, *, budget_seconds: float, clock: Clock, random: Callable[[], float]) -> None:
        self._slots = asyncio.Semaphore(max_calls)
        self._budget_seconds = budget_seconds
        self._clock = clock
        self._random = random
        self._answered = 0

    async def run(
        self, name: str, attempt: Callable[[], Coroutine[Any, Any, T]], budget_seconds: float | None = None
    ) -> T:
        """
        Return what `attempt` returns, making it up to three times.

        Args:
            name: The secret that an error names.
            attempt: Makes one attempt.
            budget_seconds: The time for all attempts together; None for the longest one.

        Raises:
            SecretNotFound, SecretRefused: `attempt` did.
            SecretTimeout: The budget is used up, or the call has not begun and AWS answers none. It names the longest
                budget: that is what users have set.
            SecretUnavailable: The last attempt failed for a reason that may pass.
        """
        seconds = self._budget_seconds if budget_seconds is None else budget_seconds
        try:
            # A free slot needs no timer.
            await (self._wait_for_slot() if self._slots.locked() else self._slots.acquire())
            try:
                result = await retry_within_budget(
                    attempt, budget_seconds=seconds, clock=self._clock, random=self._random
                )
            except SecretError as error:
                # A refusal is an answer too.
                self._answered += not isinstance(error, SecretUnavailable)
                raise
            finally:
                self._slots.release()
        except TimeoutError:
            raise SecretTimeout(name, budget_seconds=self._budget_seconds) from None
        self._answered += 1
        return result

    async def _wait_for_slot(self) -> None:
        while True:
            answered = self._answered
            try:
                async with timeout_unless_frozen(self._budget_seconds, self._clock):
                    await self._slots.acquire()
                    return
            except TimeoutError:
                if self._answered == answered:
                    raise
