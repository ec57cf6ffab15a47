"""
Just enough HTTP for a stub: requests in, prepared answers out, as fast as asyncio goes.

Rules
-----
1. Times are taken when the bytes arrive or leave, on the monotonic clock, which all processes of a machine share.
2. Requests have a Content-Length or no body, as those of every client here have; pipelining is answered in order.
"""

import asyncio
import json
import re
import ssl
import sys
from collections.abc import Callable
from typing import Any

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
AWS_JSON = "application/x-amz-json-1.1"


def response(body: object, *, status: int = 200, headers: str = "") -> bytes:
    """Return a response with a JSON body; `headers` are whole lines."""
    return whole(json.dumps(body).encode(), status=status, headers=headers)


def whole(content: bytes, *, content_type: str = AWS_JSON, status: int = 200, headers: str = "") -> bytes:
    """Return a response with these bytes as its body."""
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\n{headers}Content-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


class Connection(asyncio.Protocol):
    """One connection: calls `handle(connection, head, body)` for each request; head is in lower case."""

    def __init__(
        self, handle: Callable[["Connection", bytes, bytes], None], opened: Callable[[], None] | None = None
    ) -> None:
        self._handle = handle
        self._opened = opened
        self._received = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self._opened:
            self._opened()

    def data_received(self, data: bytes) -> None:
        """Take whole requests out of what has come."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            match = _LENGTH.search(head)
            whole = end + 4 + (int(match[1]) if match else 0)
            if len(self._received) < whole:
                return
            body, self._received = self._received[end + 4 : whole], self._received[whole:]
            self._handle(self, head, body)


async def listen(factory: Callable[[], Connection], context: ssl.SSLContext | None = None) -> int:
    """Serve on a port of 127.0.0.1 that the system chooses, while the loop runs; return it."""
    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0, backlog=1024, ssl=context)
    port: int = server.sockets[0].getsockname()[1]
    _SERVERS.append(server)
    return port


# A server that nobody holds is closed.
_SERVERS: list[asyncio.Server] = []


async def announce_and_stay(**ports: Any) -> None:  # noqa: ANN401 - whatever is JSON
    """Say on standard output where to find us, and live until standard input ends, when the parent is gone."""
    print(json.dumps(ports), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
