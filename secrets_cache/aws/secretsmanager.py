"""
The source of secrets: what is asked for together or singly, and within which time.

Rules
-----
1. One secret has one budget, all attempts together; waiting for a connection of our own is not part of it.
2. Whatever a batch does not give, for any reason, is asked for singly.
3. No secret is ever taken for another one that AWS calls the same, as in two accounts.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol, Self, TypeVar

from secrets_cache.aws.errors import malformed, to_secret
from secrets_cache.aws.limiter import Limiter
from secrets_cache.core.clock import Clock, elapsed
from secrets_cache.core.retry import RetryableError
from secrets_cache.core.secret import Ref, Secret
from secrets_cache.errors import SecretError, SecretTimeout, SecretUnavailable

logger = logging.getLogger(__name__)

T = TypeVar("T")
Deliver = Callable[[Ref, Secret | SecretError], None]

# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html
BATCH_SIZE = 20
BATCH_ABOVE = 10
MAX_CONNECTIONS = 20
# Shorter than any freeze worth the name: a pooled connection dies in it, and nobody tells us.
KEEPALIVE_SECONDS = 4.0


class Calls(Protocol):
    """Whoever can make one call to a service of AWS."""

    async def call(self, operation: str, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make one call, once; return AWS's answer. Raises `SecretNotFound`, `SecretRefused` or `RetryableError`."""
        ...

    async def prepare(self) -> None:
        """Import what a call needs: on a share of a core that takes seconds, which are not AWS's. Never raises."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


class SecretsManager:
    """
    The source of secrets. An async context manager.

    Args:
        budget_seconds: For one secret, all attempts together.
        batch_above: With more secrets than this, `fetch_many` asks for them together; None for never.
        calls: Makes the calls; closed with this.
        clock: What time it is.
        random: Chance, from 0 to 1.
        max_connections: How many calls may be under way at once.
    """

    def __init__(
        self,
        *,
        budget_seconds: float,
        batch_above: int | None,
        calls: Calls,
        clock: Clock,
        random: Callable[[], float],
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._budget_seconds = budget_seconds
        self._batch_above = batch_above
        self._clock = clock
        self._calls = calls
        self._turns = Limiter(max_connections, patience_seconds=budget_seconds, clock=clock, random=random)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._calls.aclose()

    async def fetch(self, ref: Ref) -> Secret:
        """
        Return one secret, asking up to three times within the budget.

        Raises:
            SecretNotFound, SecretRefused: AWS said so.
            SecretUnavailable: AWS could not be asked, or gave no usable answer.
        """
        return await self._fetch(ref, self._budget_seconds)

    async def fetch_many(self, refs: Sequence[Ref], deliver: Deliver) -> None:
        """
        Call `deliver` once for each of `refs`, as soon as it is known.

        Above `batch_above` of them, BatchGetSecretValue is asked first, for at most half of the budget; whatever it
        does not give, for any reason, is asked for one by one in what is left.
        """
        current = [ref for ref in refs if ref.version_id is None and ref.version_stage is None]
        if self._batch_above is None or len(current) <= self._batch_above:
            current = []
        together = set(current)
        chunks = [current[start : start + BATCH_SIZE] for start in range(0, len(current), BATCH_SIZE)]
        refusals: Counter[str] = Counter()
        await asyncio.gather(
            *(self._deliver_chunk(chunk, deliver, refusals) for chunk in chunks),
            *(self._deliver(ref, self._budget_seconds, deliver) for ref in refs if ref not in together),
        )
        for code, count in refusals.items():
            logger.warning("batch.refused", {"secrets": count, "code": code})

    async def _deliver(self, ref: Ref, budget_seconds: float, deliver: Deliver) -> None:
        try:
            deliver(ref, await self._fetch(ref, budget_seconds))
        except SecretError as error:
            deliver(ref, error)
        except Exception as error:  # noqa: BLE001 - a fault of ours with one secret is no reason to give up the others
            cause = f"internal error ({type(error).__name__})"
            deliver(ref, SecretUnavailable(ref.secret_id, code="internal-error", cause=cause))

    async def _deliver_chunk(self, chunk: Sequence[Ref], deliver: Deliver, refusals: "Counter[str]") -> None:
        began = self._clock.now()
        missing = dict.fromkeys(chunk)
        try:
            for ref, secret in (await self._fetch_chunk(chunk)).items():
                deliver(ref, secret)
                del missing[ref]
        except SecretError as error:
            refusals[error.code] += len(chunk)
        left = max(self._budget_seconds - elapsed(began, self._clock.now()).seconds, self._budget_seconds / 2)
        await asyncio.gather(*(self._deliver(ref, left, deliver) for ref in missing))

    async def _fetch(self, ref: Ref, budget_seconds: float) -> Secret:
        arguments = {"SecretId": ref.secret_id, "VersionId": ref.version_id, "VersionStage": ref.version_stage}
        given = {name: value for name, value in arguments.items() if value is not None}

        async def attempt() -> Secret:
            return to_secret(ref.secret_id, await self._calls.call("get_secret_value", ref.secret_id, given))

        return await self._within(budget_seconds, ref.secret_id, attempt)

    async def _fetch_chunk(self, chunk: Sequence[Ref]) -> dict[Ref, Secret]:
        """Return what one BatchGetSecretValue gives; what it leaves out or gives malformed is not in it."""
        name = f"{len(chunk)} secrets"

        async def attempt() -> Mapping[str, Any]:
            ids = [ref.secret_id for ref in chunk]
            try:
                return await self._calls.call("batch_get_secret_value", name, {"SecretIdList": ids})
            except RetryableError as reason:
                if reason.at_once:
                    raise
                # Asking for each is the better second attempt: its quota is a hundred times the batch's.
                raise reason.error from None

        answer = await self._within(self._budget_seconds / 2, name, attempt)
        values = answer.get("SecretValues")
        if not isinstance(values, list):
            raise malformed(name).error
        secrets = []
        for value in values:
            try:
                secrets.append(to_secret(name, value))
            except RetryableError:
                continue
        return matched(chunk, secrets)

    async def _within(self, budget_seconds: float, name: str, attempt: Callable[[], Coroutine[Any, Any, T]]) -> T:
        await self._calls.prepare()
        try:
            return await self._turns.take(attempt, budget_seconds)
        except TimeoutError:
            raise SecretTimeout(name, budget_seconds=self._budget_seconds) from None


def matched(chunk: Sequence[Ref], secrets: Sequence[Secret]) -> dict[Ref, Secret]:
    """Return which of the secrets that came together is which that was asked for."""
    found: dict[Ref, Secret] = {}
    by_arn = {ref.secret_id: ref for ref in chunk if ref.secret_id.startswith("arn:")}
    by_name = {ref.secret_id: ref for ref in chunk if ref.secret_id not in by_arn}
    for secret in secrets:
        # An ARN without its last six characters is also an id.
        ref = by_arn.get(secret.arn) or by_arn.get(secret.arn[:-7]) or by_name.get(secret.name)
        if ref is not None:
            found[ref] = secret
    return found
