"""The callers of one execution environment: who stays, who comes and goes, who goes too early, who says nothing."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from tests.soak.client import Connection, Request
from tests.soak.history import History
from tests.soak.requests import Requests
from tests.soak.world import LISTED, Policy

STAYING = 3
# More than the cache keeps besides what is listed: memory has its final size when the warm-up ends.
FILLING = 1100
STAMPEDE = 20

Ask = Callable[[Connection, Request], Awaitable[bool]]


class Callers:
    """
    The load.

    Args:
        port: Where the process listens.
        policy: Its settings.
        history: Which versions there are.
        ask: Asks, and has the answer judged; returns whether the connection may be used again.
        stream: Gives the stream of chance of an actor.
        tally: What is counted besides answers.
    """

    def __init__(
        self,
        port: int,
        policy: Policy,
        history: History,
        ask: Ask,
        stream: Callable[[str], random.Random],
        tally: Counter[str],
    ) -> None:
        self._port = port
        self._ask = ask
        self._tally = tally
        self._requests = {
            actor: Requests(policy, history, stream(actor))
            for actor in ("go", "sweep", "fill", "leave", "idle", "stampede", *(f"stay {n}" for n in range(STAYING)))
        }

    async def work(self, until: float, *, is_warm_up: bool) -> None:
        """Ask, all of them, until a moment on the monotonic clock."""
        mine = self._requests
        await asyncio.gather(
            *(self._stay(until, mine[f"stay {number}"]) for number in range(STAYING)),
            self._go(until, mine["go"]),
            self._sweep(until, mine["sweep"]),
            self._leave(until, mine["leave"]),
            self._idle(until, mine["idle"]),
            self._stampede(until, mine["stampede"]),
            *([self._fill(mine["fill"])] if is_warm_up else []),
        )

    async def all_at_once(self) -> None:
        """Ask for every listed secret, in the same bytes each time: before any is fetched, all have been asked for."""
        requests = [
            Request("at once", f"/cache/{listed.names[0]}", ref=listed.ref, listed=listed, ttl=listed.ttl)
            for listed in LISTED
        ]
        await asyncio.gather(*map(self._once, requests))

    async def _stay(self, until: float, requests: Requests) -> None:
        """Ask again and again on one connection, for a while."""
        while time.monotonic() < until:
            async with Connection(self._port) as connection:
                goes_on, left = True, requests.chance.randrange(1, 200)
                while goes_on and left and time.monotonic() < until:
                    goes_on, left = await self._ask(connection, requests.any()), left - 1
                    await asyncio.sleep(requests.chance.uniform(0, 0.03))

    async def _once(self, request: Request) -> None:
        async with Connection(self._port) as connection:
            await self._ask(connection, request)

    async def _go(self, until: float, requests: Requests) -> None:
        """Open a connection for each request."""
        while time.monotonic() < until:
            await self._once(requests.garbage() if requests.chance.random() < 0.1 else requests.any())
            await asyncio.sleep(requests.chance.uniform(0, 0.05))

    async def _sweep(self, until: float, requests: Requests) -> None:
        """Ask for what is not listed."""
        async with Connection(self._port) as connection:
            goes_on = True
            while goes_on and time.monotonic() < until:
                goes_on = await self._ask(connection, requests.on_demand(is_new=False))
                await asyncio.sleep(requests.chance.uniform(0, 0.05))

    async def _fill(self, requests: Requests) -> None:
        async with Connection(self._port) as connection:
            for _ in range(FILLING):
                await self._ask(connection, requests.on_demand(is_new=True))

    async def _leave(self, until: float, requests: Requests) -> None:
        """Go away in the middle of a request, or before its answer."""
        while time.monotonic() < until:
            async with Connection(self._port) as connection:
                data = requests.any().as_bytes()
                connection.send(data[: requests.chance.choice((len(data), len(data), len(data) // 2))])
                self._tally["callers that went away"] += 1
                await asyncio.sleep(requests.chance.uniform(0, 0.1))

    async def _idle(self, until: float, requests: Requests) -> None:
        """Hold connections that say nothing, or half of something."""
        while (left := until - time.monotonic()) > 0:
            async with Connection(self._port) as connection, Connection(self._port):
                connection.send(b"GET /cache/one HTT")
                self._tally["half-open connections"] += 2
                await asyncio.sleep(min(requests.chance.uniform(0.5, 2), left))

    async def _stampede(self, until: float, requests: Requests) -> None:
        """Let many ask for one secret at once."""
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(requests.chance.uniform(0.5, 2), left))
            request = requests.forced() if requests.chance.random() < 0.3 else requests.plain()
            await asyncio.gather(*(self._once(request) for _ in range(STAMPEDE)))
            self._tally["stampedes"] += 1
