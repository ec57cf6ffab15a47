"""How old a value is, and when its refresh is due, in isolation."""

import math

from secrets_cache.core.clock import Instant
from secrets_cache.core.freshness import CachedValue, FreshnessPolicy
from tests.support.caches import policy
from tests.support.fakes import CANARY, secret

POLICY = FreshnessPolicy(
    ttl_seconds=100, refresh_ahead=0.1, stale_while_revalidate_seconds=10, stale_if_error_seconds=50
)


def test_a_refresh_is_due_in_the_earlier_half_of_the_window():
    """Chance spreads it from the window's beginning to its middle; without a window it is never due."""
    assert [95, 92.5, 90] == [POLICY.pick_refresh_age_seconds(random) for random in (float, lambda: 0.5, lambda: 1.0)]
    assert math.inf == policy(refresh_ahead=0).pick_refresh_age_seconds(lambda: 1.0)


def test_a_cached_value_shows_all_but_the_secrets_value():
    """When it was fetched, and which version it is."""
    held = CachedValue(secret("db"), Instant(1, 2), 3, 4)

    for shown in (repr(held), str(held), f"{held}"):
        assert CANARY not in shown
        assert "sent=Instant(wall=1, monotonic=2)" in shown
        assert "version_id='version-1'" in shown
