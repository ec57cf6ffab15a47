"""Batches: what is asked for together, what singly, and that each ref has one result as soon as it is known."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import pytest

from secrets_cache.aws.store import Store
from secrets_cache.core.secret import Ref, Secret
from secrets_cache.core.source import FetchResult
from secrets_cache.errors import SecretError, SecretNotFound, SecretRefused, SecretUnavailable
from tests.support.fakes import CANARY, FakeClock, secret
from tests.unit.aws.fakes import FakeClient

REFUSED = SecretRefused("batch", code="AccessDeniedException")
PASSING = SecretUnavailable("batch", code="busy", cause="it is busy")


OPEN = asyncio.Event()
OPEN.set()


class FakeStore(Store):
    """
    A store that has everything, but for what the test says. Its budget is ten seconds.

    Attributes:
        single: Fetches one.
        batch: What a batch gives, or raises.
        shared: Whether a batch's failure is that of all.
        batches: The ids of each batch that was asked for.
        singles: The ids that were asked for singly, with their budgets.
        gates: What the call for an id waits for, and under "batch" a batch.
        cancelled: The gates at which calls were cancelled.
        asked: Set when a batch was asked for.
    """

    plural = "things"
    largest_batch = 4

    def __init__(self, threshold: int | None = 2, smallest: int = 1, clock: FakeClock | None = None) -> None:
        super().__init__(
            client=FakeClient(),
            budget_seconds=10.0,
            clock=clock or FakeClock(),
            random=lambda: 0.5,
            batch_threshold=threshold,
        )
        self.smallest_batch = smallest
        self.batch: Callable[[Sequence[Ref]], Mapping[Ref, FetchResult]] = lambda refs: {ref: secret() for ref in refs}
        self.single: Callable[[Ref], Secret] = lambda _: secret()
        self.gates: dict[str, asyncio.Event] = {}
        self.shared = False
        self.batches: list[list[str]] = []
        self.singles: dict[str, float | None] = {}
        self.cancelled: list[str] = []
        self.asked = asyncio.Event()

    def _fits_batch(self, ref: Ref) -> bool:
        return ref.version_id is None

    async def fetch(self, ref: Ref, budget_seconds: float | None = None) -> Secret:
        self.singles[ref.secret_id] = budget_seconds
        await self._pass(ref.secret_id)
        return self.single(ref)

    async def _fetch_batch(self, refs: Sequence[Ref]) -> Mapping[Ref, FetchResult]:
        self.batches.append([ref.secret_id for ref in refs])
        self.asked.set()
        await self._pass("batch")
        return self.batch(refs)

    async def _pass(self, gate: str) -> None:
        try:
            await self.gates.get(gate, OPEN).wait()
        except asyncio.CancelledError:
            self.cancelled.append(gate)
            raise

    def _share_failure(self, ref: Ref, error: SecretError) -> SecretError | None:
        return error if self.shared else None


@pytest.fixture(name="store")
def _store() -> FakeStore:
    return FakeStore()


async def collect(store: Store, asked: Sequence[Ref]) -> dict[Ref, FetchResult]:
    """Return the results, each of which comes once."""
    found = [item async for item in store.fetch_many(asked)]
    assert len(found) == len(asked)
    return dict(found)


def refs(count: int) -> list[Ref]:
    """Return so many refs."""
    return [Ref(f"s{number}") for number in range(count)]


def failing(error: Exception):
    """Return what raises an error, whatever it is given."""

    def fail(_: object):
        raise error

    return fail


@pytest.mark.parametrize(
    ("count", "threshold", "smallest", "batches", "singles"),
    [
        (0, 2, 1, [], 0),
        (2, 2, 1, [], 2),
        (3, 2, 1, [3], 0),
        (9, 2, 1, [4, 4, 1], 0),
        (9, 2, 2, [4, 4], 1),
        (1, 0, 1, [1], 0),
        (1, 0, 2, [], 1),
        (9, None, 1, [], 9),
    ],
)
async def test_above_the_threshold_refs_are_asked_for_together(count, threshold, smallest, batches, singles):
    """As many as a call takes, and singly what would be too small a batch."""
    store = FakeStore(threshold, smallest)
    found = await collect(store, refs(count))

    assert set(refs(count)) == set(found)
    assert (batches, singles) == ([len(batch) for batch in store.batches], len(store.singles))


async def test_what_no_batch_can_hold_is_asked_for_singly(store):
    """And does not count towards the threshold."""
    versions = [Ref("s", version_id=str(number)) for number in range(3)]
    await collect(store, [*versions, *refs(2)])
    assert [] == store.batches

    await collect(store, [*versions, *refs(3)])
    assert [["s0", "s1", "s2"]] == store.batches


async def test_what_a_batch_lacks_is_asked_for_singly():
    """Each for itself, with what the batch has left of the budget."""
    clock = FakeClock()
    store = FakeStore(clock=clock)

    def leave_out(asked):
        clock.tick(3)
        return {asked[0]: secret(), asked[1]: SecretNotFound("s1")}

    store.batch, store.single = leave_out, failing(SecretNotFound("s2"))
    found = await collect(store, refs(3))

    assert {"s2": 7.0} == store.singles
    assert [Secret, SecretNotFound, SecretNotFound] == [type(found[ref]) for ref in refs(3)]


async def test_the_single_calls_after_a_batch_have_at_least_half_of_the_budget():
    """However long the batch took."""
    clock = FakeClock()
    store = FakeStore(clock=clock)

    def time_out(_):
        clock.tick(9)
        raise PASSING

    store.batch = time_out
    await collect(store, refs(3))

    assert [5.0] * 3 == list(store.singles.values())


@pytest.mark.parametrize(
    ("error", "code"),
    [(REFUSED, REFUSED.code), (PASSING, "busy"), (ZeroDivisionError(CANARY), "internal-error")],
)
async def test_what_a_batch_refuses_is_asked_for_singly(store, caplog, error, code):
    """A missing permission, throttling, a fault: a batch is a short cut, not a condition. One line reports them all."""
    store.batch = failing(error)
    found = await collect(store, refs(9))

    assert {Secret} == set(map(type, found.values()))
    assert set(store.singles) == {ref.secret_id for ref in refs(9)}
    assert [("batch.refused", {"things": 9, "code": code})] == [(record.msg, record.args) for record in caplog.records]


@pytest.mark.parametrize(("error", "batches"), [(REFUSED, 1), (PASSING, 2), (ZeroDivisionError(), 2)])
async def test_a_service_that_has_refused_a_batch_is_not_asked_for_one_again(store, error, batches):
    """The permission is missing. What passes, passes."""
    store.batch = failing(error)
    for _ in range(2):
        await collect(store, refs(3))

    assert batches == len(store.batches)
    assert 3 == len(store.singles)


async def test_a_service_that_has_refused_a_batch_is_asked_for_one_an_hour_later():
    """Somebody may have given the permission since. A wall clock that went back says nothing of the time."""
    clock = FakeClock()
    store = FakeStore(clock=clock)
    store.batch = failing(REFUSED)
    asked = []
    for seconds in (0, 3599, 1, 3599):
        clock.tick(seconds)
        await collect(store, refs(3))
        asked.append(len(store.batches))
    clock.step_wall(-10_000)
    await collect(store, refs(3))

    assert [1, 1, 2, 2] == asked
    assert 3 == len(store.batches)


@pytest.mark.parametrize("code", ["UnrecognizedClientException", "InvalidSignatureException"])
async def test_credentials_that_are_rejected_are_no_refusal_of_batches(store, code):
    """There may be other ones for the next call."""
    store.batch = failing(SecretRefused("batch", code=code))
    for _ in range(2):
        await collect(store, refs(3))

    assert 2 == len(store.batches)


async def test_a_failure_that_is_the_same_for_all_is_asked_for_by_none(store, caplog):
    """The service decides which failures are. The batch was not refused then, and may be asked for again."""
    store.batch, store.shared = failing(REFUSED), True
    for _ in range(2):
        assert dict.fromkeys(refs(3), REFUSED) == await collect(store, refs(3))

    assert {} == store.singles
    assert 2 == len(store.batches)
    assert [] == caplog.records


async def test_a_fault_with_one_ref_ends_no_other():
    """The type of the error is all that shows."""
    store = FakeStore(threshold=None)
    store.single = lambda ref: secret() if ref == Ref("s1") else failing(ZeroDivisionError(CANARY))(ref)
    found = await collect(store, refs(2))

    assert isinstance(found[Ref("s1")], Secret)
    assert "secret 's0' is unavailable: internal error (ZeroDivisionError)" == str(found[Ref("s0")])


async def test_a_result_comes_as_soon_as_it_is_known(store):
    """Neither a slow batch nor a slow single call holds up another one."""
    store.gates = {"s1": asyncio.Event(), "s5": asyncio.Event(), "batch": asyncio.Event()}
    store.batch = lambda asked: {ref: secret() for ref in asked if ref != Ref("s5")}
    versions = [Ref(f"s{number}", version_id="1") for number in range(3)]
    results = store.fetch_many([*versions, *(Ref(f"s{number}") for number in range(3, 7))])

    assert {"s0", "s2"} == {(await anext(results))[0].secret_id for _ in range(2)}
    store.gates["batch"].set()
    assert {"s3", "s4", "s6"} == {(await anext(results))[0].secret_id for _ in range(3)}
    store.gates["s5"].set()
    assert "s5" == (await anext(results))[0].secret_id
    store.gates["s1"].set()
    assert ["s1"] == [ref.secret_id async for ref, _ in results]


async def test_closing_it_cancels_the_calls_under_way_and_waits_for_them(store):
    """Batches, the single calls after one, and others."""
    store.gates = {"s1": asyncio.Event(), "s4": asyncio.Event(), "s9": asyncio.Event()}
    store.batch = lambda asked: {ref: secret() for ref in asked if ref != Ref("s4")}
    before = asyncio.all_tasks()
    results = store.fetch_many([Ref("s1", version_id="1"), *(Ref(f"s{number}") for number in range(2, 6))])
    assert {"s2", "s3", "s5"} == {(await anext(results))[0].secret_id for _ in range(3)}

    await results.aclose()

    assert {"s1", "s4"} == set(store.cancelled)
    assert before == asyncio.all_tasks()


async def test_a_cancelled_consumer_cancels_the_calls_under_way(store):
    """While it waits for the next result."""
    store.gates = {"batch": asyncio.Event()}
    consumer = asyncio.create_task(collect(store, refs(3)))
    await store.asked.wait()
    consumer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await consumer

    assert ["batch"] == store.cancelled
