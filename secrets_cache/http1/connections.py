"""
HTTP/1.1 as a client, over asyncio's transports: one request at a time on each connection.

Rules
-----
1. Standard library only, and no more of the protocol than AWS's JSON services use: a body of a known length, or in
   chunks. No redirects, no compression, no proxies, no cookies.
2. A connection is used again only if its last answer was read whole and a moment ago: a freeze kills a connection that
   waits in a pool, and nobody tells.
3. Who stops waiting closes the connection: the answer to it may still come.

Longer than most modules here: what is sent, and what may come of it, is one protocol.
"""

import asyncio
import re
import ssl
from collections.abc import Callable, Mapping

from secrets_cache.core.clock import Clock, Instant, elapsed

MAX_BODY = 16 * 1024 * 1024
MAX_HEAD = 64 * 1024
# What comes before the answer, and answers that are all head (RFC 9110 section 15.2, RFC 9112 section 6.3).
INTERIM = range(100, 200)
WITHOUT_BODY = frozenset({204, 304})
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
            ConnectionAbortedError: The connection ended before the answer did.
            BadResponse: The answer cannot be understood.
        """
        lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
        head = f"POST / HTTP/1.1\r\n{''.join(lines)}Content-Length: {len(body)}\r\n\r\n"
        connection = self._reusable() or await self._connect()
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
        self._reading = Reading()
        self._answered: asyncio.Future[Response] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what create_connection makes
        self._transport = transport
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        if self._answered is None or self._answered.done():
            # Nobody has asked: this connection is no use any more.
            self.abort()
            return
        try:
            response = self._reading.feed(data)
        except BadResponse as error:
            self._answered.set_exception(error)
            return
        if response is not None:
            self._reading = Reading()
            self._answered.set_result(response)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self.lost.set_result(None)
        if self._answered is not None and not self._answered.done():
            response = self._reading.until_close() if exc is None else None
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


class Reading:
    """
    A response as it arrives, in however small pieces: each byte is gone over once.

    Whoever answers in AWS's place may drip or flood; neither may hold up the other callers, who share the loop.
    """

    def __init__(self) -> None:
        # What has arrived and is not yet understood.
        self._received = bytearray()
        self._searched = 0
        self._status = 0
        self._headers: dict[str, str] | None = None
        self._body = bytearray()
        # The size of the chunk under way; None if that is still to come.
        self._chunk: int | None = None

    def feed(self, data: bytes) -> Response | None:
        """
        Take what has arrived; return the response, None if it is not all there yet.

        Raises:
            BadResponse: It is none.
        """
        self._received += data
        while self._headers is None:
            if not self._take_head():
                return None
        headers = self._headers
        if self._status not in WITHOUT_BODY and "transfer-encoding" in headers:
            if headers["transfer-encoding"].lower() != "chunked":
                raise BadResponse
            return self._response() if self._take_chunks() else None
        length = "0" if self._status in WITHOUT_BODY else headers.get("content-length")
        if length is None:
            if len(self._received) > MAX_BODY:
                raise BadResponse
            return None
        if not (length.isascii() and length.isdigit() and len(length) <= _MAX_DIGITS) or int(length) > MAX_BODY:
            raise BadResponse
        if len(self._received) < int(length):
            return None
        self._body = self._received[: int(length)]
        return self._response()

    def until_close(self) -> Response | None:
        """Return a response whose body goes on to the connection's end; None if it should have been longer."""
        if self._headers is None or _OF_BODY & self._headers.keys():
            return None
        self._body = self._received
        return self._response()

    def _response(self) -> Response:
        return Response(self._status, self._headers or {}, bytes(self._body))

    def _take(self, mark: bytes) -> bytes | None:
        """Take what stands before a mark, and that; None if it has not come. Raises BadResponse if it is too far."""
        at = self._received.find(mark, max(0, self._searched - len(mark) + 1))
        if (len(self._received) - len(mark) + 1 if at < 0 else at) > MAX_HEAD:
            raise BadResponse
        if at < 0:
            self._searched = len(self._received)
            return None
        taken = bytes(self._received[:at])
        del self._received[: at + len(mark)]
        self._searched = 0
        return taken

    def _take_head(self) -> bool:
        if not self._received.startswith(b"HTTP/"[: len(self._received)]):
            raise BadResponse
        head = self._take(b"\r\n\r\n")
        if head is None:
            return False
        found = _HEAD.fullmatch(head)
        if found is None:
            raise BadResponse
        lines = found[2].decode("latin-1").split("\r\n")[1:]
        fields = [(name.lower(), value.strip(" \t")) for name, _, value in (line.partition(":") for line in lines)]
        # Two that do not agree, or are read otherwise by somebody else, are two bodies.
        if sum(name in _OF_BODY for name, _ in fields) > 1:
            raise BadResponse
        self._status = int(found[1])
        if self._status not in INTERIM:
            self._headers = dict(fields)
        return True

    def _take_chunks(self) -> bool:
        """Move the chunks that are all there (RFC 9112 section 7.1) to the body; return whether it has ended."""
        while True:
            if self._chunk is None:
                line = self._take(b"\r\n")
                if line is None:
                    return False
                self._chunk = _size(line)
                if self._chunk + len(self._body) > MAX_BODY:
                    raise BadResponse
                if self._chunk == 0:
                    # Behind it an empty line, or trailer fields and an empty line: with this, both end alike.
                    self._received[:0] = b"\r\n"
            if self._chunk == 0:
                return self._take(b"\r\n\r\n") is not None
            if len(self._received) < self._chunk + 2:
                return False
            if not self._received.startswith(b"\r\n", self._chunk):
                raise BadResponse
            self._body += self._received[: self._chunk]
            del self._received[: self._chunk + 2]
            self._chunk = None


def _size(line: bytes) -> int:
    digits = line.partition(b";")[0].rstrip(b" \t")
    if not digits or len(digits) > _MAX_DIGITS or digits.strip(_HEXADECIMAL):
        raise BadResponse
    return int(digits, 16)
