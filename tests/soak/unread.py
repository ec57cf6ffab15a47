"""The caller that asks and asks and does not read: what is kept for it has to stay bounded."""

import asyncio
import contextlib
import socket
import time
from collections import Counter

from tests.soak.client import Request

# As a small program would have it: what is sent must not all fit into the kernel's buffers.
RECEIVE_BUFFER_BYTES = 4096
# Each request comes by itself: those that come together are aiohttp's, from then on.
PAUSE_SECONDS = 0.006
# Then the same on another connection, and those before stay open.
REQUESTS_ON_ONE = 300


async def ask_without_reading(until: float, port: int, request: Request, tally: Counter[str]) -> None:
    """Send the same request again and again, and read nothing, until a moment on the monotonic clock; then go away."""
    with contextlib.ExitStack() as stack:
        while time.monotonic() < until:
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setblocking(False)
            await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
            await _ask_on(connection, until, request.as_bytes(), tally)


async def _ask_on(connection: socket.socket, until: float, data: bytes, tally: Counter[str]) -> None:
    left = b""
    for _ in range(REQUESTS_ON_ONE):
        if time.monotonic() >= until:
            return
        left = left or data
        try:
            left = left[connection.send(left) :]
        except BlockingIOError:
            # The process reads no more, which is right: nothing is read here either.
            pass
        except ConnectionError:
            tally["callers that read nothing, and were cut off"] += 1
            return
        tally["requests whose answer is not read"] += not left
        await asyncio.sleep(PAUSE_SECONDS)
