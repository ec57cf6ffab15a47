"""The prefetch, the timer, refresh ahead, and which parameters are fetched together."""

import asyncio

import pytest

from secrets_cache.core.backoff import BACKOFF_SECONDS
from secrets_cache.core.cache import Cache
from secrets_cache.core.freshness import State
from secrets_cache.core.results import CacheStatus
from secrets_cache.core.secret import Ref
from secrets_cache.errors import SecretTimeout, SecretUnavailable
from tests.support.caches import REFUSED, TTL, UNAVAILABLE, listed, parameters, policy
from tests.support.upstream import arn_of

# Prefetch.


async def test_the_prefetch_asks_for_everything_listed_at_once_and_only_once(setup):
    """A second call waits for the first; one secret's failure is its own."""
    cache = setup.cache(listed("db"), listed("missing"), listed("api"))

    await asyncio.gather(cache.prefetch(), cache.prefetch())
    await cache.prefetch()

    assert [(Ref("db"), Ref("missing"), Ref("api"))] == setup.source.asked_together
    assert [State.FRESH, State.FAILED, State.FRESH] == [report.state for report in cache.report()]


async def test_a_request_before_the_prefetch_has_ended_joins_it(setup):
    """The first caller waits for the prefetch's own call; there is no second one."""
    cache = setup.cache()
    setup.source.gate.clear()
    cache.start_prefetch()
    waiting = asyncio.create_task(cache.get("db"))
    await asyncio.sleep(0)

    setup.source.gate.set()

    assert CacheStatus.MISS is (await waiting).status
    assert [(Ref("db"),)] == setup.source.asked_together
    assert [] == setup.source.fetched


async def test_the_first_request_starts_the_prefetch_if_nobody_did(setup):
    """Where nothing may be fetched at init, the first request brings everything."""
    cache = setup.cache(listed("db"), listed("api"))

    await cache.get("db")

    assert [(Ref("db"), Ref("api"))] == setup.source.asked_together
    assert CacheStatus.HIT is (await cache.get("api")).status
    assert [] == setup.source.fetched


# When a refresh is due.


@pytest.mark.parametrize(("chance", "due"), [(0.0, 0.95), (0.5, 0.925), (1.0, 0.9)])
async def test_refresh_ahead_is_spread(setup, chance, due):
    """When in the window a refresh is due is left to chance, so that environments do not refresh in step."""
    setup.random = chance
    cache = await setup.prefetched(listed("db", refresh_ahead=0.1))

    assert pytest.approx(TTL * due) == cache.seconds_to_next_refresh()


async def test_refresh_ahead_of_0_never_refreshes_a_fresh_value(setup):
    """Switched off, nothing is due before the value expires, nor after, until somebody asks."""
    cache = await setup.prefetched()
    setup.clock.tick(TTL * 2)

    assert cache.seconds_to_next_refresh() is None
    cache.refresh_due()
    await asyncio.sleep(0)
    assert [] == setup.source.fetched


async def test_the_timer_refreshes_what_is_due_and_nothing_else(setup):
    """`refresh_due` starts one refresh of each secret that is due; one that is under way is due no more."""
    cache = await setup.prefetched(
        listed("db", refresh_ahead=0.1), listed("api", ttl_seconds=2 * TTL, refresh_ahead=0.1)
    )
    setup.clock.tick(TTL * 0.95)
    setup.source.gate.clear()

    cache.refresh_due()
    cache.refresh_due()
    await asyncio.sleep(0)

    assert [Ref("db")] == setup.source.fetched
    assert pytest.approx(2 * TTL * 0.925 - TTL * 0.95) == cache.seconds_to_next_refresh()
    await cache.aclose()


def test_with_nothing_listed_nothing_is_due(setup):
    """The timer then sleeps until something changes."""
    cache = Cache(listed=(), allow=(), policy=policy(), source=setup.source, clock=setup.clock, random=lambda: 0.5)

    assert cache.seconds_to_next_refresh() is None


# Parameters that are fetched together.


async def test_parameters_that_are_soon_due_are_refreshed_together(setup):
    """When one is: ten come with one call, and there are few calls. Secrets go singly, and so does who is young."""
    setup.source.values.update({"/a": 1, "/b": 1, "/young": 1, "db": 1})
    cache = await setup.prefetched(
        *parameters("/a", "/b"), *parameters("/young", ttl_seconds=TTL * 2), listed("db", refresh_ahead=0.2)
    )
    setup.source.values.update({"/a": 2, "/b": 2})
    setup.clock.tick(TTL * 0.81)
    setup.source.asked_together.clear()

    await cache.get("/a")
    assert () == tuple(setup.source.asked_together)
    setup.clock.tick(TTL * 0.1)
    await cache.get("/a")
    await asyncio.sleep(0)
    await cache.prefetch()

    assert [(Ref("/a", is_parameter=True), Ref("/b", is_parameter=True))] == setup.source.asked_together
    assert ["version-2"] * 2 == [(await cache.get(name)).secret.version_id for name in ("/a", "/b")]
    assert [] == setup.source.fetched


async def test_parameters_that_have_expired_come_with_the_first_that_is_asked_for(setup):
    """As after a freeze: one call for all, and who asks for another meanwhile joins in."""
    setup.source.values.update({"/a": 1, "/b": 1})
    cache = await setup.prefetched(*parameters("/a", "/b"))
    setup.clock.freeze(TTL)
    setup.source.asked_together.clear()

    answers = await asyncio.gather(*(cache.get(name) for name in ("/a", "/b", "/a")))

    assert [CacheStatus.EXPIRED] * 3 == [answer.status for answer in answers]
    assert (1, 0) == (len(setup.source.asked_together), len(setup.source.fetched))


async def test_parameters_that_failed_together_are_asked_for_together_again(setup):
    """As soon as the first may be: what throttled one call must not get ten. What was refused would fail the others."""
    setup.source.error.update({"/a": UNAVAILABLE, "/b": UNAVAILABLE, "/no": REFUSED})
    setup.random = 0.0
    cache = await setup.prefetched(*parameters("/a", "/b", "/no"))
    setup.source.asked_together.clear()
    setup.random = 1.0
    setup.clock.tick(0.75 * BACKOFF_SECONDS)

    with pytest.raises(SecretUnavailable):
        await cache.get("/b")
    setup.clock.tick(2.5 * BACKOFF_SECONDS)
    with pytest.raises(SecretUnavailable):
        await cache.get("/a")

    both = [Ref(name, is_parameter=True) for name in ("/b", "/a")]
    assert [tuple(both), tuple(reversed(both))] == setup.source.asked_together
    assert [] == setup.source.fetched


async def test_a_parameter_whose_back_off_cannot_have_ended_is_not_asked_for_with_others(setup):
    """It failed later than they did: after a failure there is none for a while."""
    setup.source.values["/a"] = 1
    setup.source.error["/b"] = UNAVAILABLE
    cache = await setup.prefetched(*parameters("/a", "/b"))
    setup.source.asked_together.clear()
    setup.clock.tick(TTL)

    with pytest.raises(SecretUnavailable):
        await cache.get("/b")
    setup.source.error["/a"] = UNAVAILABLE
    setup.clock.tick(0.7 * BACKOFF_SECONDS)
    await cache.get("/a", refresh=True)

    assert [(Ref("/b", is_parameter=True), Ref("/a", is_parameter=True))] == setup.source.asked_together
    assert [Ref("/a", is_parameter=True)] == setup.source.fetched


@pytest.mark.parametrize(
    ("items", "due"), [(parameters("/a", "/b"), 0.9), ([listed("db", refresh_ahead=0.2), *parameters("/a")], 0.8)]
)
async def test_parameters_that_came_together_are_due_together(setup, items, due):
    """The earliest of ten would be the same moment in every environment. Secrets have each its own."""
    setup.source.values.update({"/a": 1, "/b": 1})
    setup.draws = iter([0.0, 1.0])
    cache = await setup.prefetched(*items)

    assert due * TTL == cache.seconds_to_next_refresh()


async def test_the_answer_to_a_forced_refresh_is_not_remembered(setup):
    """Not even where it comes from memory: the same request, a second later, asks AWS again."""
    cache = await setup.prefetched()
    forced = await cache.get("db", refresh=True)
    limited = await cache.get("db", refresh=True)
    any_ref = await cache.get_any(Ref("db"), refresh=True)
    plain = await cache.get("db")

    assert [CacheStatus.FORCED, CacheStatus.HIT, CacheStatus.HIT] == [forced.status, limited.status, any_ref.status]
    assert [0.0, 0.0, 0.0, TTL] == [one.replayable_seconds for one in (forced, limited, any_ref, plain)]


async def test_a_caller_waits_no_longer_than_its_limit_and_the_fetch_goes_on(setup):
    """A path of many pages may take longer, or another caller may wait longer; the next one gets the value."""
    setup.source.values["/app/"] = 1
    cache = setup.cache(*parameters("/app/"), listed("db"), fetch_timeout_seconds=0.01)
    setup.source.gate.clear()
    with pytest.raises(SecretTimeout, match=r"parameter '/app/' .* within 0\.01 s \(fetch_timeout\)"):
        await cache.get("/app/")
    with pytest.raises(SecretTimeout, match=r"secret 'db' .* within 0\.01 s \(fetch_timeout\)"):
        await cache.get("db")
    with pytest.raises(SecretTimeout, match=r"secret 'db' .* within 0\.02 s"):
        await cache.get_any(Ref("db"), timeout_seconds=0.02)
    with pytest.raises(SecretTimeout, match=r"within 0\.02 s"):
        await cache.get_any(Ref(arn_of("db")), timeout_seconds=0.02)
    assert 2 == cache.in_flight
    setup.source.gate.set()
    await cache.prefetch()

    assert [CacheStatus.HIT] * 2 == [(await cache.get(name)).status for name in ("/app/", "db")]


async def test_a_caller_who_waited_for_long_enough_gets_the_old_value_if_it_may_be_served(setup):
    """As after any other failure that may pass."""
    setup.source.values["/app/"] = 1
    cache = setup.cache(*parameters("/app/", stale_if_error_seconds=3600), fetch_timeout_seconds=0.01)
    await cache.prefetch()
    setup.clock.tick(TTL)
    setup.source.gate.clear()

    assert CacheStatus.STALE is (await cache.get("/app/")).status
    setup.source.gate.set()
