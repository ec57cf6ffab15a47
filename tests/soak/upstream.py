"""The stub of Secrets Manager, which here writes down what it was asked and what it gave, and fails by episodes."""

import asyncio
import base64
import contextlib
import json
import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from tests.soak.history import Asked, History, Outcome, Version
from tests.support import upstream as stub
from tests.support.upstream import Answer, Call, Upstream, arn_of, aws_error

if TYPE_CHECKING:
    from concurrent.futures import Future

    from tests.soak.world import Ref

# What the process has for AWS at most; with so many in use, others wait for one.
MAX_CONNECTIONS = 20
TICK_SECONDS = 0.05
# A loop that comes this much too late kept everybody waiting.
STALLED_SECONDS = 0.3


@dataclass(frozen=True)
class Kind:
    """A fault: what it is called, what it means, and what is answered; None for the good answer, but late or last."""

    name: str
    outcome: Outcome
    answer: Answer | None = None
    is_slow: bool = False
    closes: bool = False


GOOD_ANSWER = Answer()
GOOD = Kind("good", Outcome.GOOD)
NO_SUCH_SECRET = Kind(
    "no such secret",
    Outcome.DEFINITE,
    aws_error("ResourceNotFoundException", "Secrets Manager can't find the specified secret."),
)
NO_SUCH_VERSION = replace(
    NO_SUCH_SECRET,
    name="no such version",
    answer=aws_error(
        "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: never"
    ),
)
KINDS = (
    Kind("slow", Outcome.GOOD, is_slow=True),
    Kind("closing", Outcome.GOOD, closes=True),
    Kind("hang", Outcome.PASSING, stub.HANG),
    Kind("reset", Outcome.PASSING, stub.RESET),
    Kind("cut off", Outcome.PASSING, stub.CUT),
    Kind("garbage", Outcome.PASSING, stub.GARBAGE),
    Kind("empty", Outcome.PASSING, stub.EMPTY),
    Kind("500", Outcome.PASSING, stub.INTERNAL),
    Kind("throttled", Outcome.PASSING, stub.THROTTLED),
    Kind("expired signature", Outcome.PASSING, stub.EXPIRED_SIGNATURE),
    Kind("expired token", Outcome.PASSING, aws_error("ExpiredTokenException", "The security token has expired")),
    Kind("access denied", Outcome.DEFINITE, stub.ACCESS_DENIED),
    Kind("decryption failure", Outcome.DEFINITE, aws_error("DecryptionFailure", "the key is disabled")),
    Kind("deleted", Outcome.DEFINITE, aws_error("InvalidRequestException", "It was marked for deletion.")),
    replace(NO_SUCH_SECRET, name="not found"),
)


@dataclass(frozen=True)
class Episode:
    """
    Faults for a while.

    Attributes:
        kinds: Each call has one of them, at random; the good one may be among them.
        secrets: Whose calls are meant; empty for all.
    """

    kinds: tuple[Kind, ...]
    secrets: frozenset[str]

    def covers(self, secret: str) -> bool:
        """Return whether this secret's calls are meant."""
        return not self.secrets or secret in self.secrets


class SoakUpstream(Upstream):
    """
    The stub for one execution environment.

    Args:
        history: Where everything is written down.
        chance: What is left to chance.

    Attributes:
        episode: The fault that is on; None for calm.
    """

    def __init__(self, history: History, chance: random.Random) -> None:
        super().__init__()
        self.history = history
        self.episode: Episode | None = None
        self._chance = chance
        self._open: set[int] = set()
        self._ticking: Future[None] | None = None

    def __enter__(self) -> Self:
        super().__enter__()
        self._ticking = asyncio.run_coroutine_threadsafe(self._tick(), self._loop)
        return self

    def __exit__(self, *arguments: object) -> None:
        assert self._ticking is not None
        self._ticking.cancel()
        super().__exit__(*arguments)

    def close_idle(self) -> None:
        """Close all connections, as AWS does with those that wait."""
        for transport in list(self._transports):
            self._loop.call_soon_threadsafe(transport.abort)

    async def _tick(self) -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = time.monotonic()
            if now - last > STALLED_SECONDS:
                self.history.blocked.append(time.time())
            last = now

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await super()._connected(reader, writer)
        self._transports.discard(writer.transport)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> bool:
        call = await _read(reader)
        token = id(call)
        self._open.add(token)
        all_asked, kind, body = self._decide(call)
        try:
            is_answered = await self._respond(reader, writer, kind, body)
            for asked in all_asked:
                asked.is_answered = is_answered
            answer = kind.answer or GOOD_ANSWER
            return is_answered and not kind.closes and not answer.cut and not answer.reset
        finally:
            self._open.discard(token)
            now = time.time()
            for asked in all_asked:
                asked.ended = now

    def _decide(self, call: Call) -> tuple[list[Asked], Kind, bytes]:
        """Decide what is answered, and write it down before it is."""
        with self.history.lock:
            now = time.time()
            if len(self._open) >= MAX_CONNECTIONS - 1:
                self.history.blocked.append(now)
            if call.operation == "GetSecretValue":
                return self._decide_one(call, now)
            return self._decide_batch(call, now)

    def _decide_one(self, call: Call, now: float) -> tuple[list[Asked], Kind, bytes]:
        ref: Ref = tuple(call.arguments.get(key, "") for key in ("SecretId", "VersionId", "VersionStage"))
        secret = secret_of(ref[0])
        kind, version = self._kind_for(secret), None
        if kind.answer is None:
            version = self.history.find(ref, secret, now)
            missing = NO_SUCH_VERSION if self.history.versions(secret) else NO_SUCH_SECRET
            kind = kind if version is not None else missing
        asked = Asked(ref, now, kind.name, kind.outcome, "" if version is None else version.id)
        self.history.asked[ref].append(asked)
        answer = kind.answer or GOOD_ANSWER
        return [asked], kind, answer.body if version is None else json.dumps(_entry(version)).encode()

    def _decide_batch(self, call: Call, now: float) -> tuple[list[Asked], Kind, bytes]:
        """A batch fails as a whole where a fault is on for any of its secrets: the process asks for each then."""
        kinds = [self._kind_for(secret_of(secret_id)) for secret_id in call.ids]
        worst = next((kind for kind in kinds if kind.answer is not None), GOOD)
        if worst.answer is not None:
            return [], worst, worst.answer.body
        values, all_asked = [], []
        for secret_id in call.ids:
            ref = (secret_id, "", "")
            version = self.history.find(ref, secret_of(secret_id), now)
            assert version is not None
            all_asked.append(Asked(ref, now, "batch", Outcome.GOOD, version.id))
            self.history.asked[ref].append(all_asked[-1])
            values.append(_entry(version))
        return all_asked, GOOD, json.dumps({"SecretValues": values, "Errors": []}).encode()

    def _kind_for(self, secret: str) -> Kind:
        episode = self.episode
        return GOOD if episode is None or not episode.covers(secret) else self._chance.choice(episode.kinds)

    async def _respond(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kind: Kind, body: bytes
    ) -> bool:
        """Answer; return whether that was done before who asked had gone."""
        answer = kind.answer or GOOD_ANSWER
        if answer.hang:
            await reader.read(1)
            return False
        if kind.is_slow:
            # Who asked may go meanwhile; nobody sends anything before the answer.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._chance.uniform(0.05, 0.4)):
                    await reader.read(1)
                    return False
        if answer.reset:
            writer.transport.abort()
            return True
        length = len(body) + (100 if answer.cut else 0)
        head = f"HTTP/1.1 {answer.status} X\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {length}\r\n"
        writer.write(f"{head}\r\n".encode() + body)
        await writer.drain()
        return True


async def _read(reader: asyncio.StreamReader) -> Call:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers["content-length"]))
    return Call(headers["x-amz-target"].rpartition(".")[2], json.loads(body), headers)


def secret_of(secret_id: str) -> str:
    """Return the name of the secret that an id, which may be an ARN, means."""
    return secret_id.rpartition(":secret:")[2].removesuffix("-AbCdEf")


def _entry(version: Version) -> dict[str, Any]:
    value = version.value
    held = {"SecretString": value} if isinstance(value, str) else {"SecretBinary": base64.b64encode(value).decode()}
    return {
        "ARN": arn_of(version.secret),
        "Name": version.secret,
        "VersionId": version.id,
        "VersionStages": ["AWSCURRENT"],
        "CreatedDate": round(version.since, 3),
        **held,
    }
