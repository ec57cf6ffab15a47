"""
Many secrets or parameters in few calls.

    refs -> those that a batch cannot hold -------------------------------> one call each
         -> batches, one call each: what the answer holds
                                    what it lacks, or all if it is refused -> one call each

Rules
-----
1. Each secret has one result, as soon as it is known, and none depends on another's.
2. Whatever a batch does not give, for any reason, is asked for singly, unless the failure is the same for all.
3. A batch and the single calls after it share a budget. The single calls have at least half of it.
4. A service that has refused a batch is not asked for one again: the permission is missing, and stays so.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import NamedTuple, Protocol

from secrets_cache.aws.merge import merge
from secrets_cache.core.clock import Clock, elapsed
from secrets_cache.core.fetcher import FetchResult, FetchResults
from secrets_cache.core.secret import Ref, Secret
from secrets_cache.errors import SecretError, SecretRefused, SecretUnavailable

logger = logging.getLogger(__name__)


class BatchLimits(NamedTuple):
    """
    When a service is asked for batches.

    Attributes:
        threshold: Up to so many refs, each is asked for singly; None to never ask for batches.
        smallest: A batch with fewer refs is not worth a call of its own kind.
        largest: How many refs the service takes in one call.
    """

    threshold: int | None
    smallest: int
    largest: int


class BatchService(Protocol):
    """
    A service that can be asked for one secret, or for several in one call.

    Attributes:
        plural: What it keeps, in log lines: "secrets" or "parameters".
    """

    plural: str

    def fits_batch(self, ref: Ref) -> bool:
        """Return whether a batch can hold `ref`."""
        ...

    async def fetch_single(self, ref: Ref, budget_seconds: float) -> Secret:
        """Return one secret. Raises `SecretError`."""
        ...

    async def fetch_batch(self, refs: Sequence[Ref]) -> Mapping[Ref, FetchResult]:
        """Return what one call gives; what it leaves out or gives malformed is missing. Raises `SecretError`."""
        ...

    def share_failure(self, ref: Ref, error: SecretError) -> SecretError | None:
        """Return what the failure of a batch means for `ref`, which is part of it; None if that is to be asked for."""
        ...


class Batcher:
    """
    Fetches many secrets of one service.

    Args:
        service: The service.
        limits: When it is asked for batches.
        budget_seconds: The time for one secret, all attempts together.
        clock: Tells the time.
    """

    def __init__(self, service: BatchService, limits: BatchLimits, *, budget_seconds: float, clock: Clock) -> None:
        self._service = service
        self._limits = limits
        self._budget_seconds = budget_seconds
        self._clock = clock
        self._is_refused = False

    async def fetch_many(self, refs: Sequence[Ref]) -> FetchResults:
        """Yield each of `refs` once with its result, as soon as it is known. Raises nothing."""
        batches = self._split(refs)
        batched = {ref for batch in batches for ref in batch}
        refusals: Counter[str] = Counter()
        single = (self._fetch_single(ref, self._budget_seconds) for ref in refs if ref not in batched)
        together = (self._fetch_batch(batch, refusals) for batch in batches)
        async with aclosing(merge([*together, *single])) as results:
            async for result in results:
                yield result
        for code, count in refusals.items():
            counted = {self._service.plural: count}
            logger.warning("batch.refused", {**counted, "code": code})

    def _split(self, refs: Sequence[Ref]) -> list[list[Ref]]:
        threshold, smallest, largest = self._limits
        fitting = [ref for ref in refs if self._service.fits_batch(ref)]
        if self._is_refused or threshold is None or len(fitting) <= threshold:
            return []
        batches = [fitting[start : start + largest] for start in range(0, len(fitting), largest)]
        return [batch for batch in batches if len(batch) >= smallest]

    async def _fetch_single(self, ref: Ref, budget_seconds: float) -> FetchResults:
        try:
            result: FetchResult = await self._service.fetch_single(ref, budget_seconds)
        except SecretError as error:
            result = error
        except Exception as error:  # noqa: BLE001 - a fault with one secret must not end the others
            cause = f"internal error ({type(error).__name__})"
            result = SecretUnavailable(ref.secret_id, code="internal-error", cause=cause)
        yield ref, result

    async def _fetch_batch(self, batch: Sequence[Ref], refusals: "Counter[str]") -> FetchResults:
        began = self._clock.now()
        found: Mapping[Ref, FetchResult] = {}
        try:
            found = await self._service.fetch_batch(batch)
        except SecretError as error:
            shared = {ref: self._service.share_failure(ref, error) for ref in batch}
            found = {ref: result for ref, result in shared.items() if result is not None}
            if not found:
                refusals[error.code] += len(batch)
                self._is_refused |= isinstance(error, SecretRefused)
        except Exception:  # noqa: BLE001 - a fault with a batch must not end the fetch of what is in it
            refusals["internal-error"] += len(batch)
        for ref, result in found.items():
            yield ref, result
        left = max(self._budget_seconds - elapsed(began, self._clock.now()).seconds, self._budget_seconds / 2)
        missing = (self._fetch_single(ref, left) for ref in batch if ref not in found)
        async with aclosing(merge(missing)) as results:
            async for each in results:
                yield each
