"""Taking turns: so many calls to AWS at once, each with its whole budget once it is its turn."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from secrets_cache.core.clock import Clock
from secrets_cache.core.retry import retry_within_budget, timeout_awake
from secrets_cache.errors import SecretError, SecretUnavailable

T = TypeVar("T")


class Limiter:
    """
    Connections of our own, which calls take in turn.

    Args:
        most: How many calls there may be at once.
        patience_seconds: How long a call waits for its turn while AWS answers none at all.
        clock: What time it is.
        random: Chance, from 0 to 1.
    """

    def __init__(self, most: int, *, patience_seconds: float, clock: Clock, random: Callable[[], float]) -> None:
        self._slots = asyncio.Semaphore(most)
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._random = random
        self._answered = 0

    async def take(self, attempt: Callable[[], Coroutine[Any, Any, T]], budget_seconds: float) -> T:
        """
        Return what `attempt` returns within its budget, all attempts together; waiting for a turn is not part of it.

        Raises:
            TimeoutError: The budget is used up, or AWS has answered nothing for as long as patience lasts.
            SecretUnavailable: The last attempt failed for a reason that may pass.
        """
        await self._wait()
        try:
            result = await retry_within_budget(
                attempt, budget_seconds=budget_seconds, clock=self._clock, random=self._random
            )
        except SecretError as error:
            # A refusal is an answer too.
            self._answered += not isinstance(error, SecretUnavailable)
            raise
        else:
            self._answered += 1
            return result
        finally:
            self._slots.release()

    async def _wait(self) -> None:
        while True:
            answered = self._answered
            try:
                async with timeout_awake(self._patience_seconds, self._clock):
                    await self._slots.acquire()
                    return
            except TimeoutError:
                if self._answered == answered:
                    raise
