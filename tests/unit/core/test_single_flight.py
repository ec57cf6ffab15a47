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


async def test_callers_at_the_same_time_share_one_call(call):
    """Any number of callers of one key share one call."""
    flights: SingleFlight[str, int] = SingleFlight()
    waiting = [asyncio.create_task(flights.join("a", call)) for _ in range(50)]
    await asyncio.sleep(0)
    assert "a" in flights

    call.go.set()

    assert [1] * 50 == await asyncio.gather(*waiting)
    assert 1 == call.made
    assert "a" not in flights


async def test_keys_do_not_share(call):
    """Different keys are different calls."""
    flights: SingleFlight[str, int] = SingleFlight()
    call.go.set()

    assert {1, 2} == set(await asyncio.gather(flights.join("a", call), flights.join("b", call)))


@pytest.mark.parametrize("leaver", [0, 1])
async def test_a_caller_that_leaves_harms_no_other(call, leaver):
    """Cancelling a waiter, the first one included, leaves the call and the other waiters alone."""
    flights: SingleFlight[str, int] = SingleFlight()
    waiting = [asyncio.create_task(flights.join("a", call)) for _ in range(2)]
    await asyncio.sleep(0)

    waiting[leaver].cancel()
    await asyncio.sleep(0)
    call.go.set()

    assert 1 == await waiting[1 - leaver]
    assert waiting[leaver].cancelled()
    assert 1 == call.made


async def test_the_call_ends_even_when_every_caller_has_left(call):
    """A call belongs to none of its callers."""
    flights: SingleFlight[str, int] = SingleFlight()
    waiting = asyncio.create_task(flights.join("a", call))
    await asyncio.sleep(0)
    task = flights.start("a", call)

    waiting.cancel()
    call.go.set()

    assert 1 == await task


async def test_nothing_is_remembered(call):
    """A call that has ended, well or badly, is not given to the next caller."""
    flights: SingleFlight[str, int] = SingleFlight()
    call.go.set()

    async def fail() -> int:
        raise ValueError

    assert 1 == await flights.join("a", call)
    assert 2 == await flights.join("a", call)
    with pytest.raises(ValueError, match=r"^$"):
        await flights.join("a", fail)
    assert 3 == await flights.join("a", call)


async def test_a_finished_call_is_not_joined_before_its_callbacks_ran(call):
    """Between a call's end and its clean-up, a new caller gets a new call."""
    flights: SingleFlight[str, int] = SingleFlight()
    call.go.set()
    task = flights.start("a", call)
    while not task.done():  # noqa: ASYNC110 - the very loop step in which it ends is wanted
        await asyncio.sleep(0)

    again = flights.start("a", call)

    assert 2 == await again
    assert 1 == task.result()


async def test_settle_waits_for_the_named_calls_however_they_end(call):
    """Settling names keys; those without a call are done already."""
    flights: SingleFlight[str, int] = SingleFlight()

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


async def test_closing_cancels_what_is_under_way(call):
    """No task outlives its owner."""
    flights: SingleFlight[str, int] = SingleFlight()
    task = flights.start("a", call)
    await asyncio.sleep(0)

    await flights.aclose()

    assert task.cancelled()


async def test_a_call_that_is_cancelled_by_nobody_is_an_error_to_who_waits():
    """Who waits was not cancelled, and must not look as if; the next call is a new one."""
    flights: SingleFlight[str, int] = SingleFlight()

    async def lost() -> int:
        raise asyncio.CancelledError

    async def found() -> int:
        return 1

    with pytest.raises(CallLost):
        await flights.join("a", lost)
    assert 1 == await flights.join("a", found)


async def test_who_waits_for_a_call_that_closing_cancels_is_cancelled(call):
    """Then it is meant."""
    flights: SingleFlight[str, int] = SingleFlight()
    waiting = asyncio.create_task(flights.join("a", call))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    await flights.aclose()

    with pytest.raises(asyncio.CancelledError):
        await waiting
