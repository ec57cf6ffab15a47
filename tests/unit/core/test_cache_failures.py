"""What the cache answers while AWS fails or refuses, and when it asks again."""

import contextlib

import pytest

from secrets_cache.core.backoff import BACKOFF_SECONDS
from secrets_cache.core.freshness import State
from secrets_cache.core.results import CacheStatus
from secrets_cache.errors import SecretNotFound, SecretRefused, SecretTimeout, SecretUnavailable
from tests.support.caches import REFUSED, TTL, UNAVAILABLE, listed, until

# The old value.


@pytest.mark.parametrize("error", [UNAVAILABLE, SecretTimeout("db", budget_seconds=5)])
async def test_a_passing_failure_is_bridged_by_the_old_value(setup, error):
    """While stale_if_error covers it the old value is served, marked stale; after that the failure shows."""
    cache = await setup.prefetched(listed("db", stale_if_error_seconds=100))
    setup.source.error[""] = error
    setup.clock.tick(TTL + 99)
    assert CacheStatus.STALE is (await cache.get("db")).status
    assert State.STALE is cache.report()[0].state

    setup.clock.tick(1)

    with pytest.raises(type(error)):
        await cache.get("db")
    assert State.FAILED is cache.report()[0].state


@pytest.mark.parametrize("error", [REFUSED, SecretNotFound("db")])
async def test_a_definite_refusal_is_never_masked_once_expired(setup, error):
    """An expired value is no answer where AWS has said no."""
    cache = await setup.prefetched(listed("db", stale_if_error_seconds=100))
    setup.source.error[""] = error
    setup.clock.tick(TTL)

    for _ in range(2):
        with pytest.raises(type(error)):
            await cache.get("db")
    assert State.FAILED is cache.report()[0].state


async def test_a_definite_refusal_stands_until_aws_gives_the_value_again(setup):
    """A later outage does not bring the old value back, whatever staleness is allowed."""
    cache = await setup.prefetched(listed("db", stale_while_revalidate_seconds=100, stale_if_error_seconds=100))
    setup.source.error[""] = REFUSED
    setup.clock.tick(TTL)
    with pytest.raises(SecretRefused):
        await cache.get("db", refresh=True)
    setup.source.error[""] = UNAVAILABLE

    for _ in range(3):
        setup.clock.tick(5)
        with pytest.raises(SecretUnavailable):
            await cache.get("db")
    assert State.FAILED is cache.report()[0].state

    setup.source.error.clear()
    setup.clock.tick(10)
    assert CacheStatus.EXPIRED is (await cache.get("db")).status
    setup.source.error[""] = UNAVAILABLE
    setup.clock.tick(TTL)
    assert CacheStatus.STALE is (await cache.get("db")).status


async def test_a_refusal_takes_nothing_from_a_fresh_value(setup):
    """Who forces is told of it; if AWS cannot be asked afterwards, the answer is what it would be without forcing."""
    cache = await setup.prefetched(listed("db", stale_if_error_seconds=100))
    setup.source.error[""] = REFUSED
    with pytest.raises(SecretRefused):
        await cache.get("db", refresh=True)
    setup.source.error[""] = UNAVAILABLE
    setup.clock.tick(5)

    assert CacheStatus.HIT is (await cache.get("db", refresh=True)).status
    assert CacheStatus.HIT is (await cache.get("db")).status


async def test_a_failed_refresh_ahead_keeps_the_fresh_value(setup):
    """While the ttl lasts, even a definite refusal of a refresh changes nothing for callers."""
    cache = await setup.prefetched(listed("db", refresh_ahead=0.5))
    setup.source.error[""] = REFUSED
    setup.clock.tick(TTL * 0.9)
    cache.refresh_due()
    await until(lambda: not cache.in_flight)

    assert CacheStatus.HIT is (await cache.get("db")).status
    setup.clock.tick(TTL * 0.1)
    with pytest.raises(SecretRefused):
        await cache.get("db")


# Back-off.


async def test_after_a_failure_nobody_asks_for_a_while(setup):
    """1 s, doubled to at most 60 s, with jitter; meanwhile the remembered error comes at once."""
    cache = await setup.prefetched()
    setup.source.error[""] = UNAVAILABLE
    setup.clock.tick(TTL)
    waits = []
    for _ in range(9):
        with pytest.raises(SecretUnavailable):
            await cache.get("db")
        calls = len(setup.source.fetched)
        waits.append(cache.seconds_to_next_refresh())
        setup.clock.tick(waits[-1] - 0.001)
        with pytest.raises(SecretUnavailable) as caught:
            await cache.get("db")
        assert calls == len(setup.source.fetched)
        assert pytest.approx(0.001, abs=1e-5) == caught.value.retry_after_seconds
        setup.clock.tick(0.001)

    assert [1, 2, 4, 8, 16, 32, 48, 48, 48] == waits


@pytest.mark.parametrize(("chance", "wait"), [(0.0, 0.75), (1.0, 1.25)])
async def test_the_back_off_is_spread(setup, chance, wait):
    """Environments that failed together do not ask again together."""
    setup.random = chance
    setup.source.error[""] = UNAVAILABLE

    cache = await setup.prefetched()

    assert wait * BACKOFF_SECONDS == cache.seconds_to_next_refresh()


async def test_the_back_off_ends_when_the_wall_clock_went_backwards(setup):
    """A back-off whose end cannot be known is over."""
    setup.source.error[""] = UNAVAILABLE
    cache = await setup.prefetched()
    setup.source.error.clear()
    setup.clock.step_wall(-5)

    assert 0 == cache.seconds_to_next_refresh()
    assert CacheStatus.MISS is (await cache.get("db")).status


async def test_a_success_ends_the_back_off(setup):
    """The next failure after a success begins at one second again."""
    setup.source.error[""] = UNAVAILABLE
    cache = await setup.prefetched()
    setup.clock.tick(1)
    with pytest.raises(SecretUnavailable):
        await cache.get("db")
    setup.source.error.clear()
    setup.clock.tick(2)
    await cache.get("db")
    setup.source.error[""] = UNAVAILABLE
    setup.clock.tick(TTL)
    with pytest.raises(SecretUnavailable):
        await cache.get("db")

    assert 1 == cache.seconds_to_next_refresh()


async def test_after_an_outage_every_secret_is_back_within_two_seconds(setup):
    """As soon as AWS has answered for any, also for one that is not listed; the timer knows of it."""
    setup.source.error[""] = UNAVAILABLE
    cache = await setup.prefetched(listed("db"), listed("api"), allow=("other",))
    setup.source.values["other"] = 1
    for _ in range(7):
        setup.clock.tick(cache.seconds_to_next_refresh())
        cache.refresh_due()
        await until(lambda: not cache.in_flight)
    setup.source.error.clear()
    assert 48 == cache.seconds_to_next_refresh()
    cache.changed.clear()

    await cache.get("other")

    assert cache.changed.is_set()
    assert 1.5 == cache.seconds_to_next_refresh()
    with pytest.raises(SecretUnavailable) as caught:
        await cache.get("db")
    assert 1.5 == caught.value.retry_after_seconds
    setup.clock.tick(1.5)
    assert [CacheStatus.MISS] * 2 == [(await cache.get(name)).status for name in ("db", "api")]


async def test_a_secret_that_failed_at_prefetch_is_asked_for_again(setup):
    """The timer comes back for it: a sidecar that is not ready gets no request that would."""
    setup.source.error[""] = UNAVAILABLE
    cache = await setup.prefetched()
    setup.source.error.clear()
    setup.clock.tick(1)

    cache.refresh_due()
    await until(lambda: not cache.in_flight)

    assert State.FRESH is cache.report()[0].state


async def test_raising_a_remembered_error_again_does_not_grow(setup):
    """The same error is raised to every caller; its traceback must not lengthen each time."""
    setup.source.error[""] = UNAVAILABLE
    cache = await setup.prefetched()

    depths = []
    for _ in range(3):
        with pytest.raises(SecretUnavailable) as caught:
            await cache.get("db")
        depths.append(len(caught.traceback))

    assert 1 == len(set(depths))


async def test_a_remembered_error_keeps_no_frames(setup):
    """They may hold AWS's answer, and would be held until the next fetch."""

    def fail() -> None:
        try:
            int("AWS's answer")
        except ValueError:
            raise UNAVAILABLE  # noqa: B904 - with its context, as it comes

    setup.source.error[""] = UNAVAILABLE
    with contextlib.suppress(SecretUnavailable):
        fail()
    cache = await setup.prefetched()
    (entry,) = cache._registry.listed.values()  # noqa: SLF001 - it shows nowhere else

    assert (None, None) == (entry.failure.error.__traceback__, entry.failure.error.__context__)
