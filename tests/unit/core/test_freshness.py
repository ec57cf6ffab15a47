"""Ages and what they allow, in isolation. How the cache uses them is in test_cache and test_cache_properties."""

import math

import pytest

from secrets_cache.core.freshness import CachedValue, Entry, Failure, FreshnessPolicy, State
from secrets_cache.core.secret import Ref
from tests.support.fakes import FakeClock, secret
from tests.unit.core.test_cache import REFUSED, UNAVAILABLE

POLICY = FreshnessPolicy(ttl=100, refresh_ahead=0.1, stale_while_revalidate=10, stale_if_error=50)


@pytest.fixture(name="entry")
def _entry(clock: FakeClock) -> Entry:
    held = CachedValue(secret(), clock.now(), clock.wall, POLICY.refresh_after(1.0))
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
    failure = Failure.after(None, UNAVAILABLE, now, 0.5)

    assert (fresh, due, revalidating, on_error) == (
        entry.is_fresh(now),
        entry.is_refresh_due(now),
        entry.may_serve_while_revalidating(now),
        entry.may_serve_after(failure, now),
    )
    assert not entry.may_serve_after(Failure.after(None, REFUSED, now, 0.5), now)


def test_a_refresh_is_due_in_the_earlier_half_of_the_window():
    """Chance spreads it from the window's beginning to its middle; without a window it is never due."""
    assert [95, 92.5, 90] == [POLICY.refresh_after(chance) for chance in (0.0, 0.5, 1.0)]
    never = FreshnessPolicy(ttl=100, refresh_ahead=0, stale_while_revalidate=0, stale_if_error=0)
    assert math.inf == never.refresh_after(1.0)


@pytest.mark.parametrize(("chance", "backoff"), [(0.0, 36.0), (0.5, 48.0), (1.0, 60.0)])
def test_the_longest_back_off_is_at_most_a_minute_and_spread_as_any_other(clock, chance, backoff):
    """However long an outage lasts; a fleet that has waited for its end does not ask in one second."""
    failure = None
    for _ in range(5000):
        failure = Failure.after(failure, UNAVAILABLE, clock.now(), chance)

    assert failure is not None
    assert (5000, backoff) == (failure.in_a_row, failure.backoff)
