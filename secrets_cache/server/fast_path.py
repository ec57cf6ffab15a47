"""
The answer lane: the common request without aiohttp, from the connection's first byte.

    bytes -> remembered? -> the remembered response, while it is good
          -> exactly understood? -> `replies` -> response
          -> else the engine has the connection, from these bytes on

Rules
-----
1. A lane, not a second behaviour: what it answers, the engine would answer, to the byte of the body and the value of
   each header. The tests hold it to that. What it does not understand exactly, down to a request that came in two
   pieces, it leaves to the engine, which keeps the connection.
2. Only a reply that the cache would give again without doing anything is remembered: equal bytes get an equal response
   until any fetch has ended, or the secret comes to the age at which a refresh is due.
3. Never more than one reply under way on a connection; what arrives meanwhile waits.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING

from secrets_cache.server.access import TOKEN_HEADER
from secrets_cache.server.handler import Handler, Request, Response
from secrets_cache.server.listener import Door
from secrets_cache.system.logs import describe

if TYPE_CHECKING:
    from secrets_cache.core.clock import Instant

logger = logging.getLogger(__name__)

MAX_REQUEST = 4096
MAX_REMEMBERED = 256
# One request, whole, and nothing after it. Of its headers only Host, the token, Connection, Accept, and what changes no
# reply but is sent by common clients, and by those that trace them.
_NAMES = (
    f"Host|{TOKEN_HEADER}|User-Agent|Accept|Accept-Encoding|Accept-Language|Sec-Fetch-Mode"
    r"|Traceparent|Tracestate|Baggage|X-Amzn-Trace-Id|X-Datadog-[\w-]+"
)
_HEADER = rf"(?i:{_NAMES}): [!-~](?:[ -~]*[!-~])?\r\n|(?i:Connection: (?:keep-alive|close))\r\n"
_REQUEST = re.compile(rf"GET (/(?!/)[\w/.~:@!$&'()*+,;=%?-]*) HTTP/1\.1\r\n((?:{_HEADER})+)\r\n".encode())

ProtocolFactory = Callable[[], asyncio.Protocol]


class AnswerLane:
    """
    What the connections have in common. Called, it makes the protocol of one.

    Args:
        replies: Replies to what is asked; the generation of their cache ends what is remembered.
        door: Told of each connection's doings.
        engine: Makes what makes the protocol of a connection that the lane does not understand.

    Attributes:
        remembered: By the bytes of a request: since when, up to which age, and which response.
    """

    def __init__(self, *, replies: Handler, door: Door, engine: Callable[[], Awaitable[ProtocolFactory]]) -> None:
        self.replies = replies
        self.door = door
        self.engine = engine
        self.tasks: set[asyncio.Task[None]] = set()
        self._cache = replies.cache
        self._clock = replies.clock
        self.remembered: dict[bytes, tuple[Instant, float, bytes]] = {}
        self._generation = self._cache.generation

    def __call__(self) -> asyncio.Protocol:
        """Return the protocol of a new connection."""
        return _Connection(self)

    async def aclose(self) -> None:
        """End all connections."""
        tasks = list(self.tasks)
        # Who is not in there any more is not answered.
        self.tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def recall(self, request: bytes) -> bytes | None:
        """Return the response that these bytes would get, if that is known and nothing else is to be done."""
        if self._generation != self._cache.generation:
            self._generation = self._cache.generation
            self.remembered.clear()
            return None
        found = self.remembered.get(request)
        if found is None:
            return None
        sent, good_for, response = found
        wall, monotonic = self._clock.now()
        if 0 <= wall - sent.wall < good_for and monotonic - sent.monotonic < good_for:
            self._cache.counts.hits += 1
            return response
        del self.remembered[request]
        return None

    def remember(self, request: bytes, reply: Response, response: bytes) -> None:
        """Keep a response for equal requests, if it may be kept."""
        # At DEBUG each request is logged, by `replies`.
        if reply.answer is None or reply.answer.good_for == 0 or logger.isEnabledFor(logging.DEBUG):
            return
        if len(self.remembered) >= MAX_REMEMBERED:
            self.remembered.clear()
        self.remembered[request] = (reply.answer.held.sent, reply.answer.good_for, response)


class _Connection(asyncio.Protocol):
    """One connection, until the engine has it."""

    def __init__(self, lane: AnswerLane) -> None:
        self._lane = lane
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what a stream socket has
        self._transport = transport
        self._lane.door.idle(transport)

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        # Without one, nobody could be answered: what is raised here ends the connection.
        assert transport is not None  # noqa: S101
        try:
            self._take(transport, data)
        except BaseException as error:  # noqa: BLE001 - who asks is answered
            self._fail(transport, error)

    def _take(self, transport: asyncio.Transport, data: bytes) -> None:
        if self._task is not None:
            self._waiting += data
            # Not without bound: what is in the kernel's buffer waits there.
            transport.pause_reading()
            return
        response = self._lane.recall(data)
        if response is not None:
            transport.write(response)
            self._lane.door.idle(transport)
            return
        understanding = understood(data)
        self._lane.door.busy(transport)
        if understanding is None:
            self._begin(transport, self._hand_over(transport, data))
        else:
            self._begin(transport, self._answer(transport, data, *understanding))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - however it was lost
        if self._task is not None:
            self._task.cancel()
        if self._transport is not None:
            self._lane.door.gone(self._transport)
        self._transport = None

    def pause_writing(self) -> None:
        """Take no more requests from who does not read the answers."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        if self._transport is not None:
            self._transport.resume_reading()

    def _begin(self, transport: asyncio.Transport, work: Coroutine[None, None, None]) -> None:
        self._task = task = asyncio.get_running_loop().create_task(work)
        self._lane.tasks.add(task)
        task.add_done_callback(lambda done: self._ended(transport, done))

    def _ended(self, transport: asyncio.Transport, task: "asyncio.Task[None]") -> None:
        """See to it that whoever waited for a reply that failed does not wait for ever."""
        if task not in self._lane.tasks:
            return
        self._lane.tasks.discard(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None:
            self._fail(transport, error)

    def _fail(self, transport: asyncio.Transport, error: BaseException) -> None:
        """Answer that there was an error of ours, and end the connection."""
        if transport.is_closing():
            return
        logger.error("internal.error", {"where": "connection", **describe(error)})
        try:
            transport.write(serialized(self._lane.replies.broken(), is_last=True))
        finally:
            transport.close()
            self._lane.door.idle(transport)

    async def _answer(self, transport: asyncio.Transport, request: bytes, asked: Request, is_last: bool) -> None:  # noqa: FBT001 - of `understood`
        reply = await self._lane.replies.to(asked)
        response = serialized(reply, is_last=is_last)
        if is_last:
            transport.write(response)
            transport.close()
            self._lane.door.idle(transport)
            return
        self._lane.remember(request, reply, response)
        transport.write(response)
        self._lane.door.idle(transport)
        self._task = None
        transport.resume_reading()
        waiting, self._waiting = self._waiting, b""
        if waiting:
            self.data_received(waiting)

    async def _hand_over(self, transport: asyncio.Transport, data: bytes) -> None:
        protocol = (await self._lane.engine())()
        # From here on the connection is the engine's, the door's notices too.
        self._transport = None
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(data + self._waiting)
        transport.resume_reading()


def understood(request: bytes) -> tuple[Request, bool] | None:
    """
    Return what a request asks, and whether it is the connection's last.

    None if these bytes are not one request that is exactly understood, whole and by itself.
    """
    found = _REQUEST.fullmatch(request) if len(request) <= MAX_REQUEST else None
    if found is None:
        return None
    headers: dict[str, list[str]] = {}
    for line in found[2].decode("ascii").splitlines():
        name, _, value = line.partition(": ")
        if name.lower() in headers:
            return None
        headers[name.lower()] = [value]
    if "host" not in headers:
        return None
    asked = Request(
        method="GET",
        target=found[1].decode("ascii"),
        hosts=headers["host"],
        tokens=headers.get(TOKEN_HEADER.lower(), []),
        accept=headers.get("accept", []),
    )
    return asked, headers.get("connection", [""])[0].lower() == "close"


def serialized(reply: Response, *, is_last: bool) -> bytes:
    """Return a reply as the bytes of a response, the last one of its connection or not."""
    lines = [f"HTTP/1.1 {reply.status} {_phrase(reply.status)}"]
    lines += [f"{name}: {value}" for name, value in reply.headers.items()]
    if is_last:
        lines.append("Connection: close")
    lines += [f"Content-Length: {len(reply.body)}", "", ""]
    return "\r\n".join(lines).encode("utf-8") + reply.body


def _phrase(status: int) -> str:
    if status == 200:  # noqa: PLR2004 - the common one, without the import
        return "OK"
    from http import HTTPStatus  # noqa: PLC0415 - only an error needs it

    return HTTPStatus(status).phrase
