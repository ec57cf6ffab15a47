"""
Any bytes as all that one caller sends: with the fast path, and without it.

Two NULs end what arrives at once. NUL and SOH do as well, but what follows comes before that is answered.
A tab at the beginning: there is a token. A vertical tab: AWS's protocol.
"""

import asyncio
import contextlib
import functools
import itertools
import logging
import re
from collections.abc import Callable, Iterator
from typing import cast

from aiohttp import web

from secrets_cache.server.aiohttp import AiohttpServer
from secrets_cache.server.fast_path import FastPath
from secrets_cache.server.handler import Handler
from secrets_cache.server.listener import Listener
from tests.fuzz.aws_request import aws_handler
from tests.fuzz.request import STATUSES, TOKEN, handler
from tests.support.fakes import CANARY

MAX_TURNS = 500
WAIT, GO_ON = b"\0\0", b"\0\1"
# So many pieces that are not waited for; there are two ways for each to arrive.
MAX_GO_ON = 3
# Which server has the conversation, by the first byte: one that asks for a token, or AWS's protocol.
_HANDLERS: dict[bytes, Callable[[], Handler]] = {
    b"\t": lambda: handler((TOKEN,)),
    b"\v": lambda: aws_handler((TOKEN,)),
}
_ENDS = re.compile(b"(\0[\0\1])")
# What comes back on a connection, and whether that has ended then.
Talk = Callable[[bytes], tuple[bytes, bool]]


def with_fast_path(data: bytes) -> tuple[bytes, bool]:
    """Send all pieces on a new connection to a server with the fast path; return what came back."""
    return _talk(data, is_fast=True)


def conversation(data: bytes, talk: Talk = with_fast_path) -> None:
    """
    Whatever a caller sends, and in whatever pieces, the fast path answers as the library alone would.

    The same statuses, headers and bodies, and the connection has ended afterwards, or not, as there. Nothing is raised;
    there is no status that the contract has not, and no error of ours; no value of a secret is in anything but a 200.
    Nobody is warned of what a caller sends, and whoever has the connection goes on.
    """
    *pieces, rest = data.split(GO_ON, MAX_GO_ON)
    pieces = [*pieces, rest.replace(GO_ON, WAIT)]
    with _warnings() as warnings:
        received, is_over = talk(GO_ON.join(pieces))
        ours = parse_responses(received), is_over
        assert ours in (_of_library(reading) for reading in _readings(pieces))
    assert not warnings, warnings
    for status, _, body in ours[0]:
        assert status in STATUSES
        assert status == 200 or CANARY.encode() not in body or CANARY.encode() in data


@contextlib.contextmanager
def _warnings() -> Iterator[list[str]]:
    """Give the warnings and errors that are logged meanwhile, by anybody."""
    seen: list[str] = []

    class Keeper(logging.Handler):
        """Keeps what it is given."""

        def emit(self, record: logging.LogRecord) -> None:
            # What the caller names and there is not is worth a warning, and no mistake in the conversation.
            if record.msg not in {"secret.not_configured", "request.refused"}:
                seen.append(record.getMessage())

    keeper = Keeper(logging.WARNING)
    logging.getLogger().addHandler(keeper)
    try:
        yield seen
    finally:
        logging.getLogger().removeHandler(keeper)


def _readings(pieces: list[bytes]) -> Iterator[bytes]:
    """Give the ways in which pieces may arrive that were not waited for: each by itself, or with the one before."""
    for joints in itertools.product((GO_ON, b""), repeat=len(pieces) - 1):
        yield b"".join(itertools.chain.from_iterable(zip(pieces, (*joints, b""), strict=True)))


def _of_library(data: bytes) -> tuple[list[tuple[int, list[bytes], bytes]], bool]:
    received, is_over = _talk(data, is_fast=False)
    return parse_responses(received), is_over


def _talk(data: bytes, *, is_fast: bool) -> tuple[bytes, bool]:
    served = _HANDLERS.get(data[:1], lambda: handler(None))()
    data = data[1:] if data[:1] in _HANDLERS else data
    (result,) = loop().run_until_complete(converse(served, [data], is_fast=is_fast))
    return result


async def converse(served: Handler, conversations: list[bytes], *, is_fast: bool) -> list[tuple[bytes, bool]]:
    """Have each conversation on a connection of its own, all with one server; return what came back on each."""
    listener = Listener(sockets=[], max_connections=9)
    library = AiohttpServer(served, listener)

    async def find_library() -> AiohttpServer:
        return library

    fast = FastPath(handler=served, listener=listener, load_aiohttp=find_library)
    try:
        return [await _connect(fast if is_fast else library, data) for data in conversations]
    finally:
        await fast.aclose()
        await library.aclose()
        await listener.aclose()


async def _connect(factory: Callable[[], asyncio.Protocol], data: bytes) -> tuple[bytes, bool]:
    transport = _Transport(factory())
    transport.protocol.connection_made(transport)
    pieces = _ENDS.split(data)
    for piece, end in zip(pieces[::2], [*pieces[1::2], WAIT], strict=True):
        if not transport.reads:
            await _settled()
        if piece and not transport.is_closing():
            transport.protocol.data_received(piece)
        if end == WAIT:
            await _settled()
    is_over = transport.is_closing()
    # Besides us there is whoever reads on.
    assert is_over or not isinstance(transport.protocol, web.RequestHandler) or len(asyncio.all_tasks()) > 1
    transport.protocol.connection_lost(None)
    await _settled()
    return bytes(transport.written), is_over


async def _settled() -> None:
    """Return when nothing is left to do but to wait for the caller, or for a time-out."""
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined] # noqa: SLF001 - there is no other way to know
    for _ in range(MAX_TURNS):
        await asyncio.sleep(0)
        if not ready:
            return
    raise AssertionError("it goes on and on")


@functools.cache
def loop() -> asyncio.AbstractEventLoop:
    """Return the one event loop of all conversations."""
    return asyncio.new_event_loop()


def parse_responses(received: bytes) -> list[tuple[int, list[bytes], bytes]]:
    """Return the status, the sorted lines of the head and the body of each response."""
    found = []
    while received:
        head, end, rest = received.partition(b"\r\n\r\n")
        assert end
        first, *lines = head.split(b"\r\n")
        lengths = [int(line.partition(b": ")[2]) for line in lines if line.startswith(b"Content-Length: ")]
        # That of the answer to a HEAD is another's.
        length = 0 if not lengths or rest.startswith(b"HTTP/1.") else lengths[0]
        found.append((int(first.split(b" ")[1]), sorted([first, *lines]), rest[:length]))
        received = rest[length:]
    return found


class _Transport(asyncio.Transport):
    """A connection without a socket: keeps what is written, and who speaks."""

    def __init__(self, protocol: asyncio.BaseProtocol) -> None:
        super().__init__()
        self.written = bytearray()
        self.reads = True
        self.set_protocol(protocol)
        self._is_closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._is_closing:
            self.written += data

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = cast("asyncio.Protocol", protocol)

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self._is_closing = True

    def abort(self) -> None:
        self._is_closing = True

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True
