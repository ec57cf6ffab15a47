"""
A service of AWS that keeps secrets or parameters: one of them in one call, or many in few calls.

    refs -> those that a batch cannot hold -------------------------------> one call each
         -> batches, one call each: what the answer holds
                                    what it lacks, or all if it is refused -> one call each

Rules
-----
1. Each secret has one result, as soon as it is known, and none depends on another's.
2. Whatever a batch does not give, for any reason, is fetched by its own call, unless the failure is the same for all.
3. A batch and the single calls after it share a budget. The single calls have at least half of it.
4. A service that has refused a batch is asked for one again after an hour: the permission is missing, and seldom comes.
   Credentials that are rejected say nothing of batches.
"""

import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Self

from secrets_cache.aws.client import MAX_CONNECTIONS, ServiceClient
from secrets_cache.aws.errors import is_about_credentials
from secrets_cache.aws.limiter import Limiter
from secrets_cache.aws.merge import merge
from secrets_cache.core.clock import Clock, Instant, elapsed
from secrets_cache.core.secret import Ref, Secret
from secrets_cache.core.source import FetchResult, FetchResults
from secrets_cache.errors import SecretError, SecretRefused, SecretUnavailable

logger = logging.getLogger(__name__)

REFUSAL_SECONDS = 3600.0


class Store(ABC):
    """
    What one service keeps in one region, read with one set of credentials. An async context manager.

    Args:
        client: Makes the calls; closed with this.
        budget_seconds: The time for one secret, all attempts together.
        clock: Tells the time.
        random: Returns numbers between 0 and 1: spreads the pauses between attempts.
        batch_threshold: With this many refs or fewer, each has its own call; None: never batch.
        max_connections: How many calls may be under way at once.

    Attributes:
        plural: What the service keeps, in log lines.
        smallest_batch: A batch with fewer refs is not worth a call of its own kind.
        largest_batch: How many refs the service takes in one call.
    """

    plural: str
    smallest_batch: int
    largest_batch: int

    def __init__(
        self,
        *,
        client: ServiceClient,
        budget_seconds: float,
        clock: Clock,
        random: Callable[[], float],
        batch_threshold: int | None = 0,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._client = client
        self._budget_seconds = budget_seconds
        self._clock = clock
        self._batch_threshold = batch_threshold
        self._limiter = Limiter(max_connections, budget_seconds=budget_seconds, clock=clock, random=random)
        self._refused_at: Instant | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    @abstractmethod
    async def fetch(self, ref: Ref, budget_seconds: float | None = None) -> Secret:
        """
        Return one secret, parameter or path; without `budget_seconds`, within the whole budget.

        Raises:
            SecretNotFound, SecretRefused: AWS said so.
            SecretUnavailable: AWS could not be asked, or gave no usable answer.
        """

    @abstractmethod
    async def _fetch_batch(self, refs: Sequence[Ref]) -> Mapping[Ref, FetchResult]:
        """Return what one call gives; what it leaves out or gives malformed is missing. Raises `SecretError`."""

    @abstractmethod
    def _fits_batch(self, ref: Ref) -> bool:
        """Return whether a batch can hold `ref`."""

    @abstractmethod
    def _share_failure(self, ref: Ref, error: SecretError) -> SecretError | None:
        """Return what the failure of its batch means for `ref`; None if `ref` needs a call of its own."""

    async def fetch_many(self, refs: Sequence[Ref]) -> FetchResults:
        """Yield each of `refs` once with its result, as soon as it is known. Raises nothing."""
        batches = self._split(refs)
        batched = {ref for batch in batches for ref in batch}
        refusals: Counter[str] = Counter()
        single = (self._yield_single(ref) for ref in refs if ref not in batched)
        together = (self._yield_batch(batch, refusals) for batch in batches)
        async with aclosing(merge([*together, *single])) as results:
            async for result in results:
                yield result
        for code, count in refusals.items():
            logger.warning("batch.refused", {self.plural: count, "code": code})

    def _split(self, refs: Sequence[Ref]) -> list[list[Ref]]:
        fitting = [ref for ref in refs if self._fits_batch(ref)]
        threshold, largest = self._batch_threshold, self.largest_batch
        if self._is_batch_refused() or threshold is None or len(fitting) <= threshold:
            return []
        batches = [fitting[start : start + largest] for start in range(0, len(fitting), largest)]
        return [batch for batch in batches if len(batch) >= self.smallest_batch]

    def _is_batch_refused(self) -> bool:
        if self._refused_at is None:
            return False
        since = elapsed(self._refused_at, self._clock.now())
        return not since.backwards and since.seconds < REFUSAL_SECONDS

    async def _yield_single(self, ref: Ref, budget_seconds: float | None = None) -> FetchResults:
        try:
            result: FetchResult = await self.fetch(ref, budget_seconds)
        except SecretError as error:
            result = error
        except Exception as error:  # noqa: BLE001 - a fault with one secret must not end the others
            cause = f"internal error ({type(error).__name__})"
            result = SecretUnavailable(ref.secret_id, code="internal-error", cause=cause)
            result.what = ref.what
        yield ref, result

    async def _yield_batch(self, batch: Sequence[Ref], refusals: "Counter[str]") -> FetchResults:
        began = self._clock.now()
        found: Mapping[Ref, FetchResult] = {}
        try:
            found = await self._fetch_batch(batch)
        except SecretError as error:
            shared = {ref: self._share_failure(ref, error) for ref in batch}
            found = {ref: result for ref, result in shared.items() if result is not None}
            if not found:
                refusals[error.code] += len(batch)
                if isinstance(error, SecretRefused) and not is_about_credentials(error):
                    self._refused_at = self._clock.now()
        except Exception:  # noqa: BLE001 - a fault with a batch must not end the fetch of what is in it
            refusals["internal-error"] += len(batch)
        for ref, result in found.items():
            yield ref, result
        left = max(self._budget_seconds - elapsed(began, self._clock.now()).seconds, self._budget_seconds / 2)
        missing = (self._yield_single(ref, left) for ref in batch if ref not in found)
        async with aclosing(merge(missing)) as results:
            async for each in results:
                yield each
