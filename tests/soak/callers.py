"""The callers of one execution environment: who stays, who comes and goes, who goes too early, who says nothing."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable

from tests.soak.aws_layer import AwsRequests
from tests.soak.client import Connection, Request, count_whole
from tests.soak.history import History
from tests.soak.requests import Requests
from tests.soak.twice import Ask, ask_twice
from tests.soak.unread import ask_without_reading
from tests.soak.world import Policy

STAYING = 3
# More than the cache keeps besides what is listed: memory has its final size when the warm-up ends.
FILLING = 1100
STAMPEDE = 20


class Callers:
    """
    The load.

    Args:
        ports: Where the process listens, and where it does for AWS's protocol.
        policy: Its settings.
        history: Which versions there are.
        ask: Asks, and has the answer judged; returns whether the connection may be used again.
        stream: Gives the stream of chance of an actor.
        tally: What is counted besides answers.
        violate: Notes a violation that is none of an answer.
    """

    def __init__(
        self,
        ports: tuple[int, int],
        policy: Policy,
        history: History,
        ask: Ask,
        stream: Callable[[str], random.Random],
        tally: Counter[str],
        violate: Callable[[str], None],
    ) -> None:
        port, aws_port = ports
        self._policy = policy
        self._history = history
        self._ask = ask
        self._tally = tally
        self._violate = violate
        self._requests = {
            actor: Requests(policy, history, stream(actor), port)
            for actor in ("go", "sweep", "fill", "leave", "idle", "stampede", *(f"stay {n}" for n in range(STAYING)))
        }
        self._twice = (Requests(policy, history, stream("twice"), port), AwsRequests(policy, stream("twice"), aws_port))
        self._aws_requests = {
            actor: AwsRequests(policy, stream(f"AWS {actor}"), aws_port) for actor in ("stay", "go", "leave")
        }

    async def work(self, until: float, *, is_warm_up: bool) -> None:
        """Ask, all of them, until a moment on the monotonic clock."""
        mine, aws = self._requests, self._aws_requests
        everywhere = asyncio.gather(
            ask_twice(until, self._twice, self._policy, self._history, self._ask, self._tally),
            *(
                ask_without_reading(until, requests.port, requests.large(), self._tally)
                for requests in (mine["leave"], aws["leave"])
            ),
        )
        if self._policy.is_quiet:
            await everywhere
            return
        await asyncio.gather(
            everywhere,
            self._stay(until, aws["stay"]),
            self._go(until, aws["go"]),
            self._leave(until, aws["leave"]),
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
            for listed in self._policy.listed
        ]
        port = self._twice[0].port
        await asyncio.gather(*(self._once(port, request) for request in requests))

    async def _stay(self, until: float, requests: Requests | AwsRequests) -> None:
        """Ask again and again on one connection, for a while."""
        while time.monotonic() < until:
            async with Connection(requests.port) as connection:
                goes_on, left = True, requests.chance.randrange(1, 200)
                while goes_on and left and time.monotonic() < until:
                    goes_on, left = await self._ask(connection, requests.any()), left - 1
                    await asyncio.sleep(requests.chance.uniform(0, 0.03))

    async def _once(self, port: int, request: Request) -> None:
        async with Connection(port) as connection:
            await self._ask(connection, request)

    async def _go(self, until: float, requests: Requests | AwsRequests) -> None:
        """Open a connection for each request."""
        while time.monotonic() < until:
            roll = requests.chance.random()
            if roll < 0.1:
                request = requests.last()
            elif roll < 0.2 and isinstance(requests, Requests):
                request = requests.garbage()
            else:
                request = requests.any()
            await self._once(requests.port, request)
            await asyncio.sleep(requests.chance.uniform(0, 0.05))

    async def _sweep(self, until: float, requests: Requests) -> None:
        """Ask for what is not listed."""
        async with Connection(requests.port) as connection:
            goes_on = True
            while goes_on and time.monotonic() < until:
                goes_on = await self._ask(connection, requests.on_demand(is_new=False))
                await asyncio.sleep(requests.chance.uniform(0, 0.05))

    async def _fill(self, requests: Requests) -> None:
        async with Connection(requests.port) as connection:
            for _ in range(FILLING):
                await self._ask(connection, requests.on_demand(is_new=True))

    async def _leave(self, until: float, requests: Requests | AwsRequests) -> None:
        """Go away in the middle of a request, or before its answer; or send no more, and read what still comes."""
        while time.monotonic() < until:
            async with Connection(requests.port) as connection:
                request = requests.any()
                data = request.as_bytes()
                connection.send(data[: requests.chance.choice((len(data), len(data), len(data) // 2))])
                self._tally["callers that went away"] += 1
                await asyncio.sleep(requests.chance.uniform(0, 0.1))
                if requests.chance.random() < 0.3:
                    connection.finish()
                    self._judge_rest(request, await connection.rest())

    def _judge_rest(self, request: Request, data: bytes) -> None:
        """Look at what came of one request whose caller sends no more: its response, whole, or nothing."""
        try:
            count = count_whole(data, is_head=request.method == "HEAD")
        except ValueError:
            self._violate(f"{request.method} {request.target}: a caller that sends no more got a part of a response")
            return
        if count > 1:
            self._violate(f"{request.method} {request.target}: {count} responses")

    async def _idle(self, until: float, requests: Requests) -> None:
        """Hold connections that say nothing, or half of something."""
        while (left := until - time.monotonic()) > 0:
            async with Connection(requests.port) as connection, Connection(requests.port):
                connection.send(b"GET /cache/one HTT")
                self._tally["half-open connections"] += 2
                await asyncio.sleep(min(requests.chance.uniform(0.5, 2), left))

    async def _stampede(self, until: float, requests: Requests) -> None:
        """Let many ask for one secret at once."""
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(requests.chance.uniform(0.5, 2), left))
            request = requests.forced() if requests.chance.random() < 0.3 else requests.plain()
            await asyncio.gather(*(self._once(requests.port, request) for _ in range(STAMPEDE)))
            self._tally["stampedes"] += 1
