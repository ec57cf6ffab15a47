"""
What is left when the engine cannot run: stay registered, and answer every request with the reason at once.

An extension that exits fails the function, and a listening socket that nobody reads from would hang its callers.

Rules
-----
1. Nothing is imported here that could be what failed: the standard library's sockets only.
2. It ends with the SHUTDOWN event, or when whoever started us is gone.
"""

import contextlib
import os
import select
import socket
import time
from collections.abc import Callable, Sequence

from secrets_cache.errors import ExtensionsApiError
from secrets_cache.extensions_api import ExtensionsApi

RETRY_SECONDS = 1.0
MAX_RETRY_SECONDS = 60.0
READ_SECONDS = 1.0
BODY = (
    b'{"type":"urn:secrets-cache:problem:upstream-unavailable","title":"The extension could not start","status":503,'
    b'"detail":"secrets-cache could not start; its log says why","code":"upstream-unavailable"}'
)
ANSWER = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nCache-Control: no-store\r\n"
    b"Retry-After: 60\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(BODY)
)


def stay(api: ExtensionsApi, sockets: Sequence[socket.socket], report: Callable[[ExtensionsApiError], None]) -> None:
    """
    Answer on `sockets` until SHUTDOWN. Returns when the process may end.

    Args:
        api: Registered, or not: an API that refuses is asked again, ever more slowly.
        sockets: Sockets that listen; may be none.
        report: Told of each failure of the API.
    """
    parent, pause = os.getppid(), RETRY_SECONDS
    while True:
        try:
            descriptor = api.open_next()
            while not _answer_until(descriptor, sockets):
                pass
            if api.read_next() == "SHUTDOWN":
                return
            pause = RETRY_SECONDS
        except ExtensionsApiError as error:
            if os.getppid() != parent:
                return
            report(error)
            time.sleep(pause)
            pause = min(pause * 2, MAX_RETRY_SECONDS)


def _answer_until(descriptor: int, sockets: Sequence[socket.socket]) -> bool:
    """Answer whoever calls; return whether the descriptor has turned readable."""
    watched: list[int | socket.socket] = [descriptor, *sockets]
    ready, _, _ = select.select(watched, [], [])
    for listener in sockets:
        if listener in ready:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(READ_SECONDS)
                    connection.recv(65536)
                    connection.sendall(ANSWER + BODY)
    return descriptor in ready
