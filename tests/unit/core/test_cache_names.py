"""Which entry a caller's name, version or ref means, through the cache; and how many are kept."""

import asyncio

import pytest

from secrets_cache.core.registry import ListedEntry
from secrets_cache.core.results import CacheStatus
from secrets_cache.core.secret import Ref, Secret
from secrets_cache.errors import SecretNotConfigured, SecretNotFound
from tests.support.caches import TTL, UNAVAILABLE, Setup, listed, policy, until, version
from tests.support.fakes import FakeSource, secret, with_fields
from tests.support.upstream import arn_of

# Names and versions.


async def test_a_secret_answers_to_its_alias_its_id_and_its_other_name(setup):
    """Listed by name it answers to its ARN once fetched; listed by ARN, to its name."""
    cache = await setup.prefetched(listed("short", "db"), listed(arn_of("api")))
    setup.source.values[arn_of("api")] = 1

    for name in ("short", "db", arn_of("db")):
        assert CacheStatus.HIT is (await cache.get(name)).status
    setup.clock.tick(1)
    assert "api" == (await cache.get(arn_of("api"))).secret.name
    assert CacheStatus.HIT is (await cache.get("api")).status


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
    setup.source.arns[other] = other
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
    cache = await setup.prefetched(listed("db", ttl_seconds=10))

    for _ in range(2):
        for selection in ({"version_stage": "AWSPREVIOUS"}, {"version_id": "v" * 32}, {"version_stage": "AWSCURRENT"}):
            await cache.get("db", **selection)
    assert [Ref("db", version_stage="AWSPREVIOUS"), Ref("db", version_id="v" * 32)] == setup.source.fetched

    setup.clock.tick(10)
    assert CacheStatus.EXPIRED is (await cache.get("db", version_stage="AWSPREVIOUS")).status


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
        assert CacheStatus.HIT is (await cache.get(name)).status
    assert CacheStatus.MISS is (await cache.get("n1")).status


async def test_a_forgotten_entry_takes_its_other_names_along(setup):
    """What is gone answers to nothing."""
    setup.source.values.update(n0=1, n1=1)
    cache = await setup.prefetched(allow=("n*",), max_unlisted=1)
    await cache.get("n0")
    assert CacheStatus.HIT is (await cache.get(arn_of("n0"))).status
    await cache.get("n1")

    with pytest.raises(SecretNotConfigured):
        await cache.get(arn_of("n0"))


async def test_an_entry_forgotten_while_it_is_fetched_still_answers_its_callers(setup):
    """Eviction is about memory, not about who is waiting; nothing is learned for it any more."""
    setup.source.values.update(n0=1, n1=1)
    cache = await setup.prefetched(allow=("n*",), max_unlisted=1)
    setup.source.gate.clear()
    waiting = [asyncio.create_task(cache.get(name)) for name in ("n0", "n1")]
    await until(lambda: len(setup.source.fetched) == 2)
    setup.source.gate.set()

    assert ["n0", "n1"] == [answer.secret.name for answer in await asyncio.gather(*waiting)]
    with pytest.raises(SecretNotConfigured):
        await cache.get(arn_of("n0"))


# A path of parameters, and asking for anything.


class PathSource(FakeSource):
    """A source of the path `/app/`."""

    def _find(self, ref: Ref) -> Secret:
        found = super()._find(ref)
        members = {f"/app/{name}": secret(f"/app/{name}", version=number) for name, number in self.values.items()}
        return with_fields(found, arn="", members=members) if ref.is_path else found


PATH = ListedEntry(ref=Ref("/app/", is_parameter=True), names=("/app/",), policy=policy())


async def test_what_is_below_a_path_is_fetched_and_grows_old_with_it(clock):
    """One call for all of it; each with its own version, and the path's age."""
    source = PathSource()
    source.values.update({"/app/": 1, "a": 7})
    cache = Setup(source, clock).cache(PATH)
    await cache.prefetch()

    answer = await cache.get("/app/a")
    clock.tick(TTL)
    source.values["a"] = 8
    again = await cache.get("/app/a")

    assert ("version-7", CacheStatus.HIT) == (answer.secret.version_id, answer.status)
    assert ("version-8", CacheStatus.EXPIRED) == (again.secret.version_id, again.status)
    assert (1, 1) == (len(source.asked_together), len(source.fetched))


async def test_a_parameter_below_a_listed_path_comes_before_a_secret_that_is_allowed(clock):
    """With or without its first slash, and before the first fetch too; where the path has none, it is a secret."""
    source = PathSource()
    source.values.update({"/app/": 1, "a": 7, "app/b": 3})
    cache = Setup(source, clock).cache(PATH, allow=("app/*", "/app/*"))
    source.gate.clear()
    waiting = asyncio.create_task(cache.get("app/a"))
    await until(lambda: source.asked_together)
    source.gate.set()

    found = [await waiting, await cache.get("/app/a"), await cache.get("app/b")]

    assert ["version-7", "version-7", "version-3"] == [answer.secret.version_id for answer in found]
    assert [Ref("app/b")] == source.fetched


async def test_aws_is_asked_again_for_a_parameter_that_is_not_below_a_listed_path(clock):
    """It may have been created since; but not each time, and not where AWS was asked a moment ago."""
    source = PathSource()
    source.values.update({"/app/": 1, "a": 7})
    cache = Setup(source, clock).cache(PATH)
    await cache.prefetch()

    async def ask(said: str) -> None:
        with pytest.raises(SecretNotFound, match=f"'/app/b' was not found below '/app/' when AWS was asked {said}"):
            await cache.get("/app/b")

    await ask("0 s ago")
    assert not source.fetched
    clock.tick(3)
    await ask("0 s ago")
    await ask("0 s ago")
    assert 1 == len(source.fetched)
    clock.tick(1.2)
    await ask("0 s ago")
    clock.tick(1.2)
    await ask("1 s ago")
    assert 2 == len(source.fetched)
    clock.tick(1.2)
    source.values.update({"/app/": 2, "b": 1})

    assert "version-1" == (await cache.get("/app/b")).secret.version_id
    clock.tick(1.2)
    with pytest.raises(SecretNotFound):
        await cache.get("/app/c")
    assert 4 == len(source.fetched)


async def test_a_parameter_that_is_missing_is_not_masked_while_aws_fails(clock):
    """What was known of the path still counts, and the failure's back-off as ever."""
    source = PathSource()
    source.values.update({"/app/": 1, "a": 7})
    cache = Setup(source, clock).cache(PATH)
    await cache.prefetch()
    clock.tick(3)
    source.error = {"": UNAVAILABLE}

    for _ in range(3):
        with pytest.raises(SecretNotFound, match="when AWS was asked 3 s ago"):
            await cache.get("/app/b")

    assert 1 == len(source.fetched)
    assert "version-7" == (await cache.get("/app/a")).secret.version_id


async def test_an_empty_name_means_nothing(clock):
    """A path has no ARN that it could answer to, and no pattern covers a name that is none."""
    source = PathSource()
    source.values.update({"/app/": 1, "a": 7})
    cache = Setup(source, clock).cache(PATH, allow=("*",))
    await cache.prefetch()
    assert "" == (await cache.get("/app/")).secret.arn

    with pytest.raises(SecretNotConfigured):
        await cache.get("")


async def test_a_secret_made_anew_does_not_answer_to_the_arn_of_its_predecessor(setup):
    """Neither for who may ask for what is listed, nor for who may ask for anything: AWS is asked for that ARN."""
    old, new = arn_of("db"), arn_of("db").replace("AbCdEf", "ZyXwVu")
    cache = await setup.prefetched()
    assert 1 == version(await cache.get(old))
    setup.source.values["db"] = 2
    setup.source.arns["db"] = new
    await cache.get("db", refresh=True)

    assert 2 == version(await cache.get(new))
    with pytest.raises(SecretNotConfigured):
        await cache.get(old)
    with pytest.raises(SecretNotFound):
        await cache.get_any(Ref(old))
    assert [Ref("db"), Ref(old)] == setup.source.fetched


@pytest.mark.parametrize("may_ask_for_anything", [True, False])
async def test_an_arn_that_turns_out_to_be_another_secrets_is_not_answered_with_it(setup, may_ask_for_anything):
    """The old value has expired: the fetch that the ARN itself starts tells that it is the predecessor's."""
    old = arn_of("db")
    cache = await setup.prefetched()
    setup.source.values["db"] = 2
    setup.source.arns["db"] = old.replace("AbCdEf", "ZyXwVu")
    setup.clock.tick(TTL)

    if may_ask_for_anything:
        with pytest.raises(SecretNotFound):
            await cache.get_any(Ref(old))
    else:
        with pytest.raises(SecretNotConfigured):
            await cache.get(old)


async def test_names_that_aws_does_not_know_take_no_place_from_a_value(setup):
    """However many of them there are."""
    setup.source.values["n0"] = 1
    cache = await setup.prefetched(allow=("n*",), max_unlisted=2)
    await cache.get("n0")
    for number in range(1, 9):
        with pytest.raises(SecretNotFound):
            await cache.get(f"n{number}")

    assert CacheStatus.HIT is (await cache.get("n0")).status


async def test_one_secret_that_is_listed_by_name_and_by_arn_shares_its_name_with_nobody(setup, caplog):
    """Both mean the same secret, so there is nothing to warn about."""
    setup.source.values[arn_of("db")] = 1
    await setup.prefetched(listed("db"), listed("mine", arn_of("db")))

    assert "secret.name_shared" not in caplog.messages


async def test_who_may_ask_for_anything_gets_it_and_shares_the_cache(setup):
    """Listed or not; what is listed from the same entry."""
    cache = await setup.prefetched()

    assert (True, False) == (cache.is_listed(Ref("db")), cache.is_listed(Ref("api")))
    assert CacheStatus.HIT is (await cache.get_any(Ref("db"))).status
    assert CacheStatus.MISS is (await cache.get_any(Ref("api"))).status
    assert CacheStatus.HIT is (await cache.get_any(Ref("api"))).status
    assert [Ref("api")] == setup.source.fetched
    with pytest.raises(SecretNotConfigured):
        await cache.get("api")


async def test_who_may_ask_for_anything_waits_for_what_may_be_meant(setup):
    """An ARN may be a listed secret's: its first fetch will tell, and is the only one."""
    cache = setup.cache()
    setup.source.gate.clear()
    waiting = asyncio.create_task(cache.get_any(Ref(arn_of("db"))))
    await until(lambda: setup.source.asked_together)

    setup.source.gate.set()

    assert CacheStatus.HIT is (await waiting).status
    assert [] == setup.source.fetched
