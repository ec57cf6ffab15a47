"""
Recovery shared: once AWS answers for one secret, the others that failed with it are asked again soon.

What fails together also recovers together: one service, in one region, called by one role. Without this, each secret
would wait out its own back-off, up to a minute after the end of an outage.

Rules
-----
1. Only a passing failure is cut short: a refusal was an answer.
2. A back-off is never made longer, and cut only once.
3. Parameters share one random number, as they share calls.
"""

from collections.abc import Callable, Iterable

from secrets_cache.core.arn import find_region
from secrets_cache.core.backoff import Failure
from secrets_cache.core.clock import Instant
from secrets_cache.core.entry import Entry
from secrets_cache.core.freshness import CachedValue
from secrets_cache.core.named_tuple import NamedTuple
from secrets_cache.core.secret import AwsContext, Ref
from secrets_cache.errors import SecretUnavailable


class Place(NamedTuple):
    """One service, region and way to call it: what answers or fails as a whole. The function's own region is empty."""

    is_parameter: bool
    context: AwsContext


def find_place(ref: Ref, own_region: str) -> Place:
    """Return where `ref` is read; an ARN has a region of its own."""
    region = find_region(ref.secret_id, given=ref.context.region, own=own_region)
    return Place(ref.is_parameter, ref.context._replace(region=region))


class Recovery:
    """
    Cuts the back-offs of one cache's entries short.

    Args:
        own_region: The function's region.
        random: Returns a random number from 0 to 1.
    """

    def __init__(self, own_region: str, random: Callable[[], float]) -> None:
        self._own_region = own_region
        self._random = random
        # Most of the time nothing has failed, and nothing needs to be searched.
        self._has_failed = False

    def note(self, entry: Entry, outcome: CachedValue | Failure, entries: Iterable[Entry], now: Instant) -> None:
        """Note how a fetch of `entry` has ended; if AWS answered, cut the back-offs of those `entries` it concerns."""
        if isinstance(outcome, Failure) and isinstance(outcome.error, SecretUnavailable):
            self._has_failed = True
        elif self._has_failed and (isinstance(outcome, CachedValue) or outcome.error.is_answer):
            self._share(find_place(entry.ref, self._own_region), entries, now)

    def _share(self, place: Place, entries: Iterable[Entry], now: Instant) -> None:
        failing = [(each, each.failure) for each in entries if each.failure is not None and each.failure.is_passing]
        self._has_failed = bool(failing)
        failing = [found for found in failing if find_place(found[0].ref, self._own_region) == place]
        together = self._random() if failing else 0.0
        for each, failure in failing:
            if not failure.is_shortened:
                share = together if each.ref.is_parameter else self._random()
                each.failure = failure.shorten(now, share, is_alone=len(failing) == 1)
