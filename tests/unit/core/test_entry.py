"""What an entry allows at each age, in isolation. How the cache uses that is in test_cache."""

import math

import pytest

from secrets_cache.core.backoff import Failure
from secrets_cache.core.entry import Entry
from secrets_cache.core.freshness import CachedValue, FreshnessPolicy, State
from secrets_cache.core.secret import Ref
from tests.support.caches import REFUSED, UNAVAILABLE
from tests.support.fakes import FakeClock, secret

POLICY = FreshnessPolicy(
    ttl_seconds=100, refresh_ahead=0.1, stale_while_revalidate_seconds=10, stale_if_error_seconds=50
)


@pytest.fixture(name="entry")
def _entry(clock: FakeClock) -> Entry:
    held = CachedValue(secret(), clock.now(), clock.wall, POLICY.pick_refresh_age_seconds(lambda: 1.0))
    entry = Entry(Ref("db"), "db", POLICY)
    entry.held = held
    return entry


def test_an_entry_without_a_value_is_infinitely_old(clock):
    """Nothing held is never fresh, never stale, never due."""
    entry = Entry(Ref("db"), "db", POLICY)
    now = clock.now()

    assert math.inf == entry.age(now)
    assert math.inf == entry.seconds_to_refresh(now)
    assert not entry.is_fresh(now)
    assert not entry.is_refresh_due(now)
    assert not entry.may_serve_while_revalidating(now)
    assert State.PENDING is entry.state(now)


@pytest.mark.parametrize(
    ("age", "fresh", "due", "revalidating", "on_error"),
    [
        (0, True, False, True, True),
        (89.9, True, False, True, True),
        (90, True, True, True, True),
        (99.9, True, True, True, True),
        (100, False, True, True, True),
        (109.9, False, True, True, True),
        (110, False, True, False, True),
        (149.9, False, True, False, True),
        (150, False, True, False, False),
    ],
)
def test_what_each_age_allows(entry, clock, age, fresh, due, revalidating, on_error):
    """Every bound belongs to the side that is stricter."""
    clock.tick(age)
    now = clock.now()
    failure = Failure.after(None, UNAVAILABLE, now, lambda: 0.5)

    assert (fresh, due, revalidating, on_error) == (
        entry.is_fresh(now),
        entry.is_refresh_due(now),
        entry.may_serve_while_revalidating(now),
        entry.may_serve_after(failure, now),
    )
    assert not entry.may_serve_after(Failure.after(None, REFUSED, now, lambda: 0.5), now)
