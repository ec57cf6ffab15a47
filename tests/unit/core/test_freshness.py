"""How old a value is, when its refresh is due, and how long a failure lasts, in isolation."""

import math

import pytest

from secrets_cache.core.clock import Instant
from secrets_cache.core.freshness import CachedValue, Failure, FreshnessPolicy
from tests.support.caches import UNAVAILABLE, policy
from tests.support.fakes import CANARY, secret

POLICY = FreshnessPolicy(
    ttl_seconds=100, refresh_ahead=0.1, stale_while_revalidate_seconds=10, stale_if_error_seconds=50
)


def test_a_refresh_is_due_in_the_earlier_half_of_the_window():
    """Chance spreads it from the window's beginning to its middle; without a window it is never due."""
    assert [95, 92.5, 90] == [POLICY.pick_refresh_age_seconds(random) for random in (float, lambda: 0.5, lambda: 1.0)]
    assert math.inf == policy(refresh_ahead=0).pick_refresh_age_seconds(lambda: 1.0)


@pytest.mark.parametrize(("random", "backoff_seconds"), [(0.0, 36.0), (0.5, 48.0), (1.0, 60.0)])
def test_the_longest_back_off_is_at_most_a_minute_and_spread_as_any_other(clock, random, backoff_seconds):
    """However long an outage lasts; a fleet that has waited for its end does not ask in one second."""
    failure = None
    for _ in range(5000):
        failure = Failure.after(failure, UNAVAILABLE, clock.now(), lambda: random)

    assert failure is not None
    assert (5000, backoff_seconds) == (failure.in_a_row, failure.backoff_seconds)


def test_a_cached_value_shows_all_but_the_secrets_value():
    """When it was fetched, and which version it is."""
    held = CachedValue(secret("db"), Instant(1, 2), 3, 4)

    for shown in (repr(held), str(held), f"{held}"):
        assert CANARY not in shown
        assert "sent=Instant(wall=1, monotonic=2)" in shown
        assert "version_id='version-1'" in shown
