"""
Where the faults of `fault_matrix` are played: AWS, the way to it, and the graph, over real sockets.

Rules
-----
1. Time passes only when it is let: never while something is late for another reason than the fault. So each count is
   exact, however slow the machine is.
2. The resolver is the only stand-in: names that can be resolved, and then cannot, are nowhere to be had.
"""

import asyncio
import contextlib
import json
import logging
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from secrets_cache.app import Application, run_application
from secrets_cache.config import parse
from secrets_cache.config.environment import uses_fast_paths
from secrets_cache.system.sockets import bind, open_sockets
from tests.conftest import PATIENCE_SECONDS
from tests.support import upstream as stub
from tests.support.fakes import CANARY, FakeClock
from tests.support.fault_matrix import BATCHED, Asked, Fault, Kind, Logged, Moment, Network, Outcome, Route, Speed, Told

HOST = "secretsmanager.test"
# The library's own time-outs, a second longer, are on the machine's clock: a slow machine needs more.
FETCH_TIMEOUT_SECONDS = PATIENCE_SECONDS / 7.5
# Time passes twice as fast as it really does, in steps that add up without error.
STEP_SECONDS = 1 / 8
TTL_SECONDS = 600
# Past any back-off after a first failure, and past the second in which one forced refresh is made.
BACKOFF_SECONDS = 2
# Whoever comes while a fetch is under way joins it, even if the timer began it: it takes a moment.
HEALTHY_DELAY_SECONDS = 0.1
CONFIGS = {
    Moment.PREFETCH: "secrets: [prefetch]",
    Moment.FIRST: "allow: [first]",
    Moment.AHEAD: "secrets: [ahead]",
    Moment.EXPIRED: "secrets: [expired]",
    Moment.FORCED: "secrets: [forced]",
    Moment.BATCH: "secrets: [batch, batch-2]\nbatch: always",
    Moment.BATCH_ALONE: "secrets: [alone, alone-2, alone-3]\nbatch: always",
}
# How old the value is when it goes wrong; what is not here has none.
AGES = {Moment.AHEAD: TTL_SECONDS - 20, Moment.EXPIRED: TTL_SECONDS + 1, Moment.FORCED: BACKOFF_SECONDS}
PREFETCHED = (Moment.PREFETCH, Moment.BATCH, Moment.BATCH_ALONE)

# How long credentials are good. They are renewed when less than ten minutes are left: not before the value has aged.
ROLE_SECONDS = TTL_SECONDS + 400
# And so short that they are renewed for each call.
HASTY_SECONDS = 300
ROLE_ARN = "arn:aws:iam::123456789012:role/"


def config_of(asked: Asked, moment: Moment) -> str:
    """Return the configuration of one graph."""
    if asked is Asked.PARAMETER:
        return f"parameters: [/{moment.value}]"
    if asked is Asked.ROLE:
        return f"secrets: [{{id: {moment.value}, role_arn: '{ROLE_ARN}{moment.value}'}}]"
    return CONFIGS[moment]


def names_of(moment: Moment, asked: Asked = Asked.SECRET) -> tuple[str, ...]:
    """Return the secrets or parameters that are fetched at a moment; the first is the one that is asked for."""
    if asked is Asked.PARAMETER:
        return (f"/{moment.value}",)
    return (moment.value, *(f"{moment.value}-{number}" for number in range(2, BATCHED.get(moment, 1) + 1)))


class Resolver:
    """The system's resolver, which knows one name more, or does not, or does not say."""

    def __init__(self) -> None:
        self._real = socket.getaddrinfo
        self.knows = True
        self.says = threading.Event()
        self.says.set()
        self.waiting = 0

    def __call__(self, host: Any, *details: Any, **more: Any) -> Any:
        """Resolve as `socket.getaddrinfo` does."""
        if host not in {HOST, HOST.encode()} or more.get("flags") == socket.AI_NUMERICHOST:
            return self._real(host, *details, **more)
        self.waiting += 1
        self.says.wait()
        self.waiting -= 1
        if not self.knows:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self._real("127.0.0.1", *details, **more)


class Stage:
    """AWS, the way to it, and one fault, which is there between `begin` and `end`."""

    def __init__(
        self, fault: Fault, asked: Asked, upstream: stub.Upstream, resolver: Resolver, other_certificate: Path
    ) -> None:
        self._fault = fault
        self.asked = asked
        self._resolver = resolver
        self._other = other_certificate
        self.upstream = upstream
        # What a connection cannot have, those that are open already must not have either.
        upstream.says_close = fault.is_of_the_network
        upstream.delay = HEALTHY_DELAY_SECONDS
        if asked is Asked.CONTAINER and not uses_fast_paths(os.environ):
            # botocore's clock is the machine's, on which no value grows old.
            upstream.role_seconds = HASTY_SECONDS
        else:
            upstream.now, upstream.role_seconds = (lambda: FakeClock().wall), ROLE_SECONDS
        self._put(1)

    def _put(self, version: int) -> None:
        self.upstream.parameter_version = version
        for moment in Moment:
            for name in names_of(moment):
                value = f"{CANARY} {name} {version}"
                self.upstream.put(name, value)
                self.upstream.parameters[f"/{name}"] = value

    def begin(self) -> None:
        """Put new values in place, and let it go wrong."""
        self._put(2)
        how = self._fault.how
        if isinstance(how, stub.Answer):
            self.upstream.fault = self._answer
        elif how is Network.REFUSES:
            self.upstream.refuse()
        elif how is Network.NO_SUCH_NAME:
            self._resolver.knows = False
        elif how is Network.NO_RESOLVER:
            self._resolver.says.clear()
        elif how is Network.CERTIFICATE:
            self.upstream.certify(self._other)
        else:
            self.upstream.forbids_tunnels = True

    def end(self, certificate: Path) -> None:
        """Let all be well again."""
        self.upstream.fault = None
        self.upstream.forbids_tunnels = False
        self._resolver.knows = True
        self._resolver.says.set()
        if self._fault.how is Network.REFUSES:
            self.upstream.accept()
        if self._fault.how is Network.CERTIFICATE:
            self.upstream.certify(certificate)

    @property
    def is_silent_before(self) -> bool:
        """Whether somebody waits who has no connection yet."""
        return self._resolver.waiting > 0

    def _answer(self, call: stub.Call) -> stub.Answer | None:
        assert isinstance(self._fault.how, stub.Answer)
        if call.operation not in {self.asked.value, "BatchGetSecretValue"}:
            return None
        if call.ids[0].startswith(Moment.BATCH_ALONE.value) and call.operation == "GetSecretValue":
            return None
        if self._fault.kind is Kind.HARMLESS:
            return replace(self.upstream.good(call), headers=self._fault.how.headers)
        return _in_xml(self._fault.how) if self.asked is Asked.ROLE else self._fault.how


def _in_xml(answer: stub.Answer) -> stub.Answer:
    """Return an error as STS has it; any other answer as it is."""
    if not answer.body.startswith(b'{"__type"'):
        return answer
    error = json.loads(answer.body)
    body = f"""<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
        <Code>{error["__type"]}</Code><Message>{error["message"]}</Message></Error></ErrorResponse>"""
    return replace(answer, body=body.encode())


@contextlib.contextmanager
def staged(
    fault: Fault, monkeypatch: pytest.MonkeyPatch, folder: Path, asked: Asked = Asked.SECRET
) -> Iterator[tuple[Stage, Path]]:
    """Give the stage of a fault, with the environment that leads to it, and the certificate that is trusted."""
    (folder / "other").mkdir()
    certificate, other = stub.write_certificate(folder), stub.write_certificate(folder / "other")
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    upstream = stub.Upstream(
        certificate=certificate if fault.route is Route.SECURE else None,
        tunnel=certificate if fault.route is Route.TUNNEL else None,
    )
    with upstream:
        urls = {
            Route.NAMED: f"http://{HOST}:{upstream.port}",
            Route.PROXY: f"http://{HOST}",
            Route.TUNNEL: "https://127.0.0.1",
        }
        monkeypatch.setenv("AWS_ENDPOINT_URL", urls.get(fault.route, upstream.url))
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        if not fault.is_fast:
            monkeypatch.setenv("HTTP_PROXY" if fault.route is Route.PROXY else "HTTPS_PROXY", upstream.url)
        try:
            if asked is Asked.CONTAINER:
                monkeypatch.delenv("AWS_ACCESS_KEY_ID")
                monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{upstream.url}/")
            yield Stage(fault, asked, upstream, resolver, other), certificate
        finally:
            # Threads wait for it.
            resolver.says.set()


class Log(logging.Handler):
    """The lines from INFO up, as the tests compare them, by secret."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record, but not of which library was imported: what a process has imported stays so."""
        if record.msg != "engine.loaded":
            self.records.append(record)

    def has_refused(self, names: tuple[str, ...]) -> bool:
        """Return whether there is a line about a batch of so many."""
        lines: list[Any] = [record.args for record in self.records if record.msg == "batch.refused"]
        return any(fields["secrets"] == len(names) for fields in lines)

    def take(self, names: tuple[str, ...], *, with_batch: bool = False) -> tuple[Logged, ...]:
        """Return and forget the lines about some secrets, and the one about a batch."""
        taken: list[logging.LogRecord] = []
        kept: list[logging.LogRecord] = []
        for record in self.records:
            fields: Any = record.args
            is_meant = fields.get("secret") in names or (with_batch and fields.get("secrets") == len(names))
            (taken if is_meant else kept).append(record)
        self.records = kept
        return tuple(sorted(map(_logged, taken), key=repr))


def _logged(record: logging.LogRecord) -> Logged:
    fields: Any = record.args
    return Logged(record.levelname, record.msg, fields.get("code"), fields.get("still_served"), fields.get("changed"))


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - who is asked tells nobody
        await asyncio.sleep(0.005)


@dataclass
class Cell:
    """One graph, in which a fault comes at one moment."""

    moment: Moment
    fault: Fault
    stage: Stage
    log: Log
    clock: FakeClock
    application: Application
    client: aiohttp.ClientSession
    url: str

    @property
    def names(self) -> tuple[str, ...]:
        """The secrets that are fetched here."""
        return names_of(self.moment, self.stage.asked)

    @property
    def blamed(self) -> str:
        """What an error names: the role, if it is the role's."""
        asked = self.stage.asked
        if asked is Asked.ROLE:
            return f"role '{ROLE_ARN}{self.moment.value}'"
        return f"{'parameter' if asked is Asked.PARAMETER else 'secret'} '{self.names[0]}'"

    def calls(self, operation: str = "", names: tuple[str, ...] = ()) -> int:
        """Return how many calls of this graph have arrived where it goes wrong."""
        asked = self.stage.asked
        of_credentials = {Asked.ROLE: {f"{ROLE_ARN}{self.moment.value}"}, Asked.CONTAINER: {"container"}}
        wanted = of_credentials.get(asked, set(names or self.names))
        return sum(
            call.operation == (operation or asked.value) and not wanted.isdisjoint(call.ids)
            for call in self.stage.upstream.calls
        )

    async def ask(self) -> Told:
        """Ask, as a caller does."""
        query = "?refresh=true" if self.moment is Moment.FORCED else ""
        async with self.client.get(f"{self.url}/cache/{self.names[0]}{query}") as response:
            body, headers = await response.text(), response.headers
        problem = json.loads(body) if headers["Content-Type"] == "application/problem+json" else {}
        # Where AWS says nothing, the caller's own limit may come first, and knows of no role.
        assert not problem or self.fault.speed is Speed.BUDGET or self.blamed in problem["detail"]
        values = {f"{CANARY} {self.moment.value} {version}": word for version, word in ((1, "old"), (2, "new"))}
        return Told(
            response.status,
            problem.get("code"),
            problem.get("aws_code"),
            headers["Cache-Status"].removeprefix("secrets-cache; ") if "Cache-Status" in headers else None,
            values.get(body),
            may_return=headers.get("Retry-After") in {"1", "2"},
        )

    async def import_library(self) -> None:
        """Let a value be held, and grow as old as it must be."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            told = await self.ask()
        assert (200, "old") == (told.status, told.value)
        self.clock.tick(AGES[self.moment])
        self.log.take(self.names)
        self.stage.upstream.calls.clear()

    async def fail(self) -> tuple[Told, bool, tuple[Logged, ...], tuple[int, int], Told]:
        """Ask while it goes wrong, and once more when it has."""
        began, real = self.clock.monotonic, asyncio.get_running_loop().time()
        passing = asyncio.create_task(self._let_time_pass()) if self.fault.speed is Speed.BUDGET else None
        async with asyncio.timeout(PATIENCE_SECONDS):
            told = await self.ask()
            if self.moment in PREFETCHED and told.cache_status == "hit":
                # It came when all was here; had the machine been faster, it would have waited.
                told = told._replace(cache_status="fwd=miss")
            waited = self.clock.monotonic - began
            # What comes on top: a beat of the heart, for a batch another, and the answer's way, in which time goes on.
            assert waited < 1.75 * FETCH_TIMEOUT_SECONDS, f"{self.moment.value}: {waited} s"
            took = asyncio.get_running_loop().time() - real
            assert took < FETCH_TIMEOUT_SECONDS + PATIENCE_SECONDS / 2, f"{self.moment.value}: {took} s"
            await self._settled()
            if self.moment in BATCHED and self.fault.kind is not Kind.HARMLESS:
                # Written last, when all has been delivered.
                await _until(lambda: self.log.has_refused(self.names))
        if passing is not None:
            passing.cancel()
            await asyncio.gather(passing, return_exceptions=True)
        calls = self.calls("BatchGetSecretValue"), self.calls()
        lines = self.log.take(self.names, with_batch=self.moment in BATCHED)
        again = await self.ask()
        assert calls == (self.calls("BatchGetSecretValue"), self.calls())
        assert () == self.log.take(self.names)
        return told, waited >= FETCH_TIMEOUT_SECONDS, lines, calls, again

    async def recover(self) -> tuple[Told, tuple[Logged, ...], int]:
        """Ask when all is well again, after the back-off; the other secret of a batch may be fetched meanwhile."""
        name = self.names[:1]
        before = self.calls(names=name)
        self.clock.tick(BACKOFF_SECONDS)
        async with asyncio.timeout(PATIENCE_SECONDS):
            told = await self.ask()
            await self._settled()
        lines = self.log.take(name)
        self.log.take(self.names)
        return told, lines, self.calls(names=name) - before

    async def _settled(self) -> None:
        """Wait until nothing is being fetched any more."""
        cache = self.application.cache
        if self.application.prefetching is not None:
            await self.application.prefetching
        await _until(lambda: not cache.in_flight)

    async def _let_time_pass(self) -> None:
        """Let the time pass in which a call that has arrived is not answered, and no other."""
        began = self.clock.monotonic
        while True:
            await asyncio.sleep(STEP_SECONDS / 2)
            # A batch has half of the time; the calls after it may then take a while to arrive.
            is_batch_asked = (
                self.calls("BatchGetSecretValue") and self.clock.monotonic - began < FETCH_TIMEOUT_SECONDS / 2
            )
            is_asked = self.calls() and self.moment is not Moment.BATCH_ALONE
            if is_batch_asked or is_asked or self.stage.is_silent_before:
                self.clock.tick(STEP_SECONDS)


@contextlib.asynccontextmanager
async def cell(moment: Moment, fault: Fault, stage: Stage, log: Log) -> AsyncIterator[Cell]:
    """Give a graph for one moment, as the environment has it."""
    text = f"{config_of(stage.asked, moment)}\nttl: {TTL_SECONDS}\nfetch_timeout: {FETCH_TIMEOUT_SECONDS}"
    config = parse(text.encode(), file="config.yaml", environ=os.environ)
    assert () == config.problems
    clock, sockets = FakeClock(), open_sockets(bind(0)[0])
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    async with (
        run_application(config, sockets=sockets, environ=os.environ, clock=clock) as application,
        aiohttp.ClientSession() as client,
    ):
        yield Cell(moment, fault, stage, log, clock, application, client, url)


async def play(fault: Fault, moments: list[Moment], stage: Stage, end: Callable[[], None]) -> dict[Moment, Outcome]:
    """Return what happens at each moment: all of them at once, each in a graph of its own."""
    log = Log()
    logger = logging.getLogger("secrets_cache")
    logger.addHandler(log)
    try:
        async with AsyncExitStack() as stack:

            async def enter(moment: Moment) -> Cell:
                return await stack.enter_async_context(cell(moment, fault, stage, log))

            aged = [await enter(moment) for moment in moments if moment in AGES]
            await asyncio.gather(*(one.import_library() for one in aged))
            stage.begin()
            cells = [await enter(moment) for moment in moments if moment not in AGES]
            failed = await asyncio.gather(*(one.fail() for one in cells))
            # Not before: making a client stops the loop, and a call that hangs meanwhile has a time-out.
            failed += await asyncio.gather(*(one.fail() for one in aged))
            cells += aged
            end()
            recovered = await asyncio.gather(*(one.recover() for one in cells))
            assert [] == log.records
    finally:
        logger.removeHandler(log)
    outcomes = zip(cells, failed, recovered, strict=True)
    return {one.moment: Outcome(*while_it_fails, *after) for one, while_it_fails, after in outcomes}
