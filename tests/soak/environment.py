"""One execution environment: a process of the extension, its upstream, its callers, its troubles."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.conftest import PATIENCE_SECONDS
from tests.soak import rates
from tests.soak.aws_layer import as_native
from tests.soak.callers import Callers
from tests.soak.client import Answer, Connection, Request
from tests.soak.history import History
from tests.soak.log import wrong_in_log
from tests.soak.oracle import Oracle
from tests.soak.resources import BEFORE, Sample, grown, look
from tests.soak.troubles import Troubles
from tests.soak.upstream import KINDS, Kind, SoakUpstream
from tests.soak.world import POLICIES, Policy, rotating
from tests.support.fakes import CANARY
from tests.support.lambda_api import LambdaApi
from tests.support.processes import EXTENSION, Process, config
from tools.emulator import free_port

BEAT_SECONDS = 0.02
KEPT_VIOLATIONS = 20
FAILED = (OSError, EOFError, ValueError, KeyError, TimeoutError)


class Environment:
    """
    One execution environment. A context manager: entered, the extension is ready; left, it has ended.

    Args:
        policy: Its settings.
        seed: Of everything that is left to chance.
        folder: Where its configuration is written.
        command: What runs in place of the source tree, such as a built layer's launcher.

    Attributes:
        counts: Answers by what was asked, status and code.
        tally: Everything else that is counted.
        violations: What was broken, with all that led to it.
        samples: What the process used, at rests.
    """

    def __init__(self, policy: Policy, seed: int, folder: Path, command: Sequence[str] = ()) -> None:
        self.policy = policy
        self.history = History()
        self.oracle = Oracle(policy, self.history)
        self.counts: Counter[tuple[str, int, str]] = Counter()
        self.tally: Counter[str] = Counter()
        self.violations: list[str] = []
        self._told = 0
        self.samples: list[Sample] = []
        self._seed = seed
        self._folder = folder
        self._command = command
        self._stack = ExitStack()
        self._pacemaker: asyncio.Task[None] | None = None
        self._streams: dict[str, random.Random] = {}
        self._report = None if command else folder / "report.json"

    # Beginning and end.

    def __enter__(self) -> Self:
        for secret, form in rotating():
            # Twice, so that there is a version before.
            self.history.rotate(secret, form)
            self.history.rotate(secret, form)
        self._upstream = self._stack.enter_context(SoakUpstream(self.history, self._stream("upstream")))
        self._api = self._stack.enter_context(LambdaApi())
        aws_port = free_port()
        environ = {
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(aws_port),
            "AWS_LAMBDA_RUNTIME_API": self._api.address,
            "AWS_ENDPOINT_URL": self._upstream.url,
            "SECRETS_CACHE_LANES": "1" if self.policy.is_fast else "0",
            "SOAK_REPORT": str(self._report),
            **config(self._folder, self.policy.config()),
        }
        self._process = self._stack.enter_context(Process(self._arguments(), environ))
        assert self._api.wait_until(lambda: "/event/next" in self._api.paths(), 3 * PATIENCE_SECONDS), (
            self._process.log.text
        )
        pid, port = self._process.process.pid, self._process.port
        self._callers = Callers(
            (port, aws_port), self.policy, self.history, self._ask, self._stream, self.tally, self._violate
        )
        self.troubles = Troubles(
            pid,
            self._upstream,
            self.history,
            self._stream,
            self.tally,
            self._deck(),
            is_quiet=self.policy.is_quiet,
        )
        return self

    def __exit__(self, *arguments: object) -> None:
        self._stack.__exit__(*arguments)  # type: ignore[arg-type]

    def _arguments(self) -> Sequence[str]:
        if self._command:
            return ("-c", f"import os; os.execvp({self._command[0]!r}, {list(self._command)!r})")
        option, code, name = EXTENSION
        return (option, f"{BEFORE}\n{code}", name)

    def _deck(self) -> list[Kind]:
        """Return the kinds of fault in a random order, which each policy begins elsewhere: all come soon."""
        kinds = random.Random(f"{self._seed}/kinds").sample(KINDS, len(KINDS))
        first = POLICIES.index(self.policy) * len(kinds) // len(POLICIES)
        return kinds[first:] + kinds[:first]

    def _stream(self, actor: str) -> random.Random:
        """Return the stream of chance that an actor has; the same one each time."""
        return self._streams.setdefault(actor, random.Random(f"{self._seed}/{self.policy.name}/{actor}"))

    async def end(self) -> None:
        """Send SHUTDOWN; judge what can be judged only at the end."""
        if self._pacemaker is not None:
            self._pacemaker.cancel()
            await asyncio.gather(self._pacemaker, return_exceptions=True)
        self._api.release.set()
        code = await asyncio.to_thread(self._process.process.wait, 3 * PATIENCE_SECONDS)
        self._process.log.join()
        if code != 0:
            self._violate(f"exit code {code}")
        log, calls = self._process.log.text, sum(map(len, self.history.asked.values()))
        self.tally["log lines"] = len(log.splitlines())
        for text in [*rates.broken(self.history, self.policy), *grown(self.samples), *wrong_in_log(log, calls)]:
            self._violate(text)

    def new_violations(self) -> list[str]:
        """Return what was found broken since this was last asked."""
        new, self._told = self.violations[self._told :], len(self.violations)
        return new

    def _violate(self, text: str) -> None:
        """Note a violation."""
        self.tally["violations"] += 1
        if len(self.violations) < KEPT_VIOLATIONS:
            self.violations.append(f"[{self.policy.name}, seed {self._seed}] {text}")

    # One stretch: everything at once for a while, and then a rest.

    async def stretch(self, seconds: float, *, is_warm_up: bool) -> None:
        """Let callers and troubles do their work for so many seconds; then look what the process uses at rest."""
        if self._pacemaker is None:
            await self._have_all()
            self._pacemaker = asyncio.create_task(self._beat())
        until = time.monotonic() + seconds
        await asyncio.gather(self.troubles.work(until), self._callers.work(until, is_warm_up=is_warm_up))
        await self._settle()
        # Twice: what answers the second time may answer a third time. Then a rest, in which it grows old.
        await self._callers.all_at_once()
        await self._callers.all_at_once()
        await self._settle()
        self._upstream.close_idle()
        await self._settle()
        self.samples.append(await asyncio.to_thread(look, self._process.process.pid, self._report))
        await self._callers.all_at_once()

    async def _have_all(self) -> None:
        """Wait until all that is listed has been fetched: on a slow machine the library's import uses the budget up."""
        deadline = time.monotonic() + 6 * PATIENCE_SECONDS
        async with Connection(self._process.port) as connection:
            while (await connection.ask(Request("ready", "/health"))).status != 200:
                assert time.monotonic() < deadline, self._process.log.text[-2000:]
                await asyncio.sleep(BEAT_SECONDS)

    async def _settle(self) -> None:
        """Wait until the process has seen all that happened by now."""
        now, deadline = time.time(), time.monotonic() + 3 * PATIENCE_SECONDS
        while self.history.beats.settled(time.time()) < now:
            told = "\n".join(["the process answers no ping", *self.violations, self._process.log.text[-2000:]])
            assert time.monotonic() < deadline, told
            await asyncio.sleep(BEAT_SECONDS)

    async def _beat(self) -> None:
        ping = Request("beat", "/ping", (200, ""))
        async with Connection(self._process.port) as connection:
            while True:
                answer = await connection.ask(ping)
                self.history.beats.add(answer.sent, answer.received)
                await asyncio.sleep(BEAT_SECONDS)

    # What is asked, and what is told of a violation.

    async def _ask(self, connection: Connection, request: Request) -> bool:
        """Ask, and have the answer judged; return whether the connection may be used again."""
        try:
            answer = await connection.ask(request)
        except FAILED as error:
            self._violate(f"{request.method} {request.target}: no answer, but {type(error).__name__}: {error}")
            return False
        broken = self._judge(request, answer)
        self.counts[request.label, answer.status, answer.headers.get("cache-status", "")] += 1
        if broken is not None:
            self._violate(self._tell(request, answer, broken))
        is_last = answer.headers.get("connection", "").lower() == "close"
        if is_last and (rest := await connection.rest()):
            self._violate(self._tell(request, answer, f"{len(rest)} bytes after the last response"))
        return not is_last

    def _judge(self, request: Request, answer: Answer) -> str | None:
        """Return which rule an answer breaks; None if it breaks none."""
        try:
            return self.oracle.judge(request, as_native(request, answer) if request.is_aws else answer)
        except (ValueError, KeyError, TypeError) as error:
            return f"no answer in the form of its protocol: {error}"

    def _tell(self, request: Request, answer: Answer, broken: str) -> str:
        """Return the request, the answer and what happened around it; no value."""
        at = answer.sent
        shown = {
            name: answer.headers.get(name) for name in ("etag", "cache-status", "date", "retry-after", "content-type")
        }
        calls = [
            f"  {call.arrived - at:+.3f}..{call.ended - at:+.3f} {call.kind} {call.version[:8]}"
            for call in self.history.calls(request.ref)[-8:]
        ]
        secret = request.listed.secret if request.listed else request.ref[0]
        versions = [f"  {each.since - at:+.3f} {each.id[:8]}" for each in self.history.versions(secret)[-6:]]
        gaps = [
            f"  {began - at:+.3f}..{ended - at:+.3f}" for began, ended in self.history.beats.gaps_until(time.time())[:4]
        ]
        settled = self.history.beats.settled(at) - at
        body = answer.body.decode("utf-8", "replace") if answer.status >= 400 else f"{len(answer.body)} bytes"
        return "\n".join(
            [
                broken,
                f" {request.method} {request.target} {request.entity_tag} {request.headers}; ttl {request.ttl}",
                f" {answer.status} after {answer.received - at:.3f} s {shown}",
                f" {body[:500]}",
                f" the process has surely seen what came before {settled:+.3f}",
                *(" calls (relative to the question):", *calls),
                *(" versions since:", *versions),
                *(" no ping answered:", *gaps),
            ]
        ).replace(CANARY, "...")
