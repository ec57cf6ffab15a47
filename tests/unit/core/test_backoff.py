"""How long a failure keeps the next fetch waiting, in isolation."""

import pytest

from secrets_cache.core.backoff import Failure
from tests.support.caches import UNAVAILABLE


@pytest.mark.parametrize(("random", "backoff_seconds"), [(0.0, 36.0), (0.5, 48.0), (1.0, 60.0)])
def test_the_longest_back_off_is_at_most_a_minute_and_spread_as_any_other(clock, random, backoff_seconds):
    """However long an outage lasts; a fleet that has waited for its end does not ask in one second."""
    failure = None
    for _ in range(5000):
        failure = Failure.after(failure, UNAVAILABLE, clock.now(), lambda: random)

    assert failure is not None
    assert (5000, backoff_seconds) == (failure.in_a_row, failure.backoff_seconds)
