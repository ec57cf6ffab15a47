"""
The fast path: common requests without aiohttp, from the first byte of a connection.

    bytes -> remembered?     -> the remembered response, while it is good
          -> simple request? -> handler -> response
          -> else aiohttp takes over the connection, from these bytes on

Rules
-----
1. The fast path is not a second behaviour: its responses are those of aiohttp, to the byte of the body and the value of
   each header. Differential tests hold it to that.
2. At most one request of a connection is handled at a time; what arrives meanwhile waits.
3. Only `_regulate_reading` pauses and resumes reading: nothing is read while a request waits here, or while the caller
   does not read its responses. So one connection costs a bounded amount of memory.
4. While the server drains, each response has `Connection: close` and ends its connection (RFC 9112 section 9.6).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine

from secrets_cache.server.fast_path_codec import parse_simple_request, serialize
from secrets_cache.server.handler import Handler
from secrets_cache.server.listener import Listener
from secrets_cache.server.message import Request
from secrets_cache.server.remembered_responses import RememberedResponses
from secrets_cache.system.logs import describe_error

logger = logging.getLogger(__name__)

ProtocolFactory = Callable[[], asyncio.Protocol]


class FastPath:
    """
    The state that all connections of the fast path share. A protocol factory.

    Args:
        handler: Answers the requests.
        listener: Accepted the connections; told when they are idle, busy or closed.
        load_aiohttp: Returns the protocol factory for connections that the fast path cannot handle.

    Attributes:
        remembered: The responses that may be sent again.
        tasks: The requests under way.
    """

    def __init__(
        self, *, handler: Handler, listener: Listener, load_aiohttp: Callable[[], Awaitable[ProtocolFactory]]
    ) -> None:
        self.handler = handler
        self.listener = listener
        self.load_aiohttp = load_aiohttp
        self.remembered = RememberedResponses(handler.cache, handler.clock)
        self.tasks: set[asyncio.Task[None]] = set()

    def __call__(self) -> asyncio.Protocol:
        """Return the protocol of a new connection."""
        return _Connection(self)

    async def aclose(self) -> None:
        """End all requests under way."""
        tasks = list(self.tasks)
        # Empty, so that cancelled requests are not answered.
        self.tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Connection(asyncio.Protocol):
    """One connection, until it is closed or aiohttp takes over."""

    def __init__(self, fast_path: FastPath) -> None:
        self._fast_path = fast_path
        self._listener = fast_path.listener
        self._recall = fast_path.remembered.recall
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._waiting = b""
        # Whether the caller has to read its responses before it gets another one.
        self._is_writing_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - every stream socket has one
        self._transport = transport
        self._listener.mark_idle(transport)

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        # An error here would end the connection, and without a transport nothing else can be done.
        assert transport is not None  # noqa: S101
        try:
            self._receive(transport, data)
        except BaseException as error:  # noqa: BLE001 - the caller gets a response whatever happens
            self._fail(transport, error)

    def _receive(self, transport: asyncio.Transport, data: bytes) -> None:
        if self._task is not None:
            self._waiting += data
            self._regulate_reading(transport)
            return
        response = self._recall(data)
        if response is not None:
            transport.write(response)
            self._listener.mark_idle(transport)
            return
        parsed = parse_simple_request(data)
        self._listener.mark_busy(transport)
        if parsed is None:
            self._start(transport, self._hand_over(transport, data))
        else:
            self._start(transport, self._respond(transport, data, *parsed))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the reason does not matter
        if self._task is not None:
            self._task.cancel()
        if self._transport is not None:
            self._listener.mark_closed(self._transport)
        self._transport = None

    def pause_writing(self) -> None:
        """Read no more requests from a caller that does not read its responses."""
        self._is_writing_paused = True
        if self._transport is not None:
            self._regulate_reading(self._transport)

    def resume_writing(self) -> None:
        """Go on with what waits, and read again."""
        self._is_writing_paused = False
        if self._transport is not None:
            self._go_on(self._transport)

    def _regulate_reading(self, transport: asyncio.Transport) -> None:
        if self._is_writing_paused or self._waiting:
            transport.pause_reading()
        else:
            transport.resume_reading()

    def _go_on(self, transport: asyncio.Transport) -> None:
        """Handle what waits, unless a request is under way or the caller has to read first."""
        if self._task is not None or self._is_writing_paused:
            return
        waiting, self._waiting = self._waiting, b""
        self._regulate_reading(transport)
        if waiting:
            self.data_received(waiting)

    def _start(self, transport: asyncio.Transport, work: Coroutine[None, None, None]) -> None:
        self._task = task = asyncio.get_running_loop().create_task(work)
        self._fast_path.tasks.add(task)
        task.add_done_callback(lambda done: self._finish(transport, done))

    def _finish(self, transport: asyncio.Transport, task: "asyncio.Task[None]") -> None:
        """Forget a task that is done; if it failed, send a response, so that its caller does not wait for ever."""
        if task not in self._fast_path.tasks:
            return
        self._fast_path.tasks.discard(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None:
            self._fail(transport, error)

    def _fail(self, transport: asyncio.Transport, error: BaseException) -> None:
        """Respond that the server failed, and close the connection."""
        if transport.is_closing():
            return
        logger.error("internal.error", {"where": "connection", **describe_error(error)})
        try:
            transport.write(serialize(self._fast_path.handler.build_failure_response(), is_last=True))
        finally:
            transport.close()
            self._listener.mark_idle(transport)

    async def _respond(self, transport: asyncio.Transport, data: bytes, request: Request, is_last: bool) -> None:  # noqa: FBT001 - from `parse_simple_request`
        response = await self._fast_path.handler.handle(request)
        is_last = is_last or self._listener.is_draining
        response_data = serialize(response, is_last=is_last)
        if is_last:
            transport.write(response_data)
            transport.close()
            self._listener.mark_idle(transport)
            return
        self._fast_path.remembered.remember(data, response, response_data)
        transport.write(response_data)
        self._listener.mark_idle(transport)
        self._task = None
        self._go_on(transport)

    async def _hand_over(self, transport: asyncio.Transport, data: bytes) -> None:
        protocol = (await self._fast_path.load_aiohttp())()
        # From here on aiohttp owns the connection, and reports its state to the listener.
        self._transport = None
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        waiting, self._waiting = self._waiting, b""
        # Before aiohttp sees a byte: from then on it decides whether to read. It was this class that paused.
        self._regulate_reading(transport)
        protocol.data_received(data + waiting)
