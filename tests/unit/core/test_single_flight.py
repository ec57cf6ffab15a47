"""Single flight: who shares what, and what a cancellation touches."""

import asyncio

import pytest

from secrets_cache.core.single_flight import CallLost, SingleFlight


class Call:
    """A call that waits until it is let go, and counts how often it was made."""

    def __init__(self) -> None:
        self.made = 0
        self.go = asyncio.Event()

    async def __call__(self) -> int:
        self.made += 1
        number = self.made
        await self.go.wait()
        return number


@pytest.fixture(name="call")
async def _call() -> Call:
    return Call()


@pytest.fixture(name="flights")
def _flights() -> SingleFlight[str, int]:
    return SingleFlight()


async def test_callers_at_the_same_time_share_one_call(flights, call):
    """Any number of callers of one key share one call."""
    waiting = [asyncio.create_task(flights.join("a", call)) for _ in range(50)]
    await asyncio.sleep(0)
    assert "a" in flights

    call.go.set()

    assert [1] * 50 == await asyncio.gather(*waiting)
    assert 1 == call.made
    assert "a" not in flights


async def test_keys_do_not_share(flights, call):
    """Different keys are different calls."""
    call.go.set()

    assert {1, 2} == set(await asyncio.gather(flights.join("a", call), flights.join("b", call)))


@pytest.mark.parametrize("leaver", [0, 1])
async def test_a_caller_that_leaves_harms_no_other(flights, call, leaver):
    """Cancelling a waiter, the first one included, leaves the call and the other waiters alone."""
    waiting = [asyncio.create_task(flights.join("a", call)) for _ in range(2)]
    await asyncio.sleep(0)

    waiting[leaver].cancel()
    await asyncio.sleep(0)
    call.go.set()

    assert 1 == await waiting[1 - leaver]
    assert waiting[leaver].cancelled()
    assert 1 == call.made


async def test_the_call_ends_even_when_every_caller_has_left(flights, call):
    """A call belongs to none of its callers."""
    waiting = asyncio.create_task(flights.join("a", call))
    await asyncio.sleep(0)
    task = flights.start("a", call)

    waiting.cancel()
    call.go.set()

    assert 1 == await task


async def test_nothing_is_remembered(flights, call):
    """A call that has ended, well or badly, is not given to the next caller."""
    call.go.set()

    async def fail() -> int:
        raise ValueError

    assert 1 == await flights.join("a", call)
    assert 2 == await flights.join("a", call)
    with pytest.raises(ValueError, match=r"^$"):
        await flights.join("a", fail)
    assert 3 == await flights.join("a", call)


async def test_a_finished_call_is_not_joined_before_its_callbacks_ran(flights, call):
    """Between a call's end and its clean-up, a new caller gets a new call."""
    call.go.set()
    task = flights.start("a", call)
    while not task.done():  # noqa: ASYNC110 - the very loop step in which it ends is wanted
        await asyncio.sleep(0)

    again = flights.start("a", call)

    assert 2 == await again
    assert 1 == task.result()


async def test_settle_waits_for_the_named_calls_however_they_end(flights, call):
    """Settling names keys; those without a call are done already."""

    async def fail() -> int:
        await call.go.wait()
        raise ValueError

    task = flights.start("bad", fail)
    settling = asyncio.create_task(flights.settle(["bad", "unknown"]))
    await asyncio.sleep(0)
    assert not settling.done()

    call.go.set()
    await settling

    assert isinstance(task.exception(), ValueError)
    await flights.settle(["bad"])


async def test_closing_cancels_what_is_under_way(flights, call):
    """No task outlives its owner."""
    task = flights.start("a", call)
    await asyncio.sleep(0)

    await flights.aclose()

    assert task.cancelled()


async def test_a_call_that_is_cancelled_by_nobody_is_an_error_to_who_waits(flights):
    """Who waits was not cancelled, and must not look as if; the next call is a new one."""

    async def lost() -> int:
        raise asyncio.CancelledError

    async def found() -> int:
        return 1

    with pytest.raises(CallLost):
        await flights.join("a", lost)
    assert 1 == await flights.join("a", found)


async def test_who_waits_for_a_call_that_closing_cancels_is_cancelled(flights, call):
    """Then it is meant."""
    waiting = asyncio.create_task(flights.join("a", call))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    await flights.aclose()

    with pytest.raises(asyncio.CancelledError):
        await waiting


class Round:
    """A call for several keys whose results come one by one; None ends it."""

    def __init__(self) -> None:
        self.results: asyncio.Queue[tuple[str, int] | None] = asyncio.Queue()

    async def __call__(self, flights: "dict[str, asyncio.Future[int]]") -> None:
        while (result := await self.results.get()) is not None:
            flights[result[0]].set_result(result[1])


def start_round(flights: SingleFlight[str, int], *keys: str) -> Round:
    """Start a round, and return what steers it."""
    steered = Round()
    flights.start_round(keys, steered)
    return steered


async def test_each_key_of_a_round_has_its_result_at_once(flights, call):
    """Callers join in from the moment it starts, and wait for nothing but their own key."""
    steered = start_round(flights, "a", "b")
    waiting = {key: asyncio.create_task(flights.join(key, call)) for key in ("a", "b")}
    await asyncio.sleep(0)

    steered.results.put_nowait(("b", 2))

    assert 2 == await waiting["b"]
    assert ("a" in flights, "b" in flights) == (True, False)
    steered.results.put_nowait(("a", 1))
    assert 1 == await waiting["a"]
    assert 0 == call.made
    await flights.aclose()


async def test_a_caller_that_leaves_a_round_harms_nobody(flights, call):
    """Neither the others of its key, nor those of another one."""
    steered = start_round(flights, "a", "b")
    waiting = [asyncio.create_task(flights.join(key, call)) for key in ("a", "a", "b")]
    await asyncio.sleep(0)

    waiting[0].cancel()
    for key in ("a", "b"):
        steered.results.put_nowait((key, 1))

    assert [1, 1] == [await task for task in waiting[1:]]
    assert waiting[0].cancelled()
    await flights.aclose()


async def test_a_key_that_a_round_does_not_bring_is_lost(flights, call):
    """Its callers are told, and the next call for it is a new one."""
    steered = start_round(flights, "a", "b")
    waiting = [asyncio.create_task(flights.join(key, call)) for key in ("a", "b")]
    await asyncio.sleep(0)
    for result in (("b", 2), None):
        steered.results.put_nowait(result)

    with pytest.raises(CallLost):
        await waiting[0]
    assert 2 == await waiting[1]
    call.go.set()
    assert 1 == await flights.join("a", call)


@pytest.mark.parametrize("steps", [0, 1, 2])
async def test_closing_cancels_a_round_and_who_waits_for_it(flights, call, steps):
    """However far it has come, and be it that it has not begun."""
    start_round(flights, "a", "b")
    waiting = asyncio.create_task(flights.join("a", call))
    for _ in range(steps):
        await asyncio.sleep(0)
    waiting_for_all = asyncio.create_task(flights.settle(["a", "b"]))
    await asyncio.sleep(0)

    await flights.aclose()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    await waiting_for_all
    assert {asyncio.current_task()} == asyncio.all_tasks()


async def test_waiting_for_a_call_that_is_not_under_way(flights):
    """Only `join` starts one."""
    with pytest.raises(KeyError):
        await flights.wait("a")


async def test_a_round_that_cannot_be_started_leaves_nobody_waiting(flights, monkeypatch):
    """Its keys have no call under way, and may be asked for singly."""

    def refuse(coroutine, **_):
        coroutine.close()
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(asyncio.get_running_loop(), "create_task", refuse)
        with pytest.raises(MemoryError):
            flights.start_round(["a"], lambda _: asyncio.sleep(0))

    assert "a" not in flights
    await flights.aclose()
