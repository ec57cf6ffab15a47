"""
aiohttp's server, for any request, with the few things that are different here.

    listener -> aiohttp parses, for any method -> handler -> the listener learns that the connection is idle again

Rules
-----
1. Nothing that a caller sent is repeated in a response to malformed bytes, and nothing of it is logged.
2. The handler decides whether a method is allowed, not the parser (RFC 9110 section 9.1).
3. A request with a body is the last one of its connection: no request here needs a body, and a caller and a server may
   disagree about where a body ends (request smuggling). What follows it is not read as a request. The body itself is
   not examined: a broken one is the caller's error, not the server's.
4. While the server drains, each response has `Connection: close` and ends its connection (RFC 9112 section 9.6).
"""

import asyncio
import logging
from http import HTTPStatus
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import RawRequestMessage
from yarl import URL

from secrets_cache.server.access import FORWARDING_HEADERS
from secrets_cache.server.aiohttp_parser import AnyMethodParser
from secrets_cache.server.handler import Handler
from secrets_cache.server.listener import Listener
from secrets_cache.server.message import Request, Response
from secrets_cache.system.logs import describe_error

logger = logging.getLogger(__name__)

_NO_URL = URL("/")
# For callers that still wait at shutdown. Not 0, which means "for ever" to aiohttp.
SHUTDOWN_SECONDS = 0.05
# For the rest of an unread body: a connection closed before that would lose the response.
LINGER_SECONDS = 1.0


class AiohttpServer(web.Server):
    """
    aiohttp's server, without an access log. A protocol factory.

    Args:
        handler: Answers the requests.
        listener: Accepted the connections; each reports to it when it is idle, reading, busy or closed.
    """

    def __init__(self, handler: Handler, listener: Listener) -> None:
        super().__init__(self._respond, request_factory=_build_request)
        self._handler = handler
        self._listener = listener

    def __call__(self) -> "AiohttpConnection":
        """Return the protocol of a new connection."""
        return AiohttpConnection(self, self._handler, self._listener)

    async def aclose(self) -> None:
        """End all connections."""
        self.pre_shutdown()
        await self.shutdown(SHUTDOWN_SECONDS)

    async def _respond(self, request: web.BaseRequest) -> web.Response:
        transport = request.transport
        if transport is not None:
            self._listener.mark_busy(transport)
        headers = request.headers
        parsed = Request(
            method=request.method,
            target=request.raw_path,
            hosts=headers.getall("Host", []),
            forwarded=[name for name in FORWARDING_HEADERS if name in headers],
            tokens=[token for name in self._handler.token_headers for token in headers.getall(name, [])],
            if_none_match=headers.getall("If-None-Match", []),
            origins=headers.getall("Origin", []),
            fetch_sites=headers.getall("Sec-Fetch-Site", []),
            accept=headers.getall("Accept", []),
        )
        try:
            response = _build_response(await self._handler.handle(parsed))
        finally:
            if transport is not None:
                self._listener.mark_idle(transport)
        if request.body_exists or self._listener.is_draining:
            response.force_close()
        return response


def _build_request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: web.RequestHandler,
    writer: AbstractStreamWriter,
    task: "asyncio.Task[None]",
) -> web.BaseRequest:
    # Without its URL: aiohttp would decode the host of an absolute one, and end without a response where that fails.
    # The target as it was sent is in the message as well.
    plain = message._replace(url=_NO_URL)
    return web.BaseRequest(plain, payload, protocol, writer, task, asyncio.get_running_loop())


def _build_response(response: Response) -> web.Response:
    return web.Response(status=response.status, body=response.body or None, headers=response.headers)


class AiohttpConnection(web.RequestHandler):
    """One connection of aiohttp's server."""

    def __init__(self, server: AiohttpServer, handler: Handler, listener: Listener) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]
            auto_decompress=False,
            lingering_time=LINGER_SECONDS,
        )
        self._handler = handler
        self._listener = listener
        self._parser: Any = AnyMethodParser(self, self._parser)

    async def start(self) -> None:
        """Answer one request after the other; close the connection if that fails, since nothing else would."""
        try:
            await super().start()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - the caller must not wait for ever
            logger.error("internal.error", {"where": "connection", **describe_error(error)})  # noqa: TRY400
            self.force_close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Mark the new connection idle."""
        super().connection_made(transport)
        if self.transport is not None:
            self._listener.mark_idle(self.transport)

    def data_received(self, data: bytes) -> None:
        """Mark the connection reading, then parse the bytes."""
        if self.transport is not None:
            self._listener.mark_reading(self.transport)
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Mark the connection closed."""
        transport = self.transport
        super().connection_lost(exc)
        if transport is not None:
            self._listener.mark_closed(transport)

    def log_exception(self, *args: Any, **fields: Any) -> None:  # noqa: ANN401 - as aiohttp's
        """Log an error of a connection, unless the caller made it."""
        if not isinstance(fields.get("exc_info"), (web.RequestPayloadError, HttpProcessingError)):
            super().log_exception(*args, **fields)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it holds what was sent
    ) -> web.StreamResponse:
        """Return the response to a request that could not be read; the connection is closed after it."""
        if request.writer.output_size > 0:
            raise ConnectionError("the response has begun already")
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            logger.error("internal.error", {"where": "connection", **(describe_error(exc) if exc else {})})
            response = _build_response(self._handler.build_failure_response())
        else:
            response = _build_response(self._handler.build_malformed_response())
        response.force_close()
        return response
