"""Trying again, within a budget."""

import asyncio
from collections.abc import Coroutine

import pytest

from secrets_cache.core.clock import Clock
from secrets_cache.core.retry import (
    FROZEN_SECONDS,
    HEARTBEAT_SECONDS,
    RetryableError,
    retry_within_budget,
    timeout_unless_frozen,
)
from secrets_cache.errors import SecretNotFound, SecretUnavailable
from secrets_cache.system.clock import SystemClock
from tests.conftest import PATIENCE_SECONDS

ERROR = SecretUnavailable("db", code="x", cause="it rains")
LATER = RetryableError(ERROR)
AT_ONCE = RetryableError(ERROR, at_once=True)
STORM = SecretUnavailable("db", code="x", cause="it rains")
STORM.is_throttled = True
THROTTLED = RetryableError(STORM)


class Script:
    """
    Attempts with scripted outcomes: an exception is raised, a number of seconds passes first, a function is awaited.

    Attributes:
        chance: What chance says, from 0 to 1.
        made: How many attempts were made.
        pauses: The pauses between them.
    """

    def __init__(self, clock, *outcomes) -> None:
        self.clock = clock
        self.chance = 0.5
        self.outcomes = list(outcomes)
        self.made = 0
        self.pauses: list[float] = []

    async def attempt(self) -> object:
        self.made += 1
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, tuple):
            seconds, outcome = outcome
            self.clock.tick(seconds)
        if isinstance(outcome, Exception):
            raise outcome
        return await outcome() if callable(outcome) else outcome

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def run(self, budget_seconds: float = 5.0) -> object:
        return await retry_within_budget(
            self.attempt,
            budget_seconds=budget_seconds,
            clock=self.clock,
            random=lambda: self.chance,
            sleep=self.sleep,
        )


async def hang() -> None:
    """Never end."""
    await asyncio.Event().wait()


async def test_the_first_answer_ends_it(clock):
    """Nothing is tried twice without need."""
    script = Script(clock, "good")

    assert "good" == await script.run()
    assert 1 == script.made


@pytest.mark.parametrize(("reason", "pauses"), [(LATER, [0.1, 0.2]), (AT_ONCE, [0.0, 0.0]), (THROTTLED, [1.0, 2.0])])
async def test_a_passing_failure_is_tried_again_twice(clock, reason, pauses):
    """Three attempts in all; a pause between them unless the upstream is well, a long one if it has too much to do."""
    script = Script(clock, reason, reason, "good")

    assert "good" == await script.run()
    assert pauses == script.pauses


@pytest.mark.parametrize(("reason", "least", "most"), [(LATER, 0.075, 0.125), (THROTTLED, 0.75, 1.25)])
async def test_the_pauses_are_spread(clock, reason, least, most):
    """What fails at one moment is not tried again at one moment."""
    for chance, pause in ((0.0, least), (1.0, most)):
        script = Script(clock, reason, "good")
        script.chance = chance

        assert "good" == await script.run()
        assert [pause] == pytest.approx(script.pauses)


@pytest.mark.parametrize("budget_seconds", [0.5, 1.0, 5.0, 60.0])
async def test_the_longest_pauses_leave_time_for_all_attempts(clock, budget_seconds):
    """However small the budget: a quarter of it is left for the attempts themselves. And no pause grows with it."""
    script = Script(clock, THROTTLED, THROTTLED, "good")
    script.chance = 1.0

    assert "good" == await script.run(budget_seconds)
    assert min(3.75, 0.75 * budget_seconds) == pytest.approx(sum(script.pauses))


async def test_the_last_failure_is_the_callers(clock):
    """After three attempts the reason is told as it is, without the signal around it."""
    script = Script(clock, LATER, LATER, LATER)

    with pytest.raises(SecretUnavailable) as caught:
        await script.run()
    assert ERROR is caught.value
    assert 3 == script.made


async def test_a_definite_failure_is_not_tried_again(clock):
    """Asking again would not change it."""
    script = Script(clock, SecretNotFound("db"))

    with pytest.raises(SecretNotFound):
        await script.run()
    assert 1 == script.made


async def test_an_attempt_that_is_cancelled_by_nobody_is_an_error(clock):
    """Who waits for it was not cancelled, and must not look as if."""

    async def lost() -> None:
        raise asyncio.CancelledError

    with pytest.raises(RuntimeError, match="CancelledError"):
        await Script(clock, lost).run()


async def test_no_attempt_begins_after_the_budget(clock):
    """A pause that would outlast the budget is not begun."""
    script = Script(clock, (0.5, LATER), "good")

    with pytest.raises(SecretUnavailable):
        await script.run(budget_seconds=0.55)
    assert 1 == script.made


async def test_an_attempt_that_hangs_ends_with_the_budget():
    """All attempts together have the budget, the last one only what is left of it."""
    clock = SystemClock()
    script = Script(clock, LATER, hang)
    began = clock.now()

    with pytest.raises(TimeoutError):
        await script.run(budget_seconds=0.3)
    assert 2 == script.made
    assert 0.2 <= clock.now().monotonic - began.monotonic < 0.3 + PATIENCE_SECONDS


async def test_an_answer_that_is_here_wins_over_the_time_it_took(clock):
    """A late answer is better than none: the budget ends waiting, and there is nothing to wait for any more."""
    assert "good" == await Script(clock, (0.9, "good")).run(budget_seconds=0.5)


@pytest.mark.parametrize("outcome", [AT_ONCE, LATER, TimeoutError()])
async def test_an_attempt_that_was_frozen_is_made_again_at_once_with_the_whole_budget(clock, outcome):
    """However it ended: what was sent before a freeze says nothing about now."""
    script = Script(clock, (3600.0, outcome), LATER, "good")

    assert "good" == await script.run()
    assert [0.1] == script.pauses


async def test_a_wall_clock_that_went_backwards_counts_as_frozen(clock):
    """The time that passed cannot be known, so the budget begins anew."""
    script = Script(clock, (-100.0, LATER), "good")

    assert "good" == await script.run()
    assert [] == script.pauses


async def test_a_slow_attempt_is_not_taken_for_a_frozen_one(clock):
    """What is a little late is late."""
    script = Script(clock, (HEARTBEAT_SECONDS + FROZEN_SECONDS, TimeoutError()))

    with pytest.raises(TimeoutError):
        await script.run()
    assert 1 == script.made


async def test_an_attempt_that_hangs_after_a_freeze_is_made_again_within_a_moment(clock):
    """Its connection died meanwhile, and nobody tells: waiting out the budget would be waiting for nothing."""

    async def freeze() -> None:
        clock.freeze(4.7)
        await hang()

    script = Script(clock, freeze, "good")

    async with asyncio.timeout(PATIENCE_SECONDS):
        assert "good" == await script.run()
    assert 2 == script.made


async def test_an_attempt_that_was_frozen_may_still_end_well(clock):
    """Its answer may have come already: asking for it again would be one call too many."""
    answer = asyncio.Event()

    async def freeze() -> str:
        clock.freeze(3600)
        asyncio.get_running_loop().call_later(HEARTBEAT_SECONDS * 1.5, answer.set)
        await answer.wait()
        return "good"

    script = Script(clock, freeze)

    assert "good" == await script.run()


async def test_a_freeze_costs_nothing_of_the_budget(clock):
    """What comes after it has the whole budget again, however little of it was left before."""
    script = Script(clock, (0.9, LATER), (60, LATER), (0.9, LATER), "good")

    assert "good" == await script.run(budget_seconds=1.0)


async def test_freezing_again_and_again_comes_to_an_end(clock):
    """Callers are not held for ever by an environment that is frozen in every attempt."""
    script = Script(clock, *[(3600.0, TimeoutError())] * 4)

    with pytest.raises(TimeoutError):
        await script.run()
    assert 4 == script.made


async def bounded(work: Coroutine[None, None, None], seconds: float, clock: Clock) -> None:
    """Do something for so many seconds at most."""
    async with timeout_unless_frozen(seconds, clock):
        await work


async def test_a_time_out_ends_what_waits():
    """As asyncio's own does: after so many seconds, and not before."""
    clock = SystemClock()
    began = clock.now()

    with pytest.raises(TimeoutError):
        await bounded(hang(), 0.3, clock)
    assert 0.3 <= clock.now().monotonic - began.monotonic < 0.3 + PATIENCE_SECONDS


async def test_a_time_out_is_over_with_what_it_bounds():
    """Nothing of it is left to end something else, nor to fail by itself."""
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    async with timeout_unless_frozen(0.01, SystemClock()):
        pass
    # For longer than it was for.
    await asyncio.sleep(0.1)

    assert [] == failures


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
async def test_a_time_out_begins_anew_after_a_freeze(clock, seconds):
    """Nobody has waited while nothing ran."""
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def frozen() -> None:
        clock.tick(seconds)
        await hang()

    with pytest.raises(TimeoutError):
        await bounded(frozen(), 0.3, clock)
    # Less than a heartbeat for what a timer may be early.
    assert 0.3 + HEARTBEAT_SECONDS <= loop.time() - began + 0.05
