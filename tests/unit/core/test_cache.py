"""What the cache answers at each age of a value, when forced, and what it reports."""

import asyncio

import pytest

from secrets_cache.core.freshness import State
from secrets_cache.core.registry import ListedEntry
from secrets_cache.core.results import CacheStatus, EntryKind
from secrets_cache.core.secret import Ref
from secrets_cache.errors import SecretRefused, SecretUnavailable
from tests.support.caches import REFUSED, TTL, UNAVAILABLE, listed, policy, until, version
from tests.support.fakes import FakeClock

# Fresh.


async def test_a_fresh_value_is_answered_from_memory(setup):
    """Younger than its ttl, a value needs no upstream call."""
    cache = await setup.prefetched()
    setup.clock.tick(TTL - 0.001)

    answer = await cache.get("db")

    assert CacheStatus.HIT is answer.status
    assert [] == setup.source.fetched


async def test_a_value_never_had_is_fetched(setup):
    """The first get of an allowed name asks AWS."""
    cache = await setup.prefetched(allow=("a*",))

    answer = await cache.get("api")

    assert CacheStatus.MISS is answer.status
    assert [Ref("api")] == setup.source.fetched


async def test_a_maximum_age_of_the_callers_own_makes_a_fresh_value_too_old(setup):
    """For that caller; it is fetched once, and then younger for all. Zero always asks."""
    cache = await setup.prefetched()
    setup.clock.tick(10)

    assert CacheStatus.HIT is (await cache.get_any(Ref("db"), max_age_seconds=11)).status
    assert 11 == (await cache.get_any(Ref("db"), max_age_seconds=11)).replayable_seconds
    assert CacheStatus.EXPIRED is (await cache.get_any(Ref("db"), max_age_seconds=10)).status
    assert CacheStatus.HIT is (await cache.get_any(Ref("db"), max_age_seconds=10)).status
    assert [CacheStatus.EXPIRED] * 2 == [(await cache.get_any(Ref("db"), max_age_seconds=0)).status for _ in range(2)]
    assert 3 == len(setup.source.fetched)


# Age.


@pytest.mark.parametrize("pass_time", [FakeClock.tick, FakeClock.freeze])
async def test_time_frozen_counts_as_age(setup, pass_time):
    """A value is expired once its ttl has passed on either clock."""
    cache = await setup.prefetched()
    pass_time(setup.clock, TTL)

    answer = await cache.get("db")

    assert CacheStatus.EXPIRED is answer.status
    assert [Ref("db")] == setup.source.fetched


async def test_monotonic_time_alone_counts_as_age(setup):
    """A wall clock that stands still makes nothing younger."""
    cache = await setup.prefetched()
    setup.clock.monotonic += TTL

    assert CacheStatus.EXPIRED is (await cache.get("db")).status


async def test_a_wall_clock_that_went_backwards_counts_as_expired(setup):
    """An age that cannot be known is too old."""
    cache = await setup.prefetched()
    setup.clock.step_wall(-1)

    assert CacheStatus.EXPIRED is (await cache.get("db")).status
    assert CacheStatus.HIT is (await cache.get("db")).status


async def test_a_wall_clock_that_went_backwards_may_still_bridge_an_outage(setup):
    """Counting as expired is not counting as infinitely old: the staleness that is allowed still is."""
    cache = await setup.prefetched(listed("db", stale_if_error_seconds=100))
    setup.source.error[""] = UNAVAILABLE
    setup.clock.step_wall(-1)

    assert CacheStatus.STALE is (await cache.get("db")).status


async def test_age_counts_from_when_the_fetch_was_sent(setup):
    """A slow answer is as old as its question."""
    cache = setup.cache()
    setup.source.gate.clear()
    asked = asyncio.create_task(cache.get("db"))
    await until(lambda: setup.source.asked_together)
    setup.clock.tick(TTL)
    received = setup.clock.wall
    setup.source.gate.set()

    answer = await asked

    assert CacheStatus.MISS is answer.status
    assert received == answer.held.received_at
    assert CacheStatus.EXPIRED is (await cache.get("db")).status


async def test_serving_an_old_value_never_makes_it_younger(setup):
    """Staleness ends when it ends, however often the value was served."""
    cache = await setup.prefetched(listed("db", stale_if_error_seconds=100))
    setup.source.error[""] = UNAVAILABLE
    setup.clock.tick(TTL)
    for _ in range(10):
        assert CacheStatus.STALE is (await cache.get("db")).status
        setup.clock.tick(10)

    with pytest.raises(SecretUnavailable):
        await cache.get("db")


# Refreshed behind the answer.


async def test_refresh_ahead_serves_the_fresh_value_and_refreshes_behind_it(setup):
    """Near its end a fresh value is answered at once, and one refresh begins."""
    cache = await setup.prefetched(listed("db", refresh_ahead=0.1))
    setup.source.values["db"] = 2
    setup.source.gate.clear()
    setup.clock.tick(TTL * 0.95)

    first, second = await cache.get("db"), await cache.get("db")
    await asyncio.sleep(0)
    assert (CacheStatus.HIT, 1, CacheStatus.HIT, 1) == (first.status, version(first), second.status, version(second))
    assert [Ref("db")] == setup.source.fetched

    setup.source.gate.set()
    await until(lambda: not cache.in_flight)

    assert 2 == version(await cache.get("db"))
    assert [Ref("db")] == setup.source.fetched


async def test_stale_while_revalidate_serves_the_old_value_while_refreshing(setup):
    """Within the window the old value comes at once, marked stale; past it, callers wait."""
    cache = await setup.prefetched(listed("db", stale_while_revalidate_seconds=60))
    setup.source.values["db"] = 2
    setup.clock.tick(TTL + 59)

    first = await cache.get("db")
    await until(lambda: not cache.in_flight)
    second = await cache.get("db")
    setup.clock.tick(TTL + 60)
    third = await cache.get("db")

    assert (CacheStatus.STALE, 1) == (first.status, version(first))
    assert (CacheStatus.HIT, 2) == (second.status, version(second))
    assert CacheStatus.EXPIRED is third.status


async def test_stale_while_revalidate_does_not_mask_a_definite_refusal(setup):
    """Once AWS has said no, the window does not reopen after the back-off."""
    cache = await setup.prefetched(listed("db", stale_while_revalidate_seconds=60))
    setup.source.error[""] = REFUSED
    setup.clock.tick(TTL)
    assert CacheStatus.STALE is (await cache.get("db")).status
    await until(lambda: not cache.in_flight)

    setup.clock.tick(10)

    with pytest.raises(SecretRefused):
        await cache.get("db")


# Forced refresh.


async def test_a_forced_refresh_brings_a_new_value(setup):
    """Asked for, a fetch is made though the value is fresh."""
    cache = await setup.prefetched()
    setup.source.values["db"] = 2

    answer = await cache.get("db", refresh=True)

    assert (CacheStatus.FORCED, 2) == (answer.status, version(answer))


async def test_forced_refreshes_are_shared_and_at_most_one_a_second(setup):
    """A caller that forces within a second of another gets what that one brought."""
    cache = await setup.prefetched()

    answers = await asyncio.gather(*(cache.get("db", refresh=True) for _ in range(100)))
    assert {CacheStatus.FORCED} == {answer.status for answer in answers}
    setup.clock.tick(0.999)
    assert CacheStatus.HIT is (await cache.get("db", refresh=True)).status
    assert 1 == len(setup.source.fetched)
    setup.clock.tick(0.001)
    assert CacheStatus.FORCED is (await cache.get("db", refresh=True)).status
    assert 2 == len(setup.source.fetched)


async def test_a_forced_refresh_of_a_secret_never_had_is_a_miss(setup):
    """There is nothing to pass over."""
    cache = await setup.prefetched(allow=("a*",))

    assert CacheStatus.MISS is (await cache.get("api", refresh=True)).status


async def test_a_forced_refresh_that_fails_in_passing_gives_the_held_value(setup):
    """The value is still good; what failed is only the wish for a newer one. The back-off holds here too."""
    cache = await setup.prefetched()
    setup.source.error[""] = UNAVAILABLE

    assert CacheStatus.HIT is (await cache.get("db", refresh=True)).status
    setup.clock.tick(0.5)
    assert CacheStatus.HIT is (await cache.get("db", refresh=True)).status
    assert 1 == len(setup.source.fetched)


async def test_a_forced_refresh_that_is_refused_tells_who_asked_and_nobody_else(setup):
    """The caller that forced it gets AWS's answer; the fresh value remains for the others."""
    cache = await setup.prefetched()
    setup.source.error[""] = REFUSED

    for _ in range(2):
        with pytest.raises(SecretRefused):
            await cache.get("db", refresh=True)
    assert 1 == len(setup.source.fetched)
    assert CacheStatus.HIT is (await cache.get("db")).status


async def test_a_forced_refresh_is_possible_again_when_the_wall_clock_went_backwards(setup):
    """A second that cannot be measured has passed."""
    cache = await setup.prefetched()
    await cache.get("db", refresh=True)
    setup.clock.step_wall(-10)

    assert CacheStatus.FORCED is (await cache.get("db", refresh=True)).status


# Report and counts.


async def test_the_report_shows_states_and_never_values(setup):
    """pending, fresh, stale and failed, with age, version and error code."""
    cache = setup.cache(listed("db", stale_if_error_seconds=100))
    assert cache.seconds_to_next_refresh() is None
    before = cache.report()[0]
    await cache.prefetch()
    setup.clock.tick(7)
    fresh = cache.report()[0]
    setup.clock.tick(TTL)
    expired = cache.report()[0]
    setup.source.error[""] = UNAVAILABLE
    await cache.get("db")
    stale = cache.report()[0]

    assert (State.PENDING, None, None, None, False) == (
        before.state,
        before.age,
        before.version_id,
        before.error,
        before.is_servable,
    )
    assert (State.FRESH, 7, "version-1", None, True) == (
        fresh.state,
        fresh.age,
        fresh.version_id,
        fresh.error,
        fresh.is_servable,
    )
    assert (State.STALE, None, True) == (expired.state, expired.error, expired.is_servable)
    assert (State.STALE, "connection-failed", True) == (stale.state, stale.error, stale.is_servable)


async def test_a_report_says_what_is_listed_and_what_became_of_its_fetches(setup):
    """A secret, a parameter or a path; fetches that have ended, and those that failed."""
    secrets = (
        listed("db"),
        ListedEntry(Ref("/a/b", is_parameter=True), ("b",), policy()),
        ListedEntry(Ref("/a/", is_parameter=True), ("a",), policy()),
    )
    setup.source.values["/a/b"] = 1
    cache = setup.cache(*secrets)
    await cache.prefetch()
    await cache.get("db", refresh=True)

    assert [("db", EntryKind.SECRET, 2, 0), ("b", EntryKind.PARAMETER, 1, 0), ("a", EntryKind.PATH, 1, 1)] == [
        (one.name, one.kind, one.fetches_ended, one.failures) for one in cache.report()
    ]


async def test_what_happened_is_counted(setup):
    """Hits, misses, stale answers, refreshes, failures."""
    cache = setup.cache(listed("db", stale_if_error_seconds=100))
    await cache.get("db")
    await cache.get("db")
    setup.source.error[""] = UNAVAILABLE
    setup.clock.tick(TTL)
    await cache.get("db")
    counts = cache.counts

    assert (1, 1, 1, 2, 1) == (counts.hits, counts.misses, counts.stale, counts.fetches_started, counts.failures)
