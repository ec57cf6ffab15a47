"""
The caller that sends the same forced refresh twice within a second, as two whose password was refused do.

The second one is answered with what the first one fetched. Nothing may remember that answer: later the same bytes ask
for a new fetch. What is plainly asked for is what the cache holds.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import cycle
from typing import Protocol

from tests.soak.client import Connection, Request
from tests.soak.history import History
from tests.soak.world import FORCED_SECONDS, Listed, Policy

TOGETHER_SECONDS = 0.4
LATER_SECONDS = FORCED_SECONDS + 0.5

Ask = Callable[[Connection, Request], Awaitable[bool]]


class Draws(Protocol):
    """Where the requests come from, in either protocol."""

    chance: random.Random
    port: int

    def of(self, listed: Listed, *, is_forced: bool = False) -> Request:
        """Return one for this secret."""


async def ask_twice(
    until: float,
    both: Sequence[Draws],
    policy: Policy,
    history: History,
    ask: Ask,
    tally: Counter[str],
) -> None:
    """Do so again and again, in one protocol after the other, until a moment on the monotonic clock."""
    for requests in cycle(both):
        left = until - time.monotonic()
        if left < TOGETHER_SECONDS + LATER_SECONDS:
            await asyncio.sleep(max(left, 0))
            return
        listed = requests.chance.choice([each for each in policy.listed if each.may_be_forced])
        forced = replace(requests.of(listed, is_forced=True), label="refresh twice")
        plain = [(each.port, replace(each.of(listed), label="plain after refresh")) for each in both]
        async with Connection(requests.port) as connection:
            await ask(connection, forced)
            await asyncio.sleep(requests.chance.uniform(0, TOGETHER_SECONDS))
            await ask(connection, forced)
            history.rotate(listed.secret, listed.form)
            await _ask_each(plain, ask)
            await asyncio.sleep(LATER_SECONDS)
            await ask(connection, forced)
            await _ask_each(plain, ask)
        tally["refreshes sent twice"] += 1


async def _ask_each(requests: Sequence[tuple[int, Request]], ask: Ask) -> None:
    """Ask on each port: what one has fetched anew, the other may have remembered as it was."""
    for port, request in requests:
        async with Connection(port) as connection:
            await ask(connection, request)
