"""
The extension's end of what the wrapper asks: a socket without a file and without a port.

An abstract Unix socket cannot be reached by HTTP, and so by no caller that a function was tricked into making; whoever
runs code in the sandbox as our user could read the function's environment as well.

Rules
-----
1. Only our own user, and root, are answered.
2. A value is sent once it is known and kept nowhere here.
3. A connection that is not answered is closed: the wrapper then fetches by itself.
"""

import asyncio
import functools
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping

from secrets_cache.errors import VariablesFailed
from secrets_cache.system.logs import describe

logger = logging.getLogger(__name__)

MAX_REQUEST_BYTES = 4 * 1024 * 1024
# Given the variables that say what is wanted, and the names of all, returns what is to be set.
Answer = Callable[[Mapping[str, str], set[bytes]], Awaitable[dict[bytes, bytes | None]]]


class Channel:
    """
    Answers wrappers. An async context manager: entered, it listens; left, it stops at once.

    Args:
        listener: A socket that listens, non-blocking.
        answer: Makes the answers; may raise `VariablesFailed`.
    """

    def __init__(self, listener: socket.socket, answer: Answer) -> None:
        self._listener = listener
        self._answer = answer
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> None:
        asyncio.get_running_loop().add_reader(self._listener.fileno(), self._accept)

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._listener.fileno())
        self._listener.close()
        tasks, self._tasks = self._tasks, set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        task = asyncio.get_running_loop().create_task(self._converse(connection))
        self._tasks.add(task)
        task.add_done_callback(functools.partial(self._ended, connection))

    async def _converse(self, connection: socket.socket) -> None:
        with connection:
            if _may_ask(connection):
                await asyncio.get_running_loop().sock_sendall(connection, await self._reply(connection))

    def _ended(self, connection: socket.socket, task: "asyncio.Task[None]") -> None:
        # One that did not even begin has not closed it.
        connection.close()
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        # Who is not in there any more was ended by us.
        if task in self._tasks and error is not None and not isinstance(error, ConnectionError):
            logger.error("internal.error", {"where": "variables", **describe(error)})
        self._tasks.discard(task)

    async def _reply(self, connection: socket.socket) -> bytes:
        environ, names = parse(await _received(connection))
        try:
            return encoded(await self._answer(environ, names))
        except VariablesFailed as error:
            return b"!" + str(error).encode("utf-8", "backslashreplace").replace(b"\0", b"") + b"\0.\0"


def _may_ask(connection: socket.socket) -> bool:
    # unix(7): struct ucred, process, user, group.
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return struct.unpack("3i", credentials)[1] in {os.getuid(), 0}


async def _received(connection: socket.socket) -> bytes:
    received = b""
    while chunk := await asyncio.get_running_loop().sock_recv(connection, 1 << 18):
        received += chunk
        if len(received) > MAX_REQUEST_BYTES:
            raise ConnectionAbortedError
    return received


def parse(request: bytes) -> tuple[dict[str, str], set[bytes]]:
    """Return the variables of a request that came with their values, and the names of all."""
    environ, names = {}, set()
    for entry in request.split(b"\0"):
        name, equals, value = entry.partition(b"=")
        names.add(name)
        if equals:
            environ[os.fsdecode(name)] = os.fsdecode(value)
    return environ, names


def encoded(values: Mapping[bytes, bytes | None]) -> bytes:
    """Return an answer as `wrapper.answered` reads it."""
    records = (b"-" + name if value is None else b"+" + name + b"=" + value for name, value in values.items())
    return b"\0".join([*records, b".", b""])
