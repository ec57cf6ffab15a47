"""Credentials that expire: renewed when botocore would renew them, and by one caller."""

import asyncio
import datetime as dt

import pytest
from aiobotocore.credentials import AioDeferredRefreshableCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from secrets_cache.aws.credentials import Credentials
from secrets_cache.aws.renewal import ADVISORY_SECONDS, MANDATORY_SECONDS, Grant, RenewedCredentials
from secrets_cache.core.retry import RetryableError
from secrets_cache.errors import SecretUnavailable
from tests.support.fakes import CANARY, FakeClock

HOUR = 3600


class Source:
    """
    What gives credentials, each time others, to us and to botocore.

    Attributes:
        clock: The time.
        life: For how long they are valid; None if there are none.
        fetched: How often it was asked.
        gate: While it is closed, it does not answer.
    """

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.life: int | None = HOUR
        self.fetched = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def ask(self) -> tuple[str, float] | None:
        self.fetched += 1
        key = f"AKID{self.fetched}"
        await self.gate.wait()
        await asyncio.sleep(0)
        return None if self.life is None else (key, self.clock.wall + self.life)


class Renewed(RenewedCredentials):
    """Our own credentials from such a source."""

    source = "a-source"

    def __init__(self, source: Source) -> None:
        super().__init__(source.clock)
        self.of = source

    async def _fetch(self) -> Grant | None:
        found = await self.of.ask()
        return None if found is None else Grant(Credentials(found[0], f"{CANARY}-key", ""), found[1])

    async def key(self, name: str = "db") -> str:
        """Return the access key, or the code of the error."""
        try:
            return (await self.get(name)).access_key
        except (RetryableError, SecretUnavailable) as reason:
            error = reason.error if isinstance(reason, RetryableError) else reason
            assert name == error.name
            assert CANARY not in str(error)
            return error.code


class Botocores:
    """Those of aiobotocore."""

    def __init__(self, source: Source) -> None:
        self.of = source
        self._held = AioDeferredRefreshableCredentials(
            self._refresh, "a-source", time_fetcher=lambda: dt.datetime.fromtimestamp(source.clock.wall, dt.UTC)
        )

    async def _refresh(self) -> dict[str, str]:
        found = await self.of.ask()
        if found is None:
            raise ZeroDivisionError
        ends = dt.datetime.fromtimestamp(found[1], dt.UTC).isoformat()
        return {"access_key": found[0], "secret_key": "x", "token": "", "expiry_time": ends}

    async def key(self) -> str:
        """Return the access key, or the code of the error that means the same."""
        try:
            return str((await self._held.get_frozen_credentials()).access_key)
        except ZeroDivisionError:
            return "no-credentials"
        except RuntimeError:
            return "expired-credentials"


AROUND = [0, 1, 299, 300, 301, 599, 600, 601, 899, 900, 901, 2700, HOUR]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("tick"), st.sampled_from(AROUND)),
        st.tuples(st.just("freeze"), st.sampled_from(AROUND)),
        st.tuples(st.just("life"), st.sampled_from([None, -1, *AROUND])),
        st.tuples(st.just("get"), st.just(0)),
    ),
    max_size=30,
)


@settings(deadline=None)
@given(STEPS)
def test_they_are_renewed_when_botocore_renews_them(steps):
    """The same keys, the same failures and as many requests, however the time goes on and whatever the source says."""

    async def run(kind: type[Renewed] | type[Botocores]) -> list[tuple[str, int]]:
        source = Source()
        tested, seen = kind(source), []
        for step, argument in [*steps, ("get", 0)]:
            if step == "life":
                source.life = argument
            elif step == "get":
                seen.append((await tested.key(), source.fetched))
            else:
                getattr(source.clock, step)(argument)
        return seen

    assert asyncio.run(run(Botocores)) == asyncio.run(run(Renewed))


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(AROUND), st.sampled_from([0, *AROUND, -1, -HOUR, -24 * HOUR]))))
def test_they_are_never_used_after_their_end(steps):
    """Whichever clock reaches it first: the wall clock may be set while the time goes on."""

    async def run() -> None:
        source = Source()
        tested = Renewed(source)
        key, age = "", 0
        for passed, set_by in [(0, 0), *steps]:
            source.clock.tick(passed)
            source.clock.step_wall(set_by)
            found = await tested.key()
            # By the clock that nobody can set.
            key, age = (key, age + passed) if found == key else (found, 0)
            assert age <= HOUR - ADVISORY_SECONDS

    asyncio.run(run())


@pytest.mark.parametrize("kind", [Renewed, Botocores])
@pytest.mark.parametrize(
    ("left", "first", "others", "fetched"),
    [
        (ADVISORY_SECONDS, "AKID1", "AKID1", 1),
        (ADVISORY_SECONDS - 1, "AKID2", "AKID1", 2),
        (MANDATORY_SECONDS, "AKID2", "AKID1", 2),
        (MANDATORY_SECONDS - 1, "AKID2", "AKID2", 2),
        (-1, "AKID2", "AKID2", 2),
    ],
)
async def test_many_callers_cause_one_request(kind, left, first, others, fetched):
    """In the first window only one caller waits for it; in the second they all do. As in botocore."""
    source = Source()
    tested = kind(source)
    await tested.key()
    source.clock.tick(HOUR - left)
    source.gate.clear()
    callers = [asyncio.create_task(tested.key()) for _ in range(20)]
    await asyncio.sleep(0)
    early = {caller.result() for caller in callers if caller.done()}
    source.gate.set()
    found = await asyncio.gather(*callers)

    assert (first, {others}, fetched) == (found[0], set(found[1:]), source.fetched)
    assert early == ({"AKID1"} if others == "AKID1" else set())


async def test_callers_who_wait_share_a_failure():
    """Each error names its own secret; the next caller asks again."""
    source = Source()
    tested = Renewed(source)
    source.life = None
    found = await asyncio.gather(*(tested.key(f"secret-{number}") for number in range(20)))
    assert ({"no-credentials"}, 1) == (set(found), source.fetched)

    source.life = HOUR
    assert "AKID2" == await tested.key()


async def test_callers_who_wait_share_credentials_that_are_soon_over():
    """They are good for now; each later caller asks for longer ones."""
    source = Source()
    tested = Renewed(source)
    source.life = 60
    assert ["AKID1"] * 20 == await asyncio.gather(*(tested.key() for _ in range(20)))
    assert "AKID2" == await tested.key()


async def test_a_caller_who_leaves_takes_its_request_along():
    """The next one who waits makes its own: the first may have hung."""
    source = Source()
    tested = Renewed(source)
    source.gate.clear()
    first, second = (asyncio.create_task(tested.key()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait({first})
    source.gate.set()

    assert "AKID2" == await second
    assert 2 == source.fetched


async def test_a_failure_with_an_error_of_its_own_is_raised_as_it_is():
    """Of a role, for example: it names the role."""

    class Failing(RenewedCredentials):
        source = "a-role"

        async def _fetch(self) -> Grant | None:
            raise RetryableError(SecretUnavailable("a-role", code="timeout", cause="x"))

    with pytest.raises(RetryableError) as caught:
        await Failing(FakeClock()).get("db")

    assert "a-role" == caught.value.error.name


async def test_credentials_that_were_rejected_are_asked_for_anew():
    """Unless they were renewed meanwhile."""
    source = Source()
    tested = Renewed(source)
    old = await tested.get("db")

    assert tested.reject(old)
    assert "AKID2" == await tested.key()
    assert tested.reject(old)
    assert ("AKID2", 2) == (await tested.key(), source.fetched)


async def test_a_wall_clock_that_goes_back_makes_them_no_younger():
    """The monotonic clock still tells their age; botocore would use them for another hour."""
    source = Source()
    tested, botocores = Renewed(source), Botocores(source)
    assert ["AKID1", "AKID2"] == [await tested.key(), await botocores.key()]
    source.clock.tick(HOUR - 1)
    source.clock.step_wall(-HOUR)

    assert ["AKID3", "AKID2"] == [await tested.key(), await botocores.key()]


async def test_credentials_that_expire_while_a_failed_renewal_is_frozen_are_not_used():
    """The renewal began in the first window, where its failure does not matter; its end comes too late for that."""
    source = Source()
    tested = Renewed(source)
    await tested.key()
    source.clock.tick(HOUR - ADVISORY_SECONDS + 1)
    source.life = None
    source.gate.clear()
    caller = asyncio.create_task(tested.key())
    await asyncio.sleep(0)
    source.clock.freeze(HOUR)
    source.gate.set()

    assert "no-credentials" == await caller
