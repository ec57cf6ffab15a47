"""
The fallback for a cache that cannot run: it stays registered, and answers every request at once with an error.

An extension that exits fails the function, and a listening socket that nobody accepts from would hang its callers.

Rules
-----
1. Nothing is imported that could be what failed: the standard library's sockets only.
2. It ends with the SHUTDOWN event, or when the parent process has ended.
3. It waits in `poll` only: neither a silent caller nor the Extensions API delays the other callers.
"""

from __future__ import annotations

import contextlib
import select
import time

from secrets_cache.extension.extensions_api import RETRY_SECONDS, ExtensionsApi
from secrets_cache.http1.exchange import READ_BYTES, Wait, milliseconds_until

# Not from typing, whose import takes longer than the registration itself.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from secrets_cache.errors import ExtensionsApiError

CALLER_SECONDS = 5.0
MAX_CALLERS = 256
MAX_HEAD_BYTES = 65536
# After there was no descriptor left for a caller.
ACCEPT_PAUSE_SECONDS = 0.1
BODY = (
    b'{"type":"urn:secrets-cache:problem:upstream-unavailable","title":"The extension could not start","status":503,'
    b'"detail":"secrets-cache could not start; its log says why","code":"upstream-unavailable"}'
)
ANSWER = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nCache-Control: no-store\r\n"
    b"Retry-After: 60\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(BODY)
)


def answer_until_shutdown(
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
        api: Registered, or not: it is then registered here.
        sockets: Listening, non-blocking; may be empty.
        report: Called with each failure of the API.
        first_pause: Seconds until the API is called again after its first failure.
        caller_seconds: A connection that takes longer is closed.
    """
    callers = _Callers(sockets, caller_seconds)
    for wait in api.wait_for_shutdown(report, first_pause):
        while not callers.answer_until(wait):
            pass


class _Caller:
    """One connection: the bytes received, the bytes still to send, and the moment at which it is closed in any case."""

    __slots__ = ("answer", "connection", "head", "until")

    def __init__(self, connection: socket.socket, until: float) -> None:
        self.connection = connection
        self.until = until
        self.head = b""
        self.answer = b""

    def advance(self) -> bool:
        """Read or write as much as possible; return whether there is more to do."""
        if not self.answer:
            chunk = self.connection.recv(READ_BYTES)
            self.head += chunk
            if not chunk or len(self.head) > MAX_HEAD_BYTES:
                return False
            if b"\r\n\r\n" not in self.head:
                return True
            self.answer = ANSWER if self.head.startswith(b"HEAD ") else ANSWER + BODY
        self.answer = self.answer[self.connection.send(self.answer) :]
        return bool(self.answer)


class _Callers:
    """All connections of callers, by their descriptors."""

    def __init__(self, sockets: Sequence[socket.socket], caller_seconds: float) -> None:
        self._caller_seconds = caller_seconds
        self._listeners = {listener.fileno(): listener for listener in sockets}
        self._callers: dict[int, _Caller] = {}
        self._accept_from = 0.0

    def answer_until(self, wait: Wait) -> bool:
        """Wait once and serve the callers that are ready; return whether `wait` may have happened."""
        poll, moments = select.poll(), [caller.until for caller in self._callers.values()]
        for descriptor, caller in self._callers.items():
            poll.register(descriptor, select.POLLOUT if caller.answer else select.POLLIN)
        if time.monotonic() < self._accept_from:
            moments.append(self._accept_from)
        elif len(self._callers) < MAX_CALLERS:
            for descriptor in self._listeners:
                poll.register(descriptor, select.POLLIN)
        wait.register(poll)
        if wait.until is not None:
            moments.append(wait.until)
        ready = {descriptor for descriptor, _ in poll.poll(milliseconds_until(min(moments, default=None)))}
        for descriptor in ready & self._listeners.keys():
            self._accept(self._listeners[descriptor])
        for descriptor, caller in list(self._callers.items()):
            if descriptor in ready or time.monotonic() >= caller.until:
                self._advance(descriptor, caller)
        return wait.descriptor in ready or (wait.until is not None and time.monotonic() >= wait.until)

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except (OSError, MemoryError):
            self._accept_from = time.monotonic() + ACCEPT_PAUSE_SECONDS
            return
        connection.setblocking(False)
        self._callers[connection.fileno()] = _Caller(connection, time.monotonic() + self._caller_seconds)

    def _advance(self, descriptor: int, caller: _Caller) -> None:
        with contextlib.suppress(OSError, MemoryError):
            try:
                if caller.advance() and time.monotonic() < caller.until:
                    return
            except BlockingIOError:
                if time.monotonic() < caller.until:
                    return
        del self._callers[descriptor]
        caller.connection.close()
