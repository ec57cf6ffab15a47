"""
The engine: aiohttp, for any request, with the few things that it does differently here.

    the door lets it in -> aiohttp parses, for any method -> `replies` -> the door is told

Rules
-----
1. What was sent is never sent back, and never logged.
2. Whether a method is allowed is not for the parser to say: what follows RFC 9110 section 9.1 is a method.
3. A request with a body is its connection's last: none of ours has one, and where a body ends is what a caller and a
   server may be made to disagree about (request smuggling). What comes after it is not read as a request, nor is the
   body looked into: one that is broken is no error of ours.
"""

import asyncio
import logging
import re
from http import HTTPStatus
from typing import Any

from aiohttp import HttpVersion10, HttpVersion11, StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_exceptions import BadHttpMessage, BadHttpMethod, HttpProcessingError
from aiohttp.http_parser import HttpRequestParserPy, RawRequestMessage
from yarl import URL

from secrets_cache.server.access import FORWARDING_HEADERS
from secrets_cache.server.handler import Handler, Request, Response
from secrets_cache.server.listener import Door
from secrets_cache.system.logs import describe

logger = logging.getLogger(__name__)

# The first bytes of what may become a request.
_METHOD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?: |\Z)")

# Of those that the fast parser knows.
_LONGEST_METHOD = 32
_VERSIONS = frozenset({HttpVersion10, HttpVersion11})
_NO_URL = URL("/")
# For callers that still wait when it is time to go. Not 0, which aiohttp takes as "for ever".
SHUTDOWN_SECONDS = 0.05
# For the rest of a body that nobody wants: closed before it is read, the connection would take the answer with it.
LINGER_SECONDS = 1.0


class Engine(web.Server):
    """aiohttp's server, speaking through `Connection`, without an access log. Called, it makes a protocol."""

    def __init__(self, replies: Handler, door: Door) -> None:
        super().__init__(self._respond, request_factory=_request)
        self._replies = replies
        self._door = door

    def __call__(self) -> "Connection":
        """Return the protocol of a new connection."""
        return Connection(self, self._replies, self._door)

    async def aclose(self) -> None:
        """End all connections."""
        self.pre_shutdown()
        await self.shutdown(SHUTDOWN_SECONDS)

    async def _respond(self, request: web.BaseRequest) -> web.Response:
        response = _response(await self._reply(request))
        if request.body_exists:
            response.force_close()
        return response

    async def _reply(self, request: web.BaseRequest) -> Response:
        transport = request.transport
        if transport is not None:
            self._door.busy(transport)
        headers = request.headers
        try:
            return await self._replies.to(
                Request(
                    method=request.method,
                    target=request.raw_path,
                    hosts=headers.getall("Host", []),
                    forwarded=[name for name in FORWARDING_HEADERS if name in headers],
                    tokens=[token for name in self._replies.token_headers for token in headers.getall(name, [])],
                    if_none_match=headers.getall("If-None-Match", []),
                    origins=headers.getall("Origin", []),
                    sites=headers.getall("Sec-Fetch-Site", []),
                    accept=headers.getall("Accept", []),
                )
            )
        finally:
            if transport is not None:
                self._door.idle(transport)


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: web.RequestHandler,
    writer: AbstractStreamWriter,
    task: "asyncio.Task[None]",
) -> web.BaseRequest:
    # Without its URL: aiohttp would decode the host of an absolute one, and end without an answer where that fails.
    # The target as it was sent is in the message as well.
    plain = message._replace(url=_NO_URL)
    return web.BaseRequest(plain, payload, protocol, writer, task, asyncio.get_running_loop())


def _response(reply: Response) -> web.Response:
    return web.Response(status=reply.status, body=reply.body or None, headers=reply.headers)


class Connection(web.RequestHandler):
    """aiohttp's connection."""

    def __init__(self, server: Engine, replies: Handler, door: Door) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]
            auto_decompress=False,
            lingering_time=LINGER_SECONDS,
        )
        self._replies = replies
        self._door = door
        self._parser: Any = _Parser(self, self._parser)

    async def start(self) -> None:
        """Answer one request after the other; what fails in that ends the connection, which nobody else would."""
        try:
            await super().start()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - who asks must not wait for ever
            logger.error("internal.error", {"where": "connection", **describe(error)})  # noqa: TRY400
            self.force_close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        super().connection_made(transport)
        if self.transport is not None:
            self._door.idle(self.transport)

    def data_received(self, data: bytes) -> None:
        """Take what was sent."""
        if self.transport is not None:
            self._door.spoke(self.transport)
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        transport = self.transport
        super().connection_lost(exc)
        if transport is not None:
            self._door.gone(transport)

    def log_exception(self, *args: Any, **fields: Any) -> None:  # noqa: ANN401 - as aiohttp's
        """Log what went wrong on a connection, unless it was the caller who did."""
        if not isinstance(fields.get("exc_info"), (web.RequestPayloadError, HttpProcessingError)):
            super().log_exception(*args, **fields)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it holds what was sent
    ) -> web.StreamResponse:
        """Return the answer to a request that could not be read, after which the connection is closed."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            logger.error("internal.error", {"where": "connection", **(describe(exc) if exc else {})})
            response = _response(self._replies.broken())
        else:
            response = _response(self._replies.to_no_request())
        response.force_close()
        return response


class _Parser:
    """aiohttp's fast parser, which knows a list of methods, and from the first that is not in it the other one."""

    def __init__(self, connection: Connection, fast: Any) -> None:  # noqa: ANN401 - whichever aiohttp has
        self._connection = connection
        self._parser = fast
        self._is_fast = True
        # What has come of a method; a blank once all of it has, for what follows is no request's beginning.
        self._begun = b""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever aiohttp asks of its parser
        return getattr(self._parser, name)

    def feed_data(self, data: bytes) -> Any:  # noqa: ANN401 - as aiohttp's
        """Parse more of what was sent."""
        since = self._begun + data
        try:
            found = self._parser.feed_data(data)
        except BadHttpMethod:
            if not self._is_fast or not _METHOD.match(since):
                raise
            self._is_fast = False
            self._parser = _any_method_parser(self._connection)
            found = self._parser.feed_data(since)
        if any(message.version not in _VERSIONS for message, _ in found[0]):
            raise BadHttpMessage("another protocol")
        since = since.rpartition(b"\r\n\r\n")[2].lstrip(b"\r\n")
        self._begun = since if b" " not in since and len(since) < _LONGEST_METHOD else b" "
        return found


def _any_method_parser(connection: Connection) -> "_AnyMethodParser":
    return _AnyMethodParser(
        connection,
        asyncio.get_running_loop(),
        max_line_size=connection.max_line_size,
        max_headers=connection.max_headers,
        max_field_size=connection.max_field_size,
        payload_exception=web.RequestPayloadError,
        auto_decompress=False,
    )


class _AnyMethodParser(HttpRequestParserPy):
    """aiohttp's parser in Python, which takes any method, but in upper case: methods are case-sensitive."""

    def parse_message(self, lines: list[bytes]) -> RawRequestMessage:
        """Return a request, with the method as it was sent."""
        message = super().parse_message(lines)
        return message._replace(method=lines[0].partition(b" ")[0].decode("latin-1"))
