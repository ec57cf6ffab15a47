"""The limiter: how many calls there are at once, and how long one waits for its turn."""

import asyncio

import pytest

from secrets_cache.aws.limiter import Limiter
from secrets_cache.core.retry import RetryableError
from secrets_cache.errors import SecretNotFound, SecretTimeout, SecretUnavailable
from secrets_cache.system.clock import SystemClock
from tests.support.fakes import FakeClock


def limiter(max_calls=2, budget_seconds=1.0, clock=None) -> Limiter:
    """Return a limiter without chance."""
    return Limiter(max_calls, budget_seconds=budget_seconds, clock=clock or SystemClock(), random=lambda: 0.5)


async def hang() -> None:
    """Never answer."""
    await asyncio.Event().wait()


async def test_there_are_no_more_calls_at_once_than_allowed():
    """And no fewer."""
    under_way = [0]
    limit = limiter(max_calls=3)

    async def attempt() -> int:
        under_way.append(under_way[-1] + 1)
        await asyncio.sleep(0)
        under_way.append(under_way[-1] - 1)
        return 1

    assert [1] * 20 == await asyncio.gather(*(limit.run("db", attempt) for _ in range(20)))
    assert 3 == max(under_way)


async def test_waiting_for_a_turn_is_not_part_of_the_budget():
    """Each call is well within it; all of them together are not."""
    clock = FakeClock()
    limit = limiter(max_calls=1, budget_seconds=1.0, clock=clock)

    async def attempt() -> None:
        clock.tick(0.4)

    await asyncio.gather(*(limit.run("db", attempt) for _ in range(10)))

    assert 4.0 == pytest.approx(clock.monotonic - FakeClock().monotonic)


async def test_nobody_waits_longer_than_a_budget_in_which_aws_answers_no_call():
    """A hundred callers of an upstream that hangs wait for two budgets, not for fifty."""
    limit = limiter(budget_seconds=0.1)
    loop = asyncio.get_running_loop()
    began = loop.time()
    found = await asyncio.gather(*(limit.run("db", hang) for _ in range(100)), return_exceptions=True)

    assert {SecretTimeout} == set(map(type, found))
    assert loop.time() - began < 2


@pytest.mark.parametrize("error", [None, SecretNotFound("x")])
async def test_an_answer_lets_the_others_wait_on(error):
    """A refusal is one too: AWS is there, and slow."""
    limit = limiter(max_calls=1, budget_seconds=0.4)

    async def answer_slowly() -> None:
        # Two of them take longer than the budget, for which the last caller waits.
        await asyncio.sleep(0.3)
        if error is not None:
            raise error

    async def answer() -> str:
        return "answered"

    calls = [limit.run("slow", answer_slowly), limit.run("slow", answer_slowly), limit.run("db", answer)]
    assert [error, error, "answered"] == await asyncio.gather(*calls, return_exceptions=True)


async def test_a_timeout_names_the_longest_budget():
    """It is the one that users have set: a batch has half of it."""
    with pytest.raises(SecretTimeout, match=r"'db' .* within 0\.3 s") as caught:
        await limiter(budget_seconds=0.3).run("db", hang, budget_seconds=0.01)

    assert 0.3 == caught.value.budget_seconds


async def test_a_passing_failure_is_tried_three_times():
    """Then it is the caller's, and the turn is the next one's."""
    attempts = []
    limit = limiter(max_calls=1)

    async def attempt() -> None:
        attempts.append(1)
        raise RetryableError(SecretUnavailable("db", code="busy", cause="it is busy"), at_once=True)

    for _ in range(2):
        with pytest.raises(SecretUnavailable, match="busy"):
            await limit.run("db", attempt)

    assert 6 == len(attempts)
