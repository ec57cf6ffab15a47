"""
One HTTP exchange over a plain socket that is never waited for in here.

An exchange is a generator: it gives what it waits for, and is resumed when that may have come. Whoever has it waits in
his own way: `finish` stands still, `life` has an event loop, `last_resort` a loop of its own.

Rules
-----
1. Nothing slow is imported: the registration, which the function's own start waits for, is such an exchange.
2. What goes wrong is an OSError or a ValueError; whoever asked knows what it means.
"""

from __future__ import annotations

# CPython's own part of `socket`, whose import takes as long as all else up to the registration.
import _socket
import errno
import os
import select
import time

# Not from typing, whose import takes longer than the registration itself.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import TypeVar

    T = TypeVar("T")

TIMEOUT_SECONDS = 10.0
MAX_RESPONSE_BYTES = 65536
# Little: it is also how we hear of the end when there is no memory left.
CHUNK_BYTES = 4096


class Response:
    """What a call answered: the status, the headers by lower-case name, and the body."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Wait:
    """
    What a call waits for: a descriptor or a time, whichever comes first.

    Attributes:
        descriptor: None for none.
        is_writing: Whether it is to be writable; else, readable.
        until: On the monotonic clock; None for ever.
    """

    __slots__ = ("descriptor", "is_writing", "until")

    def __init__(self, descriptor: int | None, until: float | None, *, is_writing: bool = False) -> None:
        self.descriptor = descriptor
        self.is_writing = is_writing
        self.until = until


def finish(steps: Generator[Wait, None, T]) -> T:
    """Return what a call returns, standing still while it waits."""
    while True:
        try:
            wait = next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        poll = select.poll()
        if wait.descriptor is not None:
            poll.register(wait.descriptor, select.POLLOUT if wait.is_writing else select.POLLIN)
        poll.poll(milliseconds_until(wait.until))


def milliseconds_until(moment: float | None) -> int | None:
    """Return the time-out that `poll` takes to wait until a moment of the monotonic clock."""
    return None if moment is None else max(0, int((moment - time.monotonic()) * 1000) + 1)


def exchange(
    host: str, port: int, request: bytes, *, is_answered_in_time: bool = True
) -> Generator[Wait, None, Response]:
    """
    Send a request on a connection of its own; return the response.

    Args:
        host: Name or address.
        port: Its port.
        request: All of it; it must ask for the connection to be closed.
        is_answered_in_time: Whether the answer has to come within `TIMEOUT_SECONDS`, as everything before it has.

    Raises:
        OSError: Nobody answered.
        ValueError: What was answered is no HTTP response, or ended early.
    """
    deadline = time.monotonic() + TIMEOUT_SECONDS
    failure = OSError("it has no address")
    # As bytes: a str would cost the import of the codec for IDNA, 1 to 4 ms, while the function waits.
    for family, kind, protocol, _, address in _socket.getaddrinfo(host.encode(), port, type=_socket.SOCK_STREAM):
        connection = _socket.socket(family, kind, protocol)
        try:
            try:
                yield from _connect(connection, address, deadline)
            except OSError as error:
                failure = error
                continue
            yield from _send(connection, request, deadline)
            return (yield from _receive(connection, deadline if is_answered_in_time else None))
        finally:
            connection.close()
    raise failure


def sleep_until(moment: float) -> Generator[Wait, None, None]:
    """Let time pass, as the other generators here do."""
    while time.monotonic() < moment:
        yield Wait(None, moment)


def _ready(connection: _socket.socket, deadline: float | None, *, is_writing: bool) -> Generator[Wait, None, None]:
    if deadline is not None and time.monotonic() >= deadline:
        raise TimeoutError(f"no answer within {TIMEOUT_SECONDS:g} s")
    yield Wait(connection.fileno(), deadline, is_writing=is_writing)


def _connect(connection: _socket.socket, address: tuple[object, ...], deadline: float) -> Generator[Wait, None, None]:
    connection.setblocking(False)
    code = connection.connect_ex(address)
    if code == errno.EINPROGRESS:
        yield from _ready(connection, deadline, is_writing=True)
        code = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))


def _send(connection: _socket.socket, data: bytes, deadline: float) -> Generator[Wait, None, None]:
    while data:
        try:
            data = data[connection.send(data) :]
        except BlockingIOError:
            yield from _ready(connection, deadline, is_writing=True)


def _receive(connection: _socket.socket, deadline: float | None) -> Generator[Wait, None, Response]:
    received = b""
    while True:
        try:
            chunk = connection.recv(CHUNK_BYTES)
        except BlockingIOError:
            yield from _ready(connection, deadline, is_writing=False)
            continue
        received += chunk
        response = response_in(received, is_all=not chunk)
        if response is not None:
            return response
        if not chunk:
            raise ValueError("the connection ended without an answer")
        if len(received) > MAX_RESPONSE_BYTES:
            raise ValueError(f"the answer is longer than {MAX_RESPONSE_BYTES} bytes")


def response_in(received: bytes, *, is_all: bool) -> Response | None:
    """
    Return the response that has been received; None if more of it is to come.

    Args:
        received: All of it so far.
        is_all: Whether the connection has ended.

    Raises:
        ValueError: It is no HTTP response.
    """
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    version, status, *_ = [*first.split(None, 2), "", ""]
    if not version.startswith("HTTP/1.") or not status.isdigit():
        raise ValueError("the answer is no HTTP response")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip(" \t")
    whole: bytes | None = body if is_all else None
    if headers.get("transfer-encoding", "").lower() == "chunked":
        whole = _unchunked(body)
    elif length := headers.get("content-length"):
        size = _size(length, 10)
        whole = body[:size] if len(body) >= size else None
    return None if whole is None else Response(int(status), headers, whole)


def _size(digits: str, base: int) -> int:
    """Return a number of bytes. Raises ValueError for what is none: `int` also reads signs, underscores and blanks."""
    digits = digits.strip(" \t")
    if not digits.isalnum():
        raise ValueError("the answer does not say how long it is")
    return int(digits, base)


def _unchunked(body: bytes) -> bytes | None:
    """Return what came in chunks (RFC 9112 section 7.1), without trailers; None if more is to come."""
    whole = b""
    while True:
        size, separator, body = body.partition(b"\r\n")
        if not separator:
            return None
        length = _size(size.partition(b";")[0].decode("latin-1"), 16)
        if length == 0:
            return whole
        if len(body) < length + 2:
            return None
        whole += body[:length]
        body = body[length + 2 :]
