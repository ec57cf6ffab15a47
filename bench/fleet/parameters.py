"""Parameter Store behind the core, ten parameters a call. Planned: the product's cache does not read parameters yet."""

import asyncio
from collections.abc import Callable, Sequence

from bench.fleet.aws import Account, Operation
from secrets_cache.attempts import within_budget
from secrets_cache.clock import Clock
from secrets_cache.errors import SecretError, SecretTimeout
from secrets_cache.secret import Ref, Secret

# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html
PARAMETERS_A_CALL = 10


class Parameters:
    """
    A source of the core's: GetParameters for everything, with the product's own attempts.

    Args:
        account: Who is asked.
        budget_seconds: For one call, all attempts together.
        clock: What time it is.
        random: Chance, from 0 to 1.
        is_higher: Whether the account has Parameter Store's higher throughput.
    """

    def __init__(
        self, account: Account, budget_seconds: float, clock: Clock, random: Callable[[], float], *, is_higher: bool
    ) -> None:
        self._account = account
        self._budget_seconds = budget_seconds
        self._clock = clock
        self._random = random
        self._operation = Operation.GET_PARAMETERS_HIGHER if is_higher else Operation.GET_PARAMETERS

    async def fetch(self, ref: Ref) -> Secret:
        """Return one parameter."""
        await self._call(ref.secret_id)
        return _parameter(ref)

    async def fetch_many(self, refs: Sequence[Ref], deliver: Callable[[Ref, Secret | SecretError], None]) -> None:
        """Call `deliver` once for each."""
        calls = [refs[start : start + PARAMETERS_A_CALL] for start in range(0, len(refs), PARAMETERS_A_CALL)]
        await asyncio.gather(*(self._deliver(chunk, deliver) for chunk in calls))

    async def _deliver(self, refs: Sequence[Ref], deliver: Callable[[Ref, Secret | SecretError], None]) -> None:
        try:
            await self._call(refs[0].secret_id)
        except SecretError as error:
            for ref in refs:
                deliver(ref, error)
        else:
            for ref in refs:
                deliver(ref, _parameter(ref))

    async def _call(self, name: str) -> None:
        async def attempt() -> None:
            await self._account.ask(self._operation, name)

        try:
            await within_budget(attempt, budget_seconds=self._budget_seconds, clock=self._clock, random=self._random)
        except TimeoutError:
            raise SecretTimeout(name, budget_seconds=self._budget_seconds) from None


def _parameter(ref: Ref) -> Secret:
    return Secret(f"arn:{ref.secret_id}", ref.secret_id, "1", None, b"simulated", is_text=True)
