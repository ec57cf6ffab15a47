"""Batches: what is asked for together, what singly, and that each ref has one result as soon as it is known."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import pytest

from secrets_cache.aws.batch import Batcher, BatchLimits
from secrets_cache.core.fetcher import FetchResult
from secrets_cache.core.secret import Ref, Secret
from secrets_cache.errors import SecretError, SecretNotFound, SecretRefused, SecretUnavailable
from tests.support.fakes import CANARY, FakeClock, secret

REFUSED = SecretRefused("batch", code="AccessDeniedException")
PASSING = SecretUnavailable("batch", code="busy", cause="it is busy")


class FakeService:
    """
    A service that has everything, but for what the test says.

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

    def __init__(self) -> None:
        self.batch: Callable[[Sequence[Ref]], Mapping[Ref, FetchResult]] = lambda refs: {ref: secret() for ref in refs}
        self.single: Callable[[Ref], Secret] = lambda _: secret()
        self.gates: dict[str, asyncio.Event] = {}
        self.shared = False
        self.batches: list[list[str]] = []
        self.singles: dict[str, float] = {}
        self.cancelled: list[str] = []
        self.asked = asyncio.Event()

    def fits_batch(self, ref: Ref) -> bool:
        return ref.version_id is None

    async def fetch_single(self, ref: Ref, budget_seconds: float) -> Secret:
        self.singles[ref.secret_id] = budget_seconds
        await self._pass(ref.secret_id)
        return self.single(ref)

    async def fetch_batch(self, refs: Sequence[Ref]) -> Mapping[Ref, FetchResult]:
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

    def share_failure(self, ref: Ref, error: SecretError) -> SecretError | None:
        return error if self.shared else None


OPEN = asyncio.Event()
OPEN.set()


@pytest.fixture(name="service")
def _service() -> FakeService:
    return FakeService()


def batcher(service, threshold: int | None = 2, smallest=1, largest=4, clock=None) -> Batcher:
    """Return a batcher with a budget of ten seconds."""
    limits = BatchLimits(threshold=threshold, smallest=smallest, largest=largest)
    return Batcher(service, limits, budget_seconds=10.0, clock=clock or FakeClock())


async def collect(together: Batcher, asked: Sequence[Ref]) -> dict[Ref, FetchResult]:
    """Return the results, each of which comes once."""
    found = [item async for item in together.fetch_many(asked)]
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
    ("count", "limits", "batches", "singles"),
    [
        (0, (2, 1, 4), [], 0),
        (2, (2, 1, 4), [], 2),
        (3, (2, 1, 4), [3], 0),
        (9, (2, 1, 4), [4, 4, 1], 0),
        (9, (2, 2, 4), [4, 4], 1),
        (1, (0, 1, 4), [1], 0),
        (1, (0, 2, 4), [], 1),
        (9, (None, 1, 4), [], 9),
    ],
)
async def test_above_the_threshold_refs_are_asked_for_together(service, count, limits, batches, singles):
    """As many as a call takes, and singly what would be too small a batch."""
    found = await collect(batcher(service, *limits), refs(count))

    assert set(refs(count)) == set(found)
    assert (batches, singles) == ([len(batch) for batch in service.batches], len(service.singles))


async def test_what_no_batch_can_hold_is_asked_for_singly(service):
    """And does not count towards the threshold."""
    versions = [Ref("s", version_id=str(number)) for number in range(3)]
    await collect(batcher(service), [*versions, *refs(2)])
    assert [] == service.batches

    await collect(batcher(service), [*versions, *refs(3)])
    assert [["s0", "s1", "s2"]] == service.batches


async def test_what_a_batch_lacks_is_asked_for_singly(service):
    """Each for itself, with what the batch has left of the budget."""
    clock = FakeClock()

    def leave_out(asked):
        clock.tick(3)
        return {asked[0]: secret(), asked[1]: SecretNotFound("s1")}

    service.batch, service.single = leave_out, failing(SecretNotFound("s2"))
    found = await collect(batcher(service, clock=clock), refs(3))

    assert {"s2": 7.0} == service.singles
    assert [Secret, SecretNotFound, SecretNotFound] == [type(found[ref]) for ref in refs(3)]


async def test_the_single_calls_after_a_batch_have_at_least_half_of_the_budget(service):
    """However long the batch took."""
    clock = FakeClock()

    def time_out(_):
        clock.tick(9)
        raise PASSING

    service.batch = time_out
    await collect(batcher(service, clock=clock), refs(3))

    assert [5.0] * 3 == list(service.singles.values())


@pytest.mark.parametrize(
    ("error", "code"),
    [(REFUSED, REFUSED.code), (PASSING, "busy"), (ZeroDivisionError(CANARY), "internal-error")],
)
async def test_what_a_batch_refuses_is_asked_for_singly(service, caplog, error, code):
    """A missing permission, throttling, a fault: a batch is a short cut, not a condition. One line reports them all."""
    service.batch = failing(error)
    found = await collect(batcher(service), refs(9))

    assert {Secret} == set(map(type, found.values()))
    assert set(service.singles) == {ref.secret_id for ref in refs(9)}
    assert [("batch.refused", {"things": 9, "code": code})] == [(record.msg, record.args) for record in caplog.records]


@pytest.mark.parametrize(("error", "batches"), [(REFUSED, 1), (PASSING, 2), (ZeroDivisionError(), 2)])
async def test_a_service_that_has_refused_a_batch_is_not_asked_for_one_again(service, error, batches):
    """The permission is missing. What passes, passes."""
    service.batch = failing(error)
    together = batcher(service)
    for _ in range(2):
        await collect(together, refs(3))

    assert batches == len(service.batches)
    assert 3 == len(service.singles)


async def test_a_failure_that_is_the_same_for_all_is_asked_for_by_none(service, caplog):
    """The service decides which failures are. The batch was not refused then, and may be asked for again."""
    service.batch, service.shared = failing(REFUSED), True
    together = batcher(service)
    for _ in range(2):
        assert dict.fromkeys(refs(3), REFUSED) == await collect(together, refs(3))

    assert {} == service.singles
    assert 2 == len(service.batches)
    assert [] == caplog.records


async def test_a_fault_with_one_ref_ends_no_other(service):
    """The type of the error is all that shows."""
    service.single = lambda ref: secret() if ref == Ref("s1") else failing(ZeroDivisionError(CANARY))(ref)
    found = await collect(batcher(service, threshold=None), refs(2))

    assert isinstance(found[Ref("s1")], Secret)
    assert "secret 's0' is unavailable: internal error (ZeroDivisionError)" == str(found[Ref("s0")])


async def test_a_result_comes_as_soon_as_it_is_known(service):
    """Neither a slow batch nor a slow single call holds up another one."""
    service.gates = {"s1": asyncio.Event(), "s5": asyncio.Event(), "batch": asyncio.Event()}
    service.batch = lambda asked: {ref: secret() for ref in asked if ref != Ref("s5")}
    versions = [Ref(f"s{number}", version_id="1") for number in range(3)]
    results = batcher(service).fetch_many([*versions, *(Ref(f"s{number}") for number in range(3, 7))])

    assert {"s0", "s2"} == {(await anext(results))[0].secret_id for _ in range(2)}
    service.gates["batch"].set()
    assert {"s3", "s4", "s6"} == {(await anext(results))[0].secret_id for _ in range(3)}
    service.gates["s5"].set()
    assert "s5" == (await anext(results))[0].secret_id
    service.gates["s1"].set()
    assert ["s1"] == [ref.secret_id async for ref, _ in results]


async def test_closing_it_cancels_the_calls_under_way_and_waits_for_them(service):
    """Batches, the single calls after one, and others."""
    service.gates = {"s1": asyncio.Event(), "s4": asyncio.Event(), "s9": asyncio.Event()}
    service.batch = lambda asked: {ref: secret() for ref in asked if ref != Ref("s4")}
    before = asyncio.all_tasks()
    results = batcher(service).fetch_many([Ref("s1", version_id="1"), *(Ref(f"s{number}") for number in range(2, 6))])
    assert {"s2", "s3", "s5"} == {(await anext(results))[0].secret_id for _ in range(3)}

    await results.aclose()

    assert {"s1", "s4"} == set(service.cancelled)
    assert before == asyncio.all_tasks()


async def test_a_cancelled_consumer_cancels_the_calls_under_way(service):
    """While it waits for the next result."""
    service.gates = {"batch": asyncio.Event()}
    consumer = asyncio.create_task(collect(batcher(service), refs(3)))
    await service.asked.wait()
    consumer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await consumer

    assert ["batch"] == service.cancelled
