"""
HTTP/1.1 as a client, over asyncio's transports: one request at a time on each connection.

Rules
-----
1. Standard library only, and no more of the protocol than AWS's JSON services use: no redirects, no compression, no
   proxies, no cookies.
2. A connection is used again only if its last response was complete, and a moment ago: a freeze kills the connections
   of a pool without a sign.
3. A caller that stops waiting closes the connection: the response may still come.
"""

import asyncio
import functools
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any

from secrets_cache.core.clock import Clock, Instant, elapsed
from secrets_cache.core.named_tuple import NamedTuple
from secrets_cache.http1.response import BadResponse, Response, ResponseParser

__all__ = ["MAX_BODY", "BadResponse", "Connections", "Endpoint", "Response"]

# In bytes: far more than any response of AWS's JSON services.
MAX_BODY = 16 * 1024 * 1024
MAX_HEAD = 64 * 1024


class Endpoint(NamedTuple):
    """Where requests go: a host, a port, and whether TLS is used."""

    host: str
    port: int
    is_secure: bool

    @property
    def authority(self) -> str:
        """The value of a Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_secure else 80) else f"{host}:{self.port}"


class Connections:
    """
    Connections to one endpoint, kept for a moment after use.

    Args:
        endpoint: Where they lead.
        context: Returns the TLS context; called only for an endpoint that uses TLS.
        keepalive_seconds: How long an idle connection is kept.
        clock: Measures how long a connection has been idle.
    """

    def __init__(
        self, endpoint: Endpoint, context: Callable[[], ssl.SSLContext], *, keepalive_seconds: float, clock: Clock
    ) -> None:
        self.endpoint = endpoint
        self.context = context
        self._keepalive_seconds = keepalive_seconds
        self._clock = clock
        self._idle: list[tuple[_Connection, Instant]] = []
        self._open: set[_Connection] = set()

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        """
        Send a request to the endpoint; return the response.

        Raises:
            OSError: There is no connection; ssl.SSLError if TLS failed.
            ConnectionAbortedError: The connection ended before the response was complete.
            BadResponse: The response is malformed or too large.
        """
        lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
        head = f"{method} {target} HTTP/1.1\r\n{''.join(lines)}Content-Length: {len(body)}\r\n\r\n"
        self._drop_old()
        connection = self._idle.pop()[0] if self._idle else await self._connect()
        try:
            response = await connection.exchange(head.encode("latin-1") + body)
        except OSError as error:
            connection.abort()
            raise ConnectionAbortedError from error
        except BaseException:
            connection.abort()
            raise
        if connection.is_open and response.headers.get("connection", "").lower() != "close":
            self._idle.append((connection, self._clock.now()))
        else:
            connection.abort()
        self._drop_old()
        return response

    async def aclose(self) -> None:
        """Close all connections; return when they are closed."""
        closing = [connection.lost for connection in self._open]
        for connection in self._open:
            connection.abort()
        if closing:
            await asyncio.wait(closing)
        # A connection whose making was cancelled is closed within the loop's next turns, without a callback.
        for _ in range(3):
            await asyncio.sleep(0)

    def _drop_old(self) -> None:
        now = self._clock.now()
        kept = []
        for connection, since in self._idle:
            if connection.is_open and elapsed(since, now).seconds < self._keepalive_seconds:
                kept.append((connection, since))
            else:
                connection.abort()
        self._idle = kept

    async def _connect(self) -> "_Connection":
        name = self.endpoint.host.encode("ascii")
        tls: dict[str, Any] = {}
        if self.endpoint.is_secure:
            tls = {"ssl": self.context(), "server_hostname": name}
        failure = OSError("the host has no address")
        for host, port in await _look_up(name, self.endpoint.port):
            try:
                _, connection = await asyncio.get_running_loop().create_connection(_Connection, host, port, **tls)
            except ssl.SSLError:
                # It has answered; what another address says must not hide this.
                raise
            except OSError as error:
                failure = error
            else:
                self._open.add(connection)
                connection.lost.add_done_callback(functools.partial(self._forget, connection))
                return connection
        raise failure

    def _forget(self, connection: "_Connection", _: object) -> None:
        self._open.discard(connection)


async def _look_up(name: bytes, port: int) -> list[tuple[str, int]]:
    """
    Return the addresses of a host.

    Args:
        name: Its name or address. As bytes: of a str the codec for IDNA would be imported, in 3 ms.
        port: The port.
    """
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        look_up = functools.partial(socket.getaddrinfo, name, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(None, look_up)
    return [(_write_address(*address), port) for *_, address in found]


def _write_address(host: object, _port: object, _flow: object = 0, interface: object = 0) -> str:
    """Return the text of an address; one of IPv6 may be valid for one interface alone."""
    return f"{host}%{interface}" if interface else str(host)


class _Connection(asyncio.Protocol):
    """One connection: parses what arrives, and hands each response to the exchange that waits for it."""

    def __init__(self) -> None:
        self.is_open = False
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._parser = _make_parser()
        self._waiting: asyncio.Future[Response] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what create_connection makes
        self._transport = transport
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        if self._waiting is None or self._waiting.done():
            # A response without a request: nothing on this connection can be trusted any more.
            self.abort()
            return
        try:
            response = self._parser.feed(data)
        except BadResponse as error:
            self._waiting.set_exception(error)
            return
        if response is not None:
            self._parser = _make_parser()
            self._waiting.set_result(response)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self.lost.set_result(None)
        if self._waiting is not None and not self._waiting.done():
            response = self._parser.end() if exc is None else None
            if response is None:
                self._waiting.set_exception(exc or ConnectionAbortedError("closed before the response was complete"))
            else:
                self._waiting.set_result(response)

    async def exchange(self, request: bytes) -> Response:
        """Send a request and return its response."""
        self._waiting = asyncio.get_running_loop().create_future()
        if self._transport is None or not self.is_open:
            raise ConnectionAbortedError("closed before the request was sent")
        self._transport.write(request)
        return await self._waiting

    def abort(self) -> None:
        """Close at once."""
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()


def _make_parser() -> ResponseParser:
    return ResponseParser(max_head_bytes=MAX_HEAD, max_body_bytes=MAX_BODY)
