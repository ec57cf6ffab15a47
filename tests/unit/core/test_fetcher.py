"""Fetches under way: who shares them, what ends them, what is kept, counted, told and logged of them."""

import asyncio
import gc

import pytest

from secrets_cache.core.backoff import BACKOFF_SECONDS
from secrets_cache.core.results import CacheResult, CacheStatus
from secrets_cache.core.secret import Ref, Secret
from secrets_cache.core.stats import FetchEvent
from secrets_cache.errors import SecretError, SecretNotFound, SecretUnavailable
from tests.support.caches import TTL, UNAVAILABLE, Setup, listed, parameters, until
from tests.support.fakes import FakeClock, FakeSource, secret, with_fields
from tests.support.upstream import arn_of

# Who shares a fetch.


async def test_callers_of_an_expired_secret_share_one_call(setup):
    """A thousand callers of one expired secret make one upstream call."""
    cache = await setup.prefetched()
    setup.clock.tick(TTL)

    answers = await asyncio.gather(*(cache.get("db") for _ in range(1000)))

    assert [Ref("db")] == setup.source.fetched
    assert {CacheStatus.EXPIRED} == {answer.status for answer in answers}


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

    assert CacheStatus.EXPIRED is (await waiting[1 - leaver]).status
    assert [Ref("db")] == setup.source.fetched


@pytest.mark.parametrize("seconds", [TTL, -1.0], ids=["as long as the ttl", "the wall clock back"])
@pytest.mark.parametrize("refresh", [False, True])
async def test_a_fetch_that_was_frozen_is_not_for_those_who_ask_after_it(setup, seconds, refresh):
    """Its answer is as old as the freeze is long: they share the next one."""
    cache = await setup.prefetched()
    setup.clock.tick(TTL)
    setup.source.gate.clear()
    before = asyncio.create_task(cache.get("db"))
    await until(lambda: setup.source.fetched)
    setup.clock.freeze(seconds)
    after = [asyncio.create_task(cache.get("db", refresh=refresh)) for _ in range(10)]
    await asyncio.sleep(0)
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
    await until(lambda: setup.source.fetched)
    setup.clock.tick(TTL - 0.1)
    tasks.append(asyncio.create_task(cache.get("db")))
    await asyncio.sleep(0)
    setup.clock.tick(TTL)
    setup.source.gate.set()

    assert 2 == len(await asyncio.gather(*tasks))
    assert [Ref("db")] == setup.source.fetched


async def test_a_slow_fetch_is_shared_by_those_who_come_after_its_ttl(setup):
    """One call, though the answer is older than its ttl when it comes: only what was frozen is asked for again."""
    cache = setup.cache(listed("db", ttl_seconds=1), fetch_timeout_seconds=5)
    setup.source.gate.clear()
    first = asyncio.create_task(cache.get("db"))
    await until(lambda: setup.source.asked_together)
    setup.clock.tick(3)
    second = asyncio.create_task(cache.get("db"))
    await asyncio.sleep(0)
    setup.source.gate.set()
    await asyncio.gather(first, second)

    assert (1, 0) == (len(setup.source.asked_together), len(setup.source.fetched))


# What ends a fetch.


@pytest.mark.parametrize(
    "error", [asyncio.CancelledError(), SystemExit(1), ZeroDivisionError("with something in it")], ids=repr
)
async def test_whatever_ends_a_fetch_is_a_failure(setup, error, caplog):
    """A stray cancellation too: the old value bridges it, AWS is left alone for a while, and only its type shows."""
    cache = await setup.prefetched(listed("db", stale_if_error_seconds=100))
    setup.source.error[""] = error
    setup.clock.tick(TTL)

    answers = [(await cache.get("db")).status for _ in range(3)]

    assert ([CacheStatus.STALE] * 3, 1) == (answers, len(setup.source.fetched))
    assert "internal-error" == cache.report()[0].error
    assert "with something in it" not in caplog.text


async def test_a_secret_that_cannot_be_kept_is_a_failure_of_its_own(setup):
    """The others of its round are none the worse, and nobody waits for it in vain."""

    async def fetch_many(refs):
        for ref in refs:
            yield ref, with_fields(secret(ref.secret_id), arn=["an ARN"] if ref.secret_id == "db" else arn_of("api"))

    setup.source.fetch_many = fetch_many
    cache = await setup.prefetched(listed("db"), listed("api"))

    assert ["internal-error", None] == [one.error for one in cache.report()]


async def test_an_internal_error_of_a_parameter_names_a_parameter(setup):
    """In a round, and in a fetch of its own."""
    setup.source.crash_together = setup.source.error[""] = ZeroDivisionError()
    cache = await setup.prefetched(*parameters("/a"))
    with pytest.raises(SecretUnavailable, match=r"^parameter '/a' is unavailable: the batch ended without"):
        await cache.get("/a")
    setup.clock.tick(2 * BACKOFF_SECONDS)

    with pytest.raises(SecretUnavailable, match=r"^parameter '/a' is unavailable: internal error"):
        await cache.get("/a")


class Script:
    """
    A round whose results come one by one.

    Attributes:
        results: What comes next; a Ref alone is a secret, None ends the round.
    """

    def __init__(self) -> None:
        self.results: asyncio.Queue[tuple[Ref, Secret | SecretError] | None] = asyncio.Queue()

    async def fetch_many(self, refs):
        """Yield what comes."""
        while (result := await self.results.get()) is not None:
            yield result


async def test_each_result_of_a_round_is_served_as_soon_as_it_arrives(setup):
    """However long the others take; who waits for another one goes on waiting."""
    script = Script()
    setup.source.fetch_many = script.fetch_many
    cache = setup.cache(listed("db"), listed("api"))
    waiting = [asyncio.create_task(cache.get(name)) for name in ("db", "api")]

    script.results.put_nowait((Ref("api"), secret("api")))
    assert CacheStatus.MISS is (await waiting[1]).status
    assert CacheStatus.HIT is (await cache.get("api")).status
    assert (False, 1) == (waiting[0].done(), cache.in_flight)

    script.results.put_nowait((Ref("db"), UNAVAILABLE))
    with pytest.raises(SecretUnavailable):
        await waiting[0]
    await cache.aclose()


async def test_what_a_round_leaves_out_is_a_failure(setup):
    """As is what it adds or repeats nothing: the first result of each counts, for what was asked."""
    script = Script()
    setup.source.fetch_many = script.fetch_many
    for result in (
        (Ref("api"), secret("api", version=7)),
        (Ref("api"), secret("api", version=8)),
        (Ref("other"), secret("other")),
        None,
    ):
        script.results.put_nowait(result)
    cache = await setup.prefetched(listed("db"), listed("api"))

    assert [("internal-error", None), (None, "version-7")] == [(one.error, one.version_id) for one in cache.report()]
    assert 0 == cache.in_flight


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("with something in it"), asyncio.CancelledError("with something in it")], ids=repr
)
async def test_a_prefetch_that_crashes_fails_its_secrets_in_passing(setup, error, caplog):
    """A stray cancellation too. Nobody is left waiting or cancelled, and the type of the error is all that shows."""
    setup.source.crash_together = error

    cache = await setup.prefetched()

    with pytest.raises(SecretUnavailable):
        await cache.get("db")
    assert "internal.error" in caplog.text
    assert "with something in it" not in caplog.text
    setup.clock.tick(2)
    assert CacheStatus.MISS is (await cache.get("db")).status


# What is told of it.


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
    cache = await setup.prefetched(listed("db", stale_if_error_seconds=100))
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
    assert not {"version_id", "version_stage"} & set(caplog.records[0].args)


async def test_a_failed_fetch_of_a_version_names_the_version(setup, caplog):
    """By its label and its id, as far as it was asked for by them."""
    cache = await setup.prefetched()
    setup.source.error[""] = SecretNotFound("db")
    for version_id in (None, "v1"):
        with pytest.raises(SecretNotFound):
            await cache.get("db", version_id=version_id, version_stage="AWSPREVIOUS")

    logged = [record.args for record in caplog.records if record.msg == "secret.fetch_failed"]
    assert [(None, "AWSPREVIOUS"), ("v1", "AWSPREVIOUS")] == [
        (fields.get("version_id"), fields["version_stage"]) for fields in logged
    ]


# The end.


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


async def test_closing_ends_single_fetches_too(setup):
    """Who waits for one is cancelled with it."""
    cache = await setup.prefetched()
    setup.source.gate.clear()
    waiting = asyncio.create_task(cache.get("db", refresh=True))
    await until(lambda: setup.source.fetched)

    await cache.aclose()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert 0 == cache.in_flight


async def test_closing_a_cache_that_was_never_asked(setup):
    """There is nothing to close."""
    await setup.cache().aclose()

    assert [] == setup.source.asked_together


@pytest.mark.parametrize("name", ["db", "api"])
def test_a_fetch_that_goes_with_its_loop_is_no_failure(name, caplog):
    """Nobody closed anything, and nobody is left to read of it."""

    async def ask() -> None:
        source = FakeSource()
        source.gate.clear()
        cache = Setup(source, FakeClock()).cache(allow=("a*",))
        asking.append(asyncio.create_task(cache.get(name)))
        await until(lambda: source.asked_together and (source.fetched or name == "db"))

    asking: list[asyncio.Task[CacheResult]] = []
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)
    loop.run_until_complete(ask())
    loop.close()
    asking.clear()
    gc.collect()

    assert [] == [record.msg for record in caplog.records if record.name.startswith("secrets_cache")]
