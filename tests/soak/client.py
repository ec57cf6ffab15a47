"""A caller's connection: bytes out, an answer in, both moments noted."""

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from tests.conftest import PATIENCE_SECONDS
from tests.soak.world import Listed, Ref

# Nobody answers later than this; who asked gives up, and that is a violation.
GIVE_UP_SECONDS = 30 + PATIENCE_SECONDS


@dataclass(frozen=True)
class Request:
    """
    What is asked, and what the oracle must know of it.

    Attributes:
        label: What the report counts it under.
        target: The request target.
        expected: The one (status, code) that is right whatever AWS does; None where that depends on the secret.
        ref: Which version of which secret it is about.
        listed: The secret in config.yaml; None for what is not listed, other versions of a listed one too.
        ttl: The ttl of what is asked for.
        key: The key that is asked for; None for the whole value.
        wrong_key: The (status, code) where the secret is had, but the key is not in it.
        is_forced: Whether a new fetch is asked for.
        entity_tag: What If-None-Match has; empty for no such header.
        is_aws: Whether it is in AWS's protocol.
        pieces: The bytes in the pieces that they are sent in, where they are no plain request.
    """

    label: str
    target: str = ""
    expected: tuple[int, str] | None = None
    ref: Ref = ("", "", "")
    listed: Listed | None = None
    ttl: float = 0.0
    key: str | None = None
    wrong_key: tuple[int, str] | None = None
    is_forced: bool = False
    method: str = "GET"
    entity_tag: str = ""
    headers: Sequence[str] = ()
    is_aws: bool = False
    pieces: Sequence[bytes] = ()

    def as_bytes(self) -> bytes:
        """Return the request as it is sent."""
        tag = [f"If-None-Match: {self.entity_tag}"] if self.entity_tag else []
        lines = [f"{self.method} {self.target} HTTP/1.1", "Host: localhost", *tag, *self.headers, "", ""]
        return "\r\n".join(lines).encode()

    def followed_by(self, other: "Request") -> "Request":
        """Return this one as the last of its connection, though another is sent right behind it: refused, both."""
        expected = (400, "" if self.is_aws else "invalid-request")
        last = replace(self, label="last", expected=expected, headers=(*self.headers, "Connection: close"))
        return replace(last, pieces=(last.as_bytes() + other.as_bytes(),))


@dataclass(frozen=True)
class Answer:
    """What came, and when the question was sent and the answer was there."""

    status: int
    headers: dict[str, str]
    body: bytes
    sent: float
    received: float


class Connection:
    """A connection to the process. A context manager; `asked` counts its requests."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
            # One turn: the descriptor is closed in the next.
            await asyncio.sleep(0)

    def send(self, data: bytes) -> None:
        """Send bytes, whatever they are."""
        assert self._writer is not None
        self._writer.write(data)

    async def rest(self) -> bytes:
        """Return all that comes until the end of the connection. Raises TimeoutError where there is no end."""
        assert self._reader is not None
        try:
            async with asyncio.timeout(GIVE_UP_SECONDS):
                return await self._reader.read()
        except ConnectionError:
            return b""

    def finish(self) -> None:
        """Say that nothing more is sent."""
        assert self._writer is not None
        self._writer.write_eof()

    async def ask(self, request: Request) -> Answer:
        """Send a request; return the answer. Raises OSError, EOFError, ValueError or TimeoutError where none comes."""
        assert self._reader is not None
        sent = time.time()
        pieces = request.pieces or (request.as_bytes(),)
        for number, piece in enumerate(pieces):
            if number:
                await asyncio.sleep(0.005)
            self.send(piece)
        async with asyncio.timeout(GIVE_UP_SECONDS):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("utf-8").split("\r\n")
            status = int(head[0].split(" ")[1])
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
            }
            has_body = request.method != "HEAD" and status != 304
            body = await self._reader.readexactly(int(headers["content-length"])) if has_body else b""
        return Answer(status, headers, body, sent, time.time())


def count_whole(data: bytes, *, is_head: bool = False) -> int:
    """Return how many responses these bytes are, to HEAD or not. Raises ValueError where one is cut off."""
    count = 0
    while data:
        head, end, rest = data.partition(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: *([0-9]+)", head, re.IGNORECASE)
        has_body = not is_head and not head.startswith(b"HTTP/1.1 304 ")
        size = int(length[1]) if length and has_body else 0
        if not head.startswith(b"HTTP/1.1 ") or not end or (has_body and not length) or len(rest) < size:
            raise ValueError("a response is cut off")
        data = rest[size:]
        count += 1
    return count
