"""
What is left when the engine cannot run: stay registered, and answer every request with the reason at once.

An extension that exits fails the function, and a listening socket that nobody reads from would hang its callers.

Rules
-----
1. Nothing is imported here that could be what failed: the standard library's sockets only.
2. It ends with the SHUTDOWN event, or when whoever started us is gone.
3. Nobody is waited for but by `poll`: a caller that says nothing delays no other, nor does the Extensions API.
"""

from __future__ import annotations

import contextlib
import select
import time

from secrets_cache.extension.extensions_api import RETRY_SECONDS, ExtensionsApi
from secrets_cache.http1.exchange import Wait, milliseconds_until

# Not from typing, whose import takes longer than the registration itself.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from secrets_cache.errors import ExtensionsApiError

CALLER_SECONDS = 5.0
MAX_CALLERS = 256
MAX_HEAD_BYTES = 65536
# Little: that there is no memory left may be why we are here.
CHUNK_BYTES = 4096
# When there was no descriptor for a caller.
ACCEPT_AGAIN_SECONDS = 0.1
BODY = (
    b'{"type":"urn:secrets-cache:problem:upstream-unavailable","title":"The extension could not start","status":503,'
    b'"detail":"secrets-cache could not start; its log says why","code":"upstream-unavailable"}'
)
ANSWER = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nCache-Control: no-store\r\n"
    b"Retry-After: 60\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(BODY)
)


def stay(
    api: ExtensionsApi,
    sockets: Sequence[socket.socket],
    report: Callable[[ExtensionsApiError], None],
    *,
    first_pause: float = RETRY_SECONDS,
    caller_seconds: float = CALLER_SECONDS,
) -> None:
    """
    Answer on `sockets` until SHUTDOWN. Returns when the process may end.

    Args:
        api: Registered, or not: an API that refuses is asked again, ever more slowly.
        sockets: Sockets that listen, non-blocking; may be none.
        report: Told of each failure of the API.
        first_pause: Seconds until the API is asked again.
        caller_seconds: A caller that takes longer is given up.
    """
    callers = _Callers(sockets, caller_seconds)
    for wait in api.until_shutdown(report, first_pause):
        while not callers.answer_until(wait):
            pass


class _Caller:
    """One connection: what it has sent, what it is still to get, and when it is given up."""

    __slots__ = ("answer", "connection", "head", "until")

    def __init__(self, connection: socket.socket, until: float) -> None:
        self.connection = connection
        self.until = until
        self.head = b""
        self.answer = b""

    def go_on(self) -> bool:
        """Read or write what can be; return whether more is to come."""
        if not self.answer:
            chunk = self.connection.recv(CHUNK_BYTES)
            self.head += chunk
            if not chunk or len(self.head) > MAX_HEAD_BYTES:
                return False
            if b"\r\n\r\n" not in self.head:
                return True
            self.answer = ANSWER if self.head.startswith(b"HEAD ") else ANSWER + BODY
        self.answer = self.answer[self.connection.send(self.answer) :]
        return bool(self.answer)


class _Callers:
    """All connections, by their descriptors."""

    def __init__(self, sockets: Sequence[socket.socket], caller_seconds: float) -> None:
        self._caller_seconds = caller_seconds
        self._listeners = {listener.fileno(): listener for listener in sockets}
        self._callers: dict[int, _Caller] = {}
        self._accept_from = 0.0

    def answer_until(self, wait: Wait) -> bool:
        """Answer whoever calls, once; return whether what is waited for may have come."""
        poll, moments = select.poll(), [caller.until for caller in self._callers.values()]
        for descriptor, caller in self._callers.items():
            poll.register(descriptor, select.POLLOUT if caller.answer else select.POLLIN)
        if time.monotonic() < self._accept_from:
            moments.append(self._accept_from)
        elif len(self._callers) < MAX_CALLERS:
            for descriptor in self._listeners:
                poll.register(descriptor, select.POLLIN)
        if wait.descriptor is not None:
            poll.register(wait.descriptor, select.POLLOUT if wait.is_writing else select.POLLIN)
        if wait.until is not None:
            moments.append(wait.until)
        ready = {descriptor for descriptor, _ in poll.poll(milliseconds_until(min(moments, default=None)))}
        for descriptor in ready & self._listeners.keys():
            self._accept(self._listeners[descriptor])
        for descriptor, caller in list(self._callers.items()):
            if descriptor in ready or time.monotonic() >= caller.until:
                self._go_on(descriptor, caller)
        return wait.descriptor in ready or (wait.until is not None and time.monotonic() >= wait.until)

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except (OSError, MemoryError):
            self._accept_from = time.monotonic() + ACCEPT_AGAIN_SECONDS
            return
        connection.setblocking(False)
        self._callers[connection.fileno()] = _Caller(connection, time.monotonic() + self._caller_seconds)

    def _go_on(self, descriptor: int, caller: _Caller) -> None:
        with contextlib.suppress(OSError, MemoryError):
            try:
                if caller.go_on() and time.monotonic() < caller.until:
                    return
            except BlockingIOError:
                if time.monotonic() < caller.until:
                    return
        del self._callers[descriptor]
        caller.connection.close()
