"""What a caller demands of an answer, and for how long it waits for one."""

from collections.abc import Awaitable
from typing import TypeVar

from secrets_cache.core.clock import Clock, Instant, elapsed
from secrets_cache.core.named_tuple import NamedTuple
from secrets_cache.core.retry import timeout_unless_frozen
from secrets_cache.core.secret import Ref
from secrets_cache.errors import SecretTimeout

T = TypeVar("T")

# A fetch that AWS does not answer ends at the cache's own limit, too. Its error comes first: it knows more.
GRACE_SECONDS = 0.25


class Demand(NamedTuple):
    """
    What a caller demands of an answer.

    Attributes:
        max_age_seconds: A value of this age or older is fetched again.
        refresh: Whether a new value is fetched though the held one is fresh.
        timeout_seconds: How long the caller waits, all fetches together; 0 for the cache's own limit.
        own_seconds: The cache's own limit; 0 for none.
        asked: When the caller asked.
    """

    max_age_seconds: float
    refresh: bool
    timeout_seconds: float
    own_seconds: float
    asked: Instant


async def wait(work: Awaitable[T], ref: Ref, demand: Demand, clock: Clock) -> T:
    """
    Return what `work` returns; it goes on without a caller who has waited for long enough.

    Args:
        work: The fetch of `ref`; cancelling the wait must not cancel the fetch.
        ref: What the error names.
        demand: Says how long to wait. If the process was frozen since the caller asked, that time begins anew.
        clock: Tells the time.

    Raises:
        SecretTimeout: The caller has waited for long enough.
    """
    seconds = demand.timeout_seconds or demand.own_seconds
    grace_seconds = 0.0 if demand.timeout_seconds else GRACE_SECONDS
    if not seconds:
        return await work
    waited = elapsed(demand.asked, clock.now()).seconds
    left = seconds - waited if waited < seconds else seconds
    try:
        async with timeout_unless_frozen(left + grace_seconds, clock):
            return await work
    except TimeoutError:
        timeout = SecretTimeout(ref.secret_id, budget_seconds=seconds)
        timeout.what = ref.what
        raise timeout from None
