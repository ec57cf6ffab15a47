"""A cache that gets another configuration while it runs."""

import asyncio

import pytest

from secrets_cache.core.cache import Cache
from secrets_cache.core.freshness import State
from secrets_cache.core.registry import ListedEntry
from secrets_cache.core.results import CacheStatus
from secrets_cache.core.secret import Ref
from secrets_cache.errors import SecretNotConfigured
from tests.support.caches import TTL, listed, policy, until
from tests.support.upstream import arn_of


def change(cache: Cache, *items: ListedEntry, allow: tuple[str, ...] = (), **changes: float) -> None:
    """Give a cache another configuration."""
    cache.reconfigure(listed=items, allow=allow, policy=policy(**changes))


async def test_what_stays_listed_keeps_its_value_and_only_what_is_new_is_fetched(setup):
    """Its ARN still means it; a new alias does at once."""
    cache = setup.cache(listed("db"))
    await cache.prefetch()

    change(cache, listed("alias", "db"), listed("api"))
    await cache.prefetch()

    assert [(Ref("db"),), (Ref("api"),)] == setup.source.asked_together
    for name in ("db", "alias", arn_of("db"), "api"):
        assert CacheStatus.HIT is (await cache.get(name)).status
    assert ["alias", "api"] == [report.name for report in cache.report()]


async def test_what_is_gone_is_not_served_in_any_version(setup):
    """Under none of its names."""
    cache = setup.cache(listed("db"), listed("api"))
    await cache.prefetch()
    await cache.get("db", version_stage="AWSPREVIOUS")

    change(cache, listed("api"))

    for name in ("db", arn_of("db")):
        with pytest.raises(SecretNotConfigured):
            await cache.get(name)
    asked = len(setup.source.fetched)
    await cache.get_any(Ref("db", version_stage="AWSPREVIOUS"))
    assert asked + 1 == len(setup.source.fetched)


async def test_a_caller_of_what_is_gone_still_gets_its_answer(setup):
    """The fetch under way goes on. Listed again meanwhile, the secret has its value without another fetch."""
    cache = setup.cache(listed("db"))
    setup.source.gate.clear()
    waiting = asyncio.create_task(cache.get("db"))
    await until(lambda: setup.source.asked_together)

    change(cache)
    change(cache, listed("db"))
    setup.source.gate.set()

    assert CacheStatus.MISS is (await waiting).status
    assert [State.FRESH] == [report.state for report in cache.report()]
    assert 1 == len(setup.source.asked_together)


async def test_another_ttl_counts_at_once_also_for_the_timer(setup):
    """The value keeps its age."""
    cache = setup.cache(listed("db"))
    await cache.prefetch()
    setup.clock.tick(100)

    change(cache, listed("db", ttl_seconds=TTL * 2, refresh_ahead=0.5))
    longer = cache.seconds_to_next_refresh()
    change(cache, listed("db", ttl_seconds=50.0))

    assert longer is not None
    assert TTL - 100 <= longer < TTL * 2 - 100
    assert State.STALE is cache.report()[0].state


async def test_on_demand_values_stay_as_long_as_they_are_allowed(setup):
    """With the general ttl of the new configuration."""
    cache = setup.cache(allow=("a*",))
    await cache.get("api")

    change(cache, allow=("a*", "b*"))
    assert CacheStatus.HIT is (await cache.get("api")).status
    change(cache, allow=("a*",), ttl_seconds=5.0)
    setup.clock.tick(6)
    assert CacheStatus.HIT is not (await cache.get("api")).status
    change(cache)
    with pytest.raises(SecretNotConfigured):
        await cache.get("api")


async def test_every_change_ends_what_was_prepared_and_wakes_the_timer(setup):
    """Prepared answers are those of one generation."""
    cache = setup.cache(listed("db"))
    await cache.prefetch()
    cache.changed.clear()
    before = cache.generation

    change(cache, listed("db"))

    assert before != cache.generation
    assert cache.changed.is_set()
