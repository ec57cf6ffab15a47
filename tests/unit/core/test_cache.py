"""The cache: freshness, staleness, failure, sharing, names, bounds; each rule of it has its test."""

import asyncio
import gc

import pytest

from secrets_cache.core.cache import Cache
from secrets_cache.core.freshness import BACKOFF_SECONDS, FreshnessPolicy, State
from secrets_cache.core.registry import ListedEntry
from secrets_cache.core.results import CacheStatus, EntryKind, FetchEvent
from secrets_cache.core.secret import Ref, Secret
from secrets_cache.errors import (
    SecretNotConfigured,
    SecretNotFound,
    SecretRefused,
    SecretTimeout,
    SecretUnavailable,
)
from tests.support.fakes import FakeClock, FakeSource, secret
from tests.support.upstream import arn_of

TTL = 600.0
UNAVAILABLE = SecretUnavailable("db", code="connection-failed", cause="no connection")
REFUSED = SecretRefused("db", code="AccessDeniedException")


def policy(**changes: float) -> FreshnessPolicy:
    """Return a policy without refresh ahead and without staleness, but for `changes`."""
    values = {"ttl": TTL, "refresh_ahead": 0.0, "stale_while_revalidate": 0.0, "stale_if_error": 0.0, **changes}
    return FreshnessPolicy(**values)


def listed(*names: str, **changes: float) -> ListedEntry:
    """Return a listed secret: its names, the last of them its id."""
    return ListedEntry(ref=Ref(names[-1]), names=names, policy=policy(**changes))


class Setup:
    """A cache with its clock and source."""

    def __init__(self, source: FakeSource, clock: FakeClock) -> None:
        self.source = source
        self.clock = clock
        self.chance = 0.5
        # What chance says first.
        self.draws = iter(list[float]())
        source.values.update(db=1, api=1)

    def cache(self, *secrets: ListedEntry, allow: tuple[str, ...] = (), max_unlisted: int = 1000) -> Cache:
        return Cache(
            listed=secrets or (listed("db"),),
            allow=allow,
            policy=policy(),
            source=self.source,
            clock=self.clock,
            random=lambda: next(self.draws, self.chance),
            max_unlisted=max_unlisted,
        )

    async def prefetched(self, *secrets: ListedEntry, **options) -> Cache:
        cache = self.cache(*secrets, **options)
        await cache.prefetch()
        self.source.fetched.clear()
        return cache


@pytest.fixture(name="setup")
async def _setup(source, clock) -> Setup:
    return Setup(source, clock)


def version(answer) -> int:
    """Return the number of the version in an answer."""
    return int(answer.secret.version_id.removeprefix("version-"))


# Fresh.


async def test_a_fresh_value_is_answered_from_memory(setup):
    """Younger than its ttl, a value needs no upstream call."""
    cache = await setup.prefetched()
    setup.clock.tick(TTL - 0.001)

    answer = await cache.get("db")

    assert CacheStatus.HIT is answer.served
    assert [] == setup.source.fetched


async def test_a_value_never_had_is_fetched(setup):
    """The first get of an allowed name asks AWS."""
    cache = await setup.prefetched(allow=("a*",))

    answer = await cache.get("api")

    assert CacheStatus.MISS is answer.served
    assert [Ref("api")] == setup.source.fetched


async def test_a_request_before_the_prefetch_has_ended_joins_it(setup):
    """Whoever comes first waits for the prefetch's own call; there is no second one."""
    cache = setup.cache()
    setup.source.gate.clear()
    cache.start_prefetch()
    waiting = asyncio.create_task(cache.get("db"))
    await asyncio.sleep(0)

    setup.source.gate.set()

    assert CacheStatus.MISS is (await waiting).served
    assert [(Ref("db"),)] == setup.source.asked_together
    assert [] == setup.source.fetched


async def test_the_first_request_starts_the_prefetch_if_nobody_did(setup):
    """Where nothing may be fetched at init, the first request brings everything."""
    cache = setup.cache(listed("db"), listed("api"))

    await cache.get("db")

    assert [(Ref("db"), Ref("api"))] == setup.source.asked_together
    assert CacheStatus.HIT is (await cache.get("api")).served
    assert [] == setup.source.fetched


# Age.


@pytest.mark.parametrize("pass_time", [FakeClock.tick, FakeClock.freeze])
async def test_time_frozen_counts_as_age(setup, pass_time):
    """A value is expired once its ttl has passed on either clock."""
    cache = await setup.prefetched()
    pass_time(setup.clock, TTL)

    answer = await cache.get("db")

    assert CacheStatus.EXPIRED is answer.served
    assert [Ref("db")] == setup.source.fetched


async def test_monotonic_time_alone_counts_as_age(setup):
    """A wall clock that stands still makes nothing younger."""
    cache = await setup.prefetched()
    setup.clock.monotonic += TTL

    assert CacheStatus.EXPIRED is (await cache.get("db")).served


async def test_a_wall_clock_that_went_backwards_counts_as_expired(setup):
    """An age that cannot be known is too old."""
    cache = await setup.prefetched()
    setup.clock.step_wall(-1)

    assert CacheStatus.EXPIRED is (await cache.get("db")).served
    assert CacheStatus.HIT is (await cache.get("db")).served


async def test_a_wall_clock_that_went_backwards_may_still_bridge_an_outage(setup):
    """Counting as expired is not counting as infinitely old: the staleness that is allowed still is."""
    cache = await setup.prefetched(listed("db", stale_if_error=100))
    setup.source.error[""] = UNAVAILABLE
    setup.clock.step_wall(-1)

    assert CacheStatus.STALE is (await cache.get("db")).served


async def test_age_counts_from_when_the_fetch_was_sent(setup):
    """A slow answer is as old as its question."""
    cache = setup.cache()
    setup.source.gate.clear()
    asked = asyncio.create_task(cache.get("db"))
    await asyncio.sleep(0.01)
    setup.clock.tick(TTL)
    received = setup.clock.wall
    setup.source.gate.set()

    answer = await asked

    assert CacheStatus.MISS is answer.served
    assert received == answer.held.received_at
    assert CacheStatus.EXPIRED is (await cache.get("db")).served


async def test_serving_an_old_value_never_makes_it_younger(setup):
    """Staleness ends when it ends, however often the value was served."""
    cache = await setup.prefetched(listed("db", stale_if_error=100))
    setup.source.error[""] = UNAVAILABLE
    setup.clock.tick(TTL)
    for _ in range(10):
        assert CacheStatus.STALE is (await cache.get("db")).served
        setup.clock.tick(10)

    with pytest.raises(SecretUnavailable):
        await cache.get("db")


# Refresh ahead.


async def test_refresh_ahead_serves_the_fresh_value_and_refreshes_behind_it(setup):
    """Near its end a fresh value is answered at once, and one refresh begins."""
    cache = await setup.prefetched(listed("db", refresh_ahead=0.1))
    setup.source.values["db"] = 2
    setup.source.gate.clear()
    setup.clock.tick(TTL * 0.95)

    first, second = await cache.get("db"), await cache.get("db")
    await asyncio.sleep(0)
    assert (CacheStatus.HIT, 1, CacheStatus.HIT, 1) == (first.served, version(first), second.served, version(second))
    assert [Ref("db")] == setup.source.fetched

    setup.source.gate.set()
    await asyncio.sleep(0.01)

    assert 2 == version(await cache.get("db"))
    assert [Ref("db")] == setup.source.fetched


@pytest.mark.parametrize(("chance", "due"), [(0.0, 0.95), (0.5, 0.925), (1.0, 0.9)])
async def test_refresh_ahead_is_spread(setup, chance, due):
    """When in the window a refresh is due is left to chance, so that environments do not refresh in step."""
    setup.chance = chance
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
    cache = await setup.prefetched(listed("db", refresh_ahead=0.1), listed("api", ttl=2 * TTL, refresh_ahead=0.1))
    setup.clock.tick(TTL * 0.95)
    setup.source.gate.clear()

    cache.refresh_due()
    cache.refresh_due()
    await asyncio.sleep(0)

    assert [Ref("db")] == setup.source.fetched
    assert pytest.approx(2 * TTL * 0.925 - TTL * 0.95) == cache.seconds_to_next_refresh()
    await cache.aclose()


async def test_a_failed_refresh_ahead_keeps_the_fresh_value(setup):
    """While the ttl lasts, even a definite refusal of a refresh changes nothing for callers."""
    cache = await setup.prefetched(listed("db", refresh_ahead=0.5))
    setup.source.error[""] = REFUSED
    setup.clock.tick(TTL * 0.9)
    cache.refresh_due()
    await asyncio.sleep(0.01)

    assert CacheStatus.HIT is (await cache.get("db")).served
    setup.clock.tick(TTL * 0.1)
    with pytest.raises(SecretRefused):
        await cache.get("db")


# Expired.


async def test_callers_of_an_expired_secret_share_one_call(setup):
    """A thousand callers of one expired secret make one upstream call."""
    cache = await setup.prefetched()
    setup.clock.tick(TTL)

    answers = await asyncio.gather(*(cache.get("db") for _ in range(1000)))

    assert [Ref("db")] == setup.source.fetched
    assert {CacheStatus.EXPIRED} == {answer.served for answer in answers}


@pytest.mark.parametrize("leaver", [0, 1])
async def test_a_caller_that_goes_away_harms_no_other(setup, leaver):
    """Nor does the first one's cancellation."""
    cache = await setup.prefetched()
    setup.clock.tick(TTL)
    setup.source.gate.clear()
    waiting = [asyncio.create_task(cache.get("db")) for _ in range(2)]
    await asyncio.sleep(0)

    waiting[leaver].cancel()
    await asyncio.sleep(0)
    setup.source.gate.set()

    assert CacheStatus.EXPIRED is (await waiting[1 - leaver]).served
    assert [Ref("db")] == setup.source.fetched


@pytest.mark.parametrize("seconds", [TTL, -1.0], ids=["as long as the ttl", "the wall clock back"])
@pytest.mark.parametrize("refresh", [False, True])
async def test_a_fetch_that_was_frozen_is_not_for_those_who_ask_after_it(setup, seconds, refresh):
    """Its answer is as old as the freeze is long: they share the next one."""
    cache = await setup.prefetched()
    setup.clock.tick(TTL)
    setup.source.gate.clear()
    before = asyncio.create_task(cache.get("db"))
    await asyncio.sleep(0.01)
    setup.clock.freeze(seconds)
    after = [asyncio.create_task(cache.get("db", refresh=refresh)) for _ in range(10)]
    await asyncio.sleep(0.01)
    setup.source.gate.set()

    frozen = await before
    answers = [await task for task in after]
    assert {setup.clock.wall} == {answer.held.sent.wall for answer in answers}
    assert setup.clock.wall - seconds == frozen.held.sent.wall
    assert [Ref("db")] * 2 == setup.source.fetched


async def test_a_fetch_under_way_is_shared_while_its_answer_will_be_fresh(setup):
    """Who asks a moment before it would have expired still gets it."""
    cache = await setup.prefetched()
    setup.clock.tick(TTL)
    setup.source.gate.clear()
    tasks = [asyncio.create_task(cache.get("db"))]
    await asyncio.sleep(0.01)
    setup.clock.tick(TTL - 0.1)
    tasks.append(asyncio.create_task(cache.get("db")))
    await asyncio.sleep(0.01)
    setup.clock.tick(TTL)
    setup.source.gate.set()

    assert 2 == len(await asyncio.gather(*tasks))
    assert [Ref("db")] == setup.source.fetched


async def test_stale_while_revalidate_serves_the_old_value_while_refreshing(setup):
    """Within the window the old value comes at once, marked stale; past it, callers wait."""
    cache = await setup.prefetched(listed("db", stale_while_revalidate=60))
    setup.source.values["db"] = 2
    setup.clock.tick(TTL + 59)

    first = await cache.get("db")
    await asyncio.sleep(0.01)
    second = await cache.get("db")
    setup.clock.tick(TTL + 60)
    third = await cache.get("db")

    assert (CacheStatus.STALE, 1) == (first.served, version(first))
    assert (CacheStatus.HIT, 2) == (second.served, version(second))
    assert CacheStatus.EXPIRED is third.served


async def test_stale_while_revalidate_does_not_mask_a_definite_refusal(setup):
    """Once AWS has said no, the window does not reopen after the back-off."""
    cache = await setup.prefetched(listed("db", stale_while_revalidate=60))
    setup.source.error[""] = REFUSED
    setup.clock.tick(TTL)
    assert CacheStatus.STALE is (await cache.get("db")).served
    await asyncio.sleep(0.01)

    setup.clock.tick(10)

    with pytest.raises(SecretRefused):
        await cache.get("db")


# Failure.


@pytest.mark.parametrize("error", [UNAVAILABLE, SecretTimeout("db", budget_seconds=5)])
async def test_a_passing_failure_is_bridged_by_the_old_value(setup, error):
    """While stale_if_error covers it the old value is served, marked stale; after that the failure shows."""
    cache = await setup.prefetched(listed("db", stale_if_error=100))
    setup.source.error[""] = error
    setup.clock.tick(TTL + 99)
    assert CacheStatus.STALE is (await cache.get("db")).served
    assert State.STALE is cache.report()[0].state

    setup.clock.tick(1)

    with pytest.raises(type(error)):
        await cache.get("db")
    assert State.FAILED is cache.report()[0].state


@pytest.mark.parametrize("error", [REFUSED, SecretNotFound("db")])
async def test_a_definite_refusal_is_never_masked_once_expired(setup, error):
    """An expired value is no answer where AWS has said no."""
    cache = await setup.prefetched(listed("db", stale_if_error=100))
    setup.source.error[""] = error
    setup.clock.tick(TTL)

    for _ in range(2):
        with pytest.raises(type(error)):
            await cache.get("db")
    assert State.FAILED is cache.report()[0].state


async def test_a_definite_refusal_stands_until_aws_gives_the_value_again(setup):
    """That AWS cannot be asked afterwards unsays nothing: no staleness that is allowed brings the old value back."""
    cache = await setup.prefetched(listed("db", stale_while_revalidate=100, stale_if_error=100))
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
    assert CacheStatus.EXPIRED is (await cache.get("db")).served
    setup.source.error[""] = UNAVAILABLE
    setup.clock.tick(TTL)
    assert CacheStatus.STALE is (await cache.get("db")).served


async def test_a_refusal_takes_nothing_from_a_fresh_value(setup):
    """Who forces is told of it; if AWS cannot be asked afterwards, the answer is what it would be without forcing."""
    cache = await setup.prefetched(listed("db", stale_if_error=100))
    setup.source.error[""] = REFUSED
    with pytest.raises(SecretRefused):
        await cache.get("db", refresh=True)
    setup.source.error[""] = UNAVAILABLE
    setup.clock.tick(5)

    assert CacheStatus.HIT is (await cache.get("db", refresh=True)).served
    assert CacheStatus.HIT is (await cache.get("db")).served


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
    setup.chance = chance
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
    assert CacheStatus.MISS is (await cache.get("db")).served


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


async def test_a_secret_that_failed_at_prefetch_is_asked_for_again(setup):
    """The timer comes back for it: a sidecar that is not ready gets no request that would."""
    setup.source.error[""] = UNAVAILABLE
    cache = await setup.prefetched()
    setup.source.error.clear()
    setup.clock.tick(1)

    cache.refresh_due()
    await asyncio.sleep(0.01)

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


async def test_an_error_of_ours_is_a_passing_failure(setup, caplog):
    """What the source raises unexpectedly reaches callers by its type alone, and the old value bridges it."""
    cache = await setup.prefetched(listed("db", stale_if_error=100))
    setup.source.error[""] = ZeroDivisionError("with something in it")
    setup.clock.tick(TTL)

    assert CacheStatus.STALE is (await cache.get("db")).served
    assert "internal-error" == cache.report()[0].error
    assert "with something in it" not in caplog.text


# Forced refresh.


async def test_a_forced_refresh_brings_a_new_value(setup):
    """Asked for, a fetch is made though the value is fresh."""
    cache = await setup.prefetched()
    setup.source.values["db"] = 2

    answer = await cache.get("db", refresh=True)

    assert (CacheStatus.FORCED, 2) == (answer.served, version(answer))


async def test_forced_refreshes_are_shared_and_at_most_one_a_second(setup):
    """Whoever forces within a second of another gets what that one brought."""
    cache = await setup.prefetched()

    answers = await asyncio.gather(*(cache.get("db", refresh=True) for _ in range(100)))
    assert {CacheStatus.FORCED} == {answer.served for answer in answers}
    setup.clock.tick(0.999)
    assert CacheStatus.HIT is (await cache.get("db", refresh=True)).served
    assert 1 == len(setup.source.fetched)
    setup.clock.tick(0.001)
    assert CacheStatus.FORCED is (await cache.get("db", refresh=True)).served
    assert 2 == len(setup.source.fetched)


async def test_a_forced_refresh_of_a_secret_never_had_is_a_miss(setup):
    """There is nothing to pass over."""
    cache = await setup.prefetched(allow=("a*",))

    assert CacheStatus.MISS is (await cache.get("api", refresh=True)).served


async def test_a_forced_refresh_that_fails_in_passing_gives_the_held_value(setup):
    """The value is still good; what failed is only the wish for a newer one. The back-off holds here too."""
    cache = await setup.prefetched()
    setup.source.error[""] = UNAVAILABLE

    assert CacheStatus.HIT is (await cache.get("db", refresh=True)).served
    setup.clock.tick(0.5)
    assert CacheStatus.HIT is (await cache.get("db", refresh=True)).served
    assert 1 == len(setup.source.fetched)


async def test_a_forced_refresh_that_is_refused_tells_who_asked_and_nobody_else(setup):
    """Whoever wanted AWS's word gets it; the fresh value remains for the others."""
    cache = await setup.prefetched()
    setup.source.error[""] = REFUSED

    for _ in range(2):
        with pytest.raises(SecretRefused):
            await cache.get("db", refresh=True)
    assert 1 == len(setup.source.fetched)
    assert CacheStatus.HIT is (await cache.get("db")).served


async def test_a_forced_refresh_is_possible_again_when_the_wall_clock_went_backwards(setup):
    """A second that cannot be measured has passed."""
    cache = await setup.prefetched()
    await cache.get("db", refresh=True)
    setup.clock.step_wall(-10)

    assert CacheStatus.FORCED is (await cache.get("db", refresh=True)).served


# Names and versions.


async def test_a_secret_answers_to_its_alias_its_id_and_its_other_name(setup):
    """Listed by name it answers to its ARN once fetched; listed by ARN, to its name."""
    cache = await setup.prefetched(listed("short", "db"), listed(arn_of("api")))
    setup.source.values[arn_of("api")] = 1

    for name in ("short", "db", arn_of("db")):
        assert CacheStatus.HIT is (await cache.get(name)).served
    setup.clock.tick(1)
    assert "api" == (await cache.get(arn_of("api"))).secret.name
    assert CacheStatus.HIT is (await cache.get("api")).served


async def test_another_name_asked_for_before_the_prefetch_has_ended_waits_for_it(setup):
    """It may be a listed secret's ARN: that is known when it has been fetched."""
    cache = setup.cache()
    setup.source.gate.clear()
    waiting = asyncio.create_task(cache.get(arn_of("db")))
    await asyncio.sleep(0)

    setup.source.gate.set()

    assert "db" == (await waiting).secret.name


@pytest.mark.parametrize("name", ["api", "db", arn_of("nobody")])
async def test_nobody_waits_for_a_secret_that_cannot_be_meant(setup, name):
    """What `allow` covers is fetched at once, what nothing covers is refused at once; the others take their time."""
    cache = setup.cache(listed("slow", "other"), allow=("*i", "d*"))
    cache.start_prefetch()
    setup.source.gate.clear()
    asked = asyncio.create_task(cache.get(name))
    for _ in range(5):
        await asyncio.sleep(0)

    assert [Ref(name)] == setup.source.fetched or isinstance(asked.exception(), SecretNotConfigured)

    setup.source.gate.set()
    await asyncio.gather(asked, return_exceptions=True)
    await cache.aclose()


async def test_one_name_in_two_accounts_is_said_once(setup, caplog):
    """The first listed has it; whoever reads the log learns why the second does not answer to it."""
    other = arn_of("db").replace("123456789012", "999999999999")
    setup.source.values.update({arn_of("db"): 1, other: 2})
    cache = await setup.prefetched(listed("mine", arn_of("db")), listed("theirs", other))
    setup.clock.tick(TTL)

    assert 1 == version(await cache.get("db"))
    assert 2 == version(await cache.get("theirs"))
    shared = [record.args for record in caplog.records if record.msg == "secret.name_shared"]
    assert [{"secret": "theirs", "name": "db"}] == shared


async def test_a_name_that_is_neither_listed_nor_allowed(setup):
    """It is refused, and AWS is not asked."""
    cache = await setup.prefetched(allow=("prod/*",))

    for name in ("api", "prod", "xprod/a", ""):
        with pytest.raises(SecretNotConfigured):
            await cache.get(name)
    assert [] == setup.source.fetched


async def test_of_two_that_claim_a_name_the_first_has_it(setup):
    """Names are given in the order of the configuration."""
    setup.source.values.update(one=1, two=1)
    cache = await setup.prefetched(listed("same", "one"), listed("same", "two"))

    assert "one" == (await cache.get("same")).secret.name
    assert "two" == (await cache.get("two")).secret.name


async def test_versions_are_cached_apart(setup):
    """Each stage and each id is an entry of its own, under the listed secret's policy."""
    cache = await setup.prefetched(listed("db", ttl=10))

    for _ in range(2):
        for selection in ({"version_stage": "AWSPREVIOUS"}, {"version_id": "v" * 32}, {"version_stage": "AWSCURRENT"}):
            await cache.get("db", **selection)
    assert [Ref("db", version_stage="AWSPREVIOUS"), Ref("db", version_id="v" * 32)] == setup.source.fetched

    setup.clock.tick(10)
    assert CacheStatus.EXPIRED is (await cache.get("db", version_stage="AWSPREVIOUS")).served


async def test_a_listed_version_does_not_take_the_current_ones_other_name(setup):
    """The ARN stands for what the id stands for, in whatever order they were fetched."""
    previous = ListedEntry(ref=Ref("db", version_stage="AWSPREVIOUS"), names=("old",), policy=policy())
    cache = await setup.prefetched(previous, listed("db"))

    assert (await cache.get(arn_of("db"))).held is (await cache.get("db")).held
    assert (await cache.get("old")).held is not (await cache.get("db")).held


# Bounds.


async def test_unlisted_entries_are_bounded_and_the_least_recently_used_goes_first(setup):
    """Listed ones never go."""
    setup.source.values.update({f"n{number}": 1 for number in range(4)})
    cache = await setup.prefetched(allow=("n*",), max_unlisted=3)
    for name in ("n0", "n1", "n2", "n0", "n3"):
        await cache.get(name)
    setup.source.fetched.clear()

    for name in ("n0", "n2", "n3", "db"):
        assert CacheStatus.HIT is (await cache.get(name)).served
    assert CacheStatus.MISS is (await cache.get("n1")).served


async def test_a_forgotten_entry_takes_its_other_names_along(setup):
    """What is gone answers to nothing."""
    setup.source.values.update(n0=1, n1=1)
    cache = await setup.prefetched(allow=("n*",), max_unlisted=1)
    await cache.get("n0")
    assert CacheStatus.HIT is (await cache.get(arn_of("n0"))).served
    await cache.get("n1")

    with pytest.raises(SecretNotConfigured):
        await cache.get(arn_of("n0"))


async def test_an_entry_forgotten_while_it_is_fetched_still_answers_its_callers(setup):
    """Eviction is about memory, not about who is waiting; nothing is learned for it any more."""
    setup.source.values.update(n0=1, n1=1)
    cache = await setup.prefetched(allow=("n*",), max_unlisted=1)
    setup.source.gate.clear()
    waiting = [asyncio.create_task(cache.get(name)) for name in ("n0", "n1")]
    await asyncio.sleep(0.01)
    setup.source.gate.set()

    assert ["n0", "n1"] == [answer.secret.name for answer in await asyncio.gather(*waiting)]
    with pytest.raises(SecretNotConfigured):
        await cache.get(arn_of("n0"))


# Prefetch, report, end.


async def test_the_prefetch_asks_for_everything_listed_at_once_and_only_once(setup):
    """A second call waits for the first; one secret's failure is its own."""
    cache = setup.cache(listed("db"), listed("missing"), listed("api"))

    await asyncio.gather(cache.prefetch(), cache.prefetch())
    await cache.prefetch()

    assert [(Ref("db"), Ref("missing"), Ref("api"))] == setup.source.asked_together
    assert [State.FRESH, State.FAILED, State.FRESH] == [report.state for report in cache.report()]


async def test_what_is_delivered_twice_counts_once(setup):
    """The first time: nothing waits for the second, and it disturbs nobody."""
    fetch_many = setup.source.fetch_many

    async def twice(refs, deliver):
        await fetch_many(refs, deliver)
        setup.source.values["db"] = 99
        await fetch_many(refs, deliver)

    setup.source.values["db"] = 7
    setup.source.fetch_many = twice
    cache = await setup.prefetched(listed("db"))

    assert "version-7" == (await cache.get("db")).secret.version_id


async def test_a_prefetch_that_crashes_fails_its_secrets_in_passing(setup, caplog):
    """Nobody is left waiting, and the type of the error is all that shows."""
    setup.source.crash_together = ZeroDivisionError("with something in it")

    cache = await setup.prefetched()

    with pytest.raises(SecretUnavailable):
        await cache.get("db")
    assert "internal.error" in caplog.text
    assert "with something in it" not in caplog.text
    setup.clock.tick(1)
    assert CacheStatus.MISS is (await cache.get("db")).served


async def test_a_prefetch_that_is_cancelled_by_nobody_fails_its_secrets_in_passing(setup):
    """Nobody is left waiting, and nobody else is cancelled."""
    setup.source.crash_together = asyncio.CancelledError()

    cache = await setup.prefetched()

    with pytest.raises(SecretUnavailable):
        await cache.get("db")
    setup.clock.tick(2)
    assert CacheStatus.MISS is (await cache.get("db")).served


async def test_the_report_shows_states_and_never_values(setup):
    """pending, fresh, stale and failed, with age, version and error code."""
    cache = setup.cache(listed("db", stale_if_error=100))
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


async def test_what_happened_is_counted(setup):
    """Hits, misses, stale answers, refreshes, failures."""
    cache = setup.cache(listed("db", stale_if_error=100))
    await cache.get("db")
    await cache.get("db")
    setup.source.error[""] = UNAVAILABLE
    setup.clock.tick(TTL)
    await cache.get("db")
    counts = cache.counts

    assert (1, 1, 1, 2, 1) == (counts.hits, counts.misses, counts.stale, counts.refreshes, counts.failures)


async def test_how_long_fetches_take_is_counted(setup):
    """Failed ones too; time frozen, which the monotonic clock does not see, is not in it."""
    cache = setup.cache()
    for seconds, frozen, error in ((0.03, 0, None), (1, 3600, UNAVAILABLE), (100, 0, None)):
        setup.source.error = {} if error is None else {"": error}
        setup.source.gate.clear()
        asking = asyncio.ensure_future(cache.get("db", refresh=True))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        setup.clock.tick(seconds)
        setup.clock.freeze(frozen)
        setup.source.gate.set()
        await asyncio.gather(asking, return_exceptions=True)
        setup.clock.tick(BACKOFF_SECONDS * 2)
    latency = cache.counts.latency

    assert (3, 100) == (latency.count, latency.longest)
    assert 101.03 == pytest.approx(latency.total)
    assert {2: 1, 6: 1, len(latency.BOUNDS): 1} == {at: number for at, number in enumerate(latency.up_to) if number}
    assert {"fetch_mean_ms": 33677, "fetch_max_ms": 100_000, "failures": 1}.items() <= cache.counts.as_fields().items()


async def test_without_a_fetch_there_is_no_latency(setup):
    """A mean of nothing would be a lie."""
    assert {"hits", "misses", "stale", "refreshes", "failures"} == set(setup.cache().counts.as_fields())


async def test_observers_are_told_of_each_fetch_that_has_ended(setup):
    """Whether it is listed, whether it failed, and how many are still under way: the last of a round is known."""
    cache = setup.cache(listed("db"), listed("gone"), allow=("a*",))
    told: list[FetchEvent] = []
    cache.observers.append(told.append)
    await cache.prefetch()
    await cache.get("api")

    assert [
        FetchEvent("db", is_listed=True, seconds=0, has_failed=False, others=1),
        FetchEvent("gone", is_listed=True, seconds=0, has_failed=True, others=0),
        FetchEvent("api", is_listed=False, seconds=0, has_failed=False, others=0),
    ] == told


async def test_a_fetch_that_is_cancelled_is_under_way_no_more(setup):
    """Else none would ever again be the last one."""
    cache = await setup.prefetched()
    told: list[FetchEvent] = []
    cache.observers.append(told.append)
    setup.source.gate.clear()
    asking = asyncio.ensure_future(cache.get("db", refresh=True))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for task in asyncio.all_tasks() - {asking, asyncio.current_task()}:
        task.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert [] == told
    setup.source.gate.set()
    setup.clock.tick(TTL)
    await cache.get("db")

    assert [0] == [fetched.others for fetched in told]


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
        (one.name, one.kind, one.refreshes, one.failures) for one in cache.report()
    ]


async def test_only_what_matters_is_logged_at_info(setup, caplog):
    """A refresh that changed nothing is DEBUG; a new version, and a recovery, are INFO."""
    cache = await setup.prefetched()
    caplog.clear()
    await cache.get("db", refresh=True)
    assert ["DEBUG"] == [record.levelname for record in caplog.records]

    caplog.clear()
    setup.source.values["db"] = 2
    setup.clock.tick(1)
    await cache.get("db", refresh=True)

    record = caplog.records[0]
    assert ("INFO", "secret.refreshed") == (record.levelname, record.msg)
    assert {"secret": "db", "version_id": "version-2", "changed": True, "took_ms": 0} == record.args


async def test_a_failed_refresh_is_logged_once_with_its_reason(setup, caplog):
    """WARNING while an old value is served, ERROR when callers go without."""
    cache = await setup.prefetched(listed("db", stale_if_error=100))
    setup.source.error[""] = UNAVAILABLE
    setup.clock.tick(TTL)
    caplog.clear()
    await cache.get("db")
    await cache.get("db")
    setup.clock.tick(100)
    with pytest.raises(SecretUnavailable):
        await cache.get("db")

    assert ["WARNING", "ERROR"] == [record.levelname for record in caplog.records]
    assert {"secret.fetch_failed"} == {record.msg for record in caplog.records}
    assert "connection-failed" == caplog.records[0].args["code"]


async def test_closing_leaves_nothing_under_way(setup, caplog):
    """Neither a task nor an exception that nobody retrieves, nor a word of a failure that was none."""
    cache = setup.cache(listed("db"), listed("api"))
    setup.source.gate.clear()
    waiting = asyncio.create_task(cache.get("db"))
    await asyncio.sleep(0)

    await cache.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gc.collect()

    assert {asyncio.current_task()} == asyncio.all_tasks()
    assert [] == caplog.records


async def test_closing_a_cache_that_was_never_asked(setup):
    """There is nothing to close."""
    await setup.cache().aclose()

    assert [] == setup.source.asked_together


def test_with_nothing_listed_nothing_is_due(setup):
    """The timer then sleeps until something changes."""
    cache = Cache(listed=(), allow=(), policy=policy(), source=setup.source, clock=setup.clock, random=lambda: 0.5)

    assert cache.seconds_to_next_refresh() is None


# A path of parameters, and asking for anything.


class PathSource(FakeSource):
    """A source of the path `/app/`."""

    def _find(self, ref: Ref) -> Secret:
        found = super()._find(ref)
        members = {f"/app/{name}": secret(f"/app/{name}", version=number) for name, number in self.values.items()}
        return found._replace(members=members) if ref.is_path else found


async def test_what_is_below_a_path_is_fetched_and_grows_old_with_it(clock):
    """One call for all of it; each with its own version, and the path's age."""
    source = PathSource()
    source.values.update({"/app/": 1, "a": 7})
    path = ListedEntry(ref=Ref("/app/", is_parameter=True), names=("/app/",), policy=policy())
    cache = Setup(source, clock).cache(path)
    await cache.prefetch()

    answer = await cache.get("/app/a")
    with pytest.raises(SecretNotFound, match="parameter '/app/nope' was not found in Parameter Store"):
        await cache.get("/app/nope")
    clock.tick(TTL)
    source.values["a"] = 8
    again = await cache.get("/app/a")

    assert ("version-7", CacheStatus.HIT) == (answer.secret.version_id, answer.served)
    assert ("version-8", CacheStatus.EXPIRED) == (again.secret.version_id, again.served)
    assert (1, 1) == (len(source.asked_together), len(source.fetched))


async def test_who_may_ask_for_anything_gets_it_and_shares_the_cache(setup):
    """Listed or not; what is listed from the same entry."""
    cache = await setup.prefetched()

    assert CacheStatus.HIT is (await cache.get_any(Ref("db"))).served
    assert CacheStatus.MISS is (await cache.get_any(Ref("api"))).served
    assert CacheStatus.HIT is (await cache.get_any(Ref("api"))).served
    assert [Ref("api")] == setup.source.fetched
    with pytest.raises(SecretNotConfigured):
        await cache.get("api")


async def test_a_maximum_age_of_the_callers_own_makes_a_fresh_value_too_old(setup):
    """For that caller; it is fetched once, and then younger for all. Zero always asks."""
    cache = await setup.prefetched()
    setup.clock.tick(10)

    assert CacheStatus.HIT is (await cache.get_any(Ref("db"), max_age=11)).served
    assert 11 == (await cache.get_any(Ref("db"), max_age=11)).good_for
    assert CacheStatus.EXPIRED is (await cache.get_any(Ref("db"), max_age=10)).served
    assert CacheStatus.HIT is (await cache.get_any(Ref("db"), max_age=10)).served
    assert [CacheStatus.EXPIRED] * 2 == [(await cache.get_any(Ref("db"), max_age=0)).served for _ in range(2)]
    assert 3 == len(setup.source.fetched)


def parameters(*names: str, **changes: float) -> list[ListedEntry]:
    """Return listed parameters."""
    return [
        ListedEntry(ref=Ref(name, is_parameter=True), names=(name,), policy=policy(refresh_ahead=0.2, **changes))
        for name in names
    ]


async def test_parameters_that_are_soon_due_are_refreshed_together(setup):
    """When one is: ten come with one call, and there are few calls. Secrets go singly, and so does who is young."""
    setup.source.values.update({"/a": 1, "/b": 1, "/young": 1, "db": 1})
    cache = await setup.prefetched(
        *parameters("/a", "/b"), *parameters("/young", ttl=TTL * 2), listed("db", refresh_ahead=0.2)
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

    assert [CacheStatus.EXPIRED] * 3 == [answer.served for answer in answers]
    assert (1, 0) == (len(setup.source.asked_together), len(setup.source.fetched))


@pytest.mark.parametrize("error", [asyncio.CancelledError(), SystemExit(1), ZeroDivisionError()], ids=repr)
async def test_whatever_ends_a_fetch_is_a_failure(setup, error):
    """A stray cancellation too: the old value bridges it, and AWS is left alone for a while."""
    cache = await setup.prefetched(listed("db", stale_if_error=100))
    setup.source.error[""] = error
    setup.clock.tick(TTL)

    answers = [(await cache.get("db")).served for _ in range(3)]

    assert ([CacheStatus.STALE] * 3, 1) == (answers, len(setup.source.fetched))
    assert "internal-error" == cache.report()[0].error


async def test_a_slow_fetch_is_shared_by_those_who_come_after_its_ttl(setup):
    """One call, though the answer is older than its ttl when it comes: only what was frozen is asked for again."""
    cache = Cache(
        listed=[listed("db", ttl=1)], allow=(), policy=policy(), source=setup.source, clock=setup.clock,
        random=lambda: 0.5, slowest_fetch=5,
    )  # fmt: skip
    setup.source.gate.clear()
    first = asyncio.create_task(cache.get("db"))
    await asyncio.sleep(0.001)
    setup.clock.tick(3)
    second = asyncio.create_task(cache.get("db"))
    await asyncio.sleep(0)
    setup.source.gate.set()
    await asyncio.gather(first, second)

    assert (1, 0) == (len(setup.source.asked_together), len(setup.source.fetched))


async def test_parameters_that_failed_together_are_asked_for_together_again(setup):
    """As soon as the first may be: what throttled one call must not get ten. What was refused would fail the others."""
    setup.source.error.update({"/a": UNAVAILABLE, "/b": UNAVAILABLE, "/no": REFUSED})
    setup.chance = 0.0
    cache = await setup.prefetched(*parameters("/a", "/b", "/no"))
    setup.source.asked_together.clear()
    setup.chance = 1.0
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
async def test_when_parameters_that_came_together_are_due_is_chances_word_once(setup, items, due):
    """The earliest of ten would be the same moment in every environment. Secrets have each its own."""
    setup.source.values.update({"/a": 1, "/b": 1})
    setup.draws = iter([0.0, 1.0])
    cache = await setup.prefetched(*items)

    assert due * TTL == cache.seconds_to_next_refresh()
