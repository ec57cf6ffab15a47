"""
HTTP/1.1 as a client, over asyncio's transports: one request at a time on each connection.

Rules
-----
1. Standard library only, and no more of the protocol than AWS's JSON services use: a body of a known length, or in
   chunks. No redirects, no compression, no proxies, no cookies.
2. A connection is used again only if its last answer was read whole and a moment ago: a freeze kills a connection that
   waits in a pool, and nobody tells.
3. Who stops waiting closes the connection: the answer to it may still come.
"""

import asyncio
import re
import ssl
from collections.abc import Callable, Mapping

from secrets_cache.clock import Clock, Instant, elapsed

MAX_BODY = 16 * 1024 * 1024
MAX_HEAD = 64 * 1024
# RFC 9112 sections 4 and 5: a status line, and lines of a field each, their names without blanks.
_HEAD = re.compile(rb"HTTP/1\.[0-9] ([1-9][0-9][0-9])(?: [^\r\n]*)?((?:\r\n[!-9;-~]+:[^\r\n\0]*)*)")
# More digits than any length that is allowed, and fewer than `int` refuses.
_MAX_DIGITS = 10
_HEXADECIMAL = b"0123456789abcdefABCDEF"
_OF_BODY = frozenset({"content-length", "transfer-encoding"})


class Response:
    """A status, the headers by lower-case name, and the body."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class BadResponse(Exception):
    """What came is no HTTP/1.1 response, or one that is larger than any answer of AWS's."""


class Endpoint:
    """Where requests go: host and port, and whether through TLS."""

    __slots__ = ("host", "is_secure", "port")

    def __init__(self, host: str, port: int, *, is_secure: bool) -> None:
        self.host = host
        self.port = port
        self.is_secure = is_secure

    @property
    def authority(self) -> str:
        """The value of a Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_secure else 80) else f"{host}:{self.port}"


class Connections:
    """
    Connections to one endpoint, kept for a moment after use.

    Args:
        endpoint: Where to.
        context: Makes the TLS context when one is first needed.
        keepalive_seconds: How long an idle connection is kept.
        clock: What time it is.
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

    async def post(self, headers: Mapping[str, str], body: bytes) -> Response:
        """
        Return the answer to a POST of `body` to the endpoint's root.

        Raises:
            OSError: No connection; ssl.SSLError where TLS is to blame.
            ConnectionError: The connection ended before the answer did.
            BadResponse: The answer cannot be understood.
        """
        lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
        head = f"POST / HTTP/1.1\r\n{''.join(lines)}Content-Length: {len(body)}\r\n\r\n"
        connection = self._reusable() or await self._connect()
        try:
            response = await connection.exchange(head.encode("latin-1") + body)
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
        # One whose making was cancelled is closed in one of the loop's next turns, and nobody tells us.
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

    def _reusable(self) -> "_Connection | None":
        self._drop_old()
        return self._idle.pop()[0] if self._idle else None

    async def _connect(self) -> "_Connection":
        endpoint = self.endpoint
        context = self.context() if endpoint.is_secure else None
        _, connection = await asyncio.get_running_loop().create_connection(
            _Connection, endpoint.host, endpoint.port, ssl=context
        )
        self._open.add(connection)
        connection.lost.add_done_callback(lambda _: self._open.discard(connection))
        return connection


class _Connection(asyncio.Protocol):
    """One connection: what arrives is collected until it makes a response."""

    def __init__(self) -> None:
        self.is_open = False
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._received = bytearray()
        self._answered: asyncio.Future[Response] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what create_connection makes
        self._transport = transport
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._answered is None or self._answered.done():
            # Nobody has asked: this connection is no use any more.
            self.abort()
            return
        try:
            response = parse(bytes(self._received))
        except BadResponse as error:
            self._answered.set_exception(error)
            return
        if response is not None:
            self._received.clear()
            self._answered.set_result(response)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self.lost.set_result(None)
        if self._answered is not None and not self._answered.done():
            response = until_close(bytes(self._received)) if exc is None else None
            if response is None:
                self._answered.set_exception(exc or ConnectionAbortedError("closed before it had answered"))
            else:
                self._answered.set_result(response)

    async def exchange(self, request: bytes) -> Response:
        """Send a request and return its answer."""
        self._answered = asyncio.get_running_loop().create_future()
        if self._transport is None or not self.is_open:
            raise ConnectionAbortedError("closed before it was asked")
        self._transport.write(request)
        return await self._answered

    def abort(self) -> None:
        """Close at once."""
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()


def parse(received: bytes) -> Response | None:
    """
    Return the response that has been received; None if it is not all there yet.

    Raises:
        BadResponse: It is none.
    """
    parsed = _head(received)
    if parsed is None:
        return None
    status, headers, rest = parsed
    if "transfer-encoding" in headers:
        if headers["transfer-encoding"].lower() != "chunked":
            raise BadResponse
        body = _from_chunks(rest)
        return None if body is None else Response(status, headers, body)
    length = headers.get("content-length")
    if length is None:
        if len(rest) > MAX_BODY:
            raise BadResponse
        return None
    if not (length.isascii() and length.isdigit() and len(length) <= _MAX_DIGITS) or int(length) > MAX_BODY:
        raise BadResponse
    return Response(status, headers, rest[: int(length)]) if len(rest) >= int(length) else None


def _head(received: bytes) -> tuple[int, dict[str, str], bytes] | None:
    end = _find(received, b"\r\n\r\n", 0)
    if end < 0:
        if len(received) >= len(b"HTTP/") and not received.startswith(b"HTTP/"):
            raise BadResponse
        return None
    head, rest = received[:end], received[end + 4 :]
    found = _HEAD.fullmatch(head)
    if found is None:
        raise BadResponse
    lines = found[2].decode("latin-1").split("\r\n")[1:]
    fields = [(name.lower(), value.strip(" \t")) for name, _, value in (line.partition(":") for line in lines)]
    # Two that do not agree, or are read otherwise by somebody else, are two bodies.
    if sum(name in _OF_BODY for name, _ in fields) > 1:
        raise BadResponse
    return int(found[1]), dict(fields), rest


def _find(received: bytes, mark: bytes, start: int) -> int:
    """Return where a mark stands; negative if it has not come yet. Raises `BadResponse` if that is too far away."""
    at = received.find(mark, start)
    if (len(received) - len(mark) + 1 if at < 0 else at) - start > MAX_HEAD:
        raise BadResponse
    return at


def _from_chunks(rest: bytes) -> bytes | None:
    """Return the body that stands in chunks (RFC 9112 section 7.1); None if it is not all there yet."""
    body, start = bytearray(), 0
    while True:
        end = _find(rest, b"\r\n", start)
        if end < 0:
            return None
        size = _size(rest[start:end])
        if size + len(body) > MAX_BODY:
            raise BadResponse
        if size == 0:
            # Behind it an empty line, or trailer fields and an empty line.
            return bytes(body) if _find(rest, b"\r\n\r\n", end) >= 0 else None
        start = end + 2 + size
        if len(rest) < start + 2:
            return None
        if not rest.startswith(b"\r\n", start):
            raise BadResponse
        body += rest[end + 2 : start]
        start += 2


def _size(line: bytes) -> int:
    digits = line.partition(b";")[0].rstrip(b" \t")
    if not digits or len(digits) > _MAX_DIGITS or digits.strip(_HEXADECIMAL):
        raise BadResponse
    return int(digits, 16)


def until_close(received: bytes) -> Response | None:
    """Return a response whose body goes on to the connection's end; None if it should have been longer."""
    try:
        parsed = _head(received)
    except BadResponse:
        return None
    if parsed is None or {"content-length", "transfer-encoding"} & parsed[1].keys():
        return None
    return Response(*parsed)
