"""How long a caller waits, in isolation."""

import asyncio
import math

import pytest

from secrets_cache.core.demand import Demand, wait
from secrets_cache.core.secret import Ref
from secrets_cache.errors import SecretTimeout


async def take_turns() -> str:
    """Return after some turns of the loop."""
    for _ in range(5):
        await asyncio.sleep(0.01)
    return "value"


async def test_what_a_caller_has_waited_for_other_fetches_counts(clock):
    """All of its waiting together is bounded; the error names the whole time."""
    demand = Demand(math.inf, refresh=False, timeout_seconds=0.0, own_seconds=100.0, asked=clock.now())
    clock.tick(99.99)

    with pytest.raises(SecretTimeout, match=r"secret 'db' .* within 100 s"):
        await wait(asyncio.Event().wait(), Ref("db"), demand, clock)


async def test_after_a_freeze_the_time_begins_anew(clock):
    """The caller was frozen too: it has not waited."""
    demand = Demand(math.inf, refresh=False, timeout_seconds=0.0, own_seconds=5.0, asked=clock.now())
    clock.freeze(3600.0)

    assert "value" == await wait(take_turns(), Ref("db"), demand, clock)


async def test_without_a_limit_a_caller_waits_as_long_as_it_takes(clock):
    """As `check` does, whose source has a limit of its own."""
    demand = Demand(math.inf, refresh=False, timeout_seconds=0.0, own_seconds=0.0, asked=clock.now())

    assert "value" == await wait(take_turns(), Ref("db"), demand, clock)


async def test_a_time_of_the_callers_own_is_kept_to(clock):
    """There is no other error to wait for, as there is at the cache's own limit."""
    ended: list[str] = []

    async def end(name: str, demand: Demand) -> None:
        with pytest.raises(SecretTimeout, match=r"secret 'db' .* within 0.05 s"):
            await wait(asyncio.Event().wait(), Ref("db"), demand, clock)
        ended.append(name)

    own = Demand(math.inf, refresh=False, timeout_seconds=0.0, own_seconds=0.05, asked=clock.now())
    callers = own._replace(timeout_seconds=0.05, own_seconds=100.0)
    await asyncio.gather(end("the cache's", own), end("the caller's", callers))

    assert ["the caller's", "the cache's"] == ended
