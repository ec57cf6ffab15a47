"""
One HTTP exchange over a plain socket, without ever blocking.

An exchange is a generator: it yields what it waits for, a `Wait`, and is resumed when that may have happened; resumed
too early, it yields again. Its caller chooses how to wait: `run_exchange` blocks, `extension.lifecycle` has an event
loop, `extension.fallback` polls its callers' connections at the same time.

Rules
-----
1. Nothing slow is imported: the registration, which the function's own start waits for, is such an exchange.
2. A failure is an OSError or a ValueError; the caller gives it its meaning.
"""

from __future__ import annotations

# CPython's own part of `socket`, whose import takes as long as everything else up to the registration.
import _socket
import errno
import os
import select
import time

from secrets_cache.http1.response import BadResponse, ResponseParser

# Not from typing, whose import takes longer than the registration itself.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import TypeVar

    from secrets_cache.http1.response import Response

    T = TypeVar("T")

TIMEOUT_SECONDS = 10.0
MAX_RESPONSE_BYTES = 65536
# Small: SHUTDOWN must be readable even when memory is exhausted. A bytes object of this size is still a small object to
# CPython, and comes from memory that the interpreter already holds.
READ_BYTES = 448


class Wait:
    """
    What an exchange waits for: a descriptor or a time, whichever comes first.

    Attributes:
        descriptor: None for none.
        is_writing: Whether the descriptor must become writable; else, readable.
        until: On the monotonic clock; None for ever.
    """

    __slots__ = ("descriptor", "is_writing", "until")

    def __init__(self, descriptor: int | None, until: float | None, *, is_writing: bool = False) -> None:
        self.descriptor = descriptor
        self.is_writing = is_writing
        self.until = until

    def register(self, poll: select.poll) -> None:
        """Let `poll` wait for the descriptor, if there is one."""
        if self.descriptor is not None:
            poll.register(self.descriptor, select.POLLOUT if self.is_writing else select.POLLIN)


def run_exchange(steps: Generator[Wait, None, T]) -> T:
    """Run an exchange to its end; return its result. Blocks."""
    while True:
        try:
            wait = next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        poll = select.poll()
        wait.register(poll)
        poll.poll(milliseconds_until(wait.until))


def milliseconds_until(moment: float | None) -> int | None:
    """Return the time-out for `poll` that ends at a moment of the monotonic clock; None for ever."""
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
        is_answered_in_time: Whether the response must come within `TIMEOUT_SECONDS`, as the connection must.

    Raises:
        OSError: There is no connection, or no response in time.
        ValueError: What came is not a complete HTTP response (`BadResponse`), or the host is not a name.
    """
    deadline = time.monotonic() + TIMEOUT_SECONDS
    failure = OSError("the host has no address")
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
    """Wait until a moment of the monotonic clock, as a generator of the same kind."""
    while time.monotonic() < moment:
        yield Wait(None, moment)


def _wait_until_ready(
    connection: _socket.socket, deadline: float | None, *, is_writing: bool
) -> Generator[Wait, None, None]:
    if deadline is not None and time.monotonic() >= deadline:
        raise TimeoutError(f"no answer within {TIMEOUT_SECONDS:g} s")
    yield Wait(connection.fileno(), deadline, is_writing=is_writing)


def _connect(connection: _socket.socket, address: tuple[object, ...], deadline: float) -> Generator[Wait, None, None]:
    connection.setblocking(False)
    code = connection.connect_ex(address)
    if code == errno.EINPROGRESS:
        yield from _wait_until_ready(connection, deadline, is_writing=True)
        code = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))


def _send(connection: _socket.socket, data: bytes, deadline: float) -> Generator[Wait, None, None]:
    while data:
        try:
            data = data[connection.send(data) :]
        except BlockingIOError:
            yield from _wait_until_ready(connection, deadline, is_writing=True)


def _receive(connection: _socket.socket, deadline: float | None) -> Generator[Wait, None, Response]:
    parser = ResponseParser(max_head_bytes=MAX_RESPONSE_BYTES, max_body_bytes=MAX_RESPONSE_BYTES)
    while True:
        try:
            data = connection.recv(READ_BYTES)
        except BlockingIOError:
            yield from _wait_until_ready(connection, deadline, is_writing=False)
            continue
        response = parser.feed(data) if data else parser.end()
        if response is not None:
            return response
        if not data:
            raise BadResponse("the connection ended before the response was complete")
