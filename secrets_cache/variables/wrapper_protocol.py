"""
The extension's end of the connection to the wrapper: a Unix socket in the abstract namespace, without file or port.

No HTTP client can reach such a socket, so a function that is tricked into making a request cannot either. Code that
runs in the sandbox as the same user could read the function's environment anyway.

The bytes: `parse_request` reads what `wrapper.encode_request` writes, `wrapper.parse_answer` reads what `encode_answer`
writes. The wrapper has its half in its own module, since it may not import this one.

Rules
-----
1. Only processes of the same user and of root are answered.
2. A value is sent as soon as it is known, and not kept here.
3. A connection that gets no answer is closed; the wrapper then fetches the values itself.
4. A sign of life is sent at once, so that the wrapper can tell an extension that waits for AWS from one that hangs.
5. The number of connections is bounded, and so is the time for a request and for reading an answer.
"""

import asyncio
import functools
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping

from secrets_cache.errors import VariablesFailed
from secrets_cache.system.logs import describe_error

logger = logging.getLogger(__name__)

MAX_REQUEST_BYTES = 4 * 1024 * 1024
MAX_CONNECTIONS = 64
# A wrapper sends its request at once, and reads the answer as it comes.
TRANSFER_SECONDS = 5.0
ACCEPT_PAUSE_SECONDS = 0.1
SIGN_OF_LIFE = b"\0"
# Takes the variables that name secrets, and the names of all variables; returns the variables to set.
Answer = Callable[[Mapping[str, str], set[bytes]], Awaitable[dict[bytes, bytes | None]]]


class Channel:
    """
    Answers wrappers. An async context manager: it listens from entry to exit, and stops at once.

    Args:
        listener: A listening, non-blocking socket.
        answer: Makes an answer; may raise `VariablesFailed`.
        transfer_seconds: The time for a request, and for reading an answer.
        accept_pause_seconds: The pause after there was no descriptor left for a connection.
    """

    def __init__(
        self,
        listener: socket.socket,
        answer: Answer,
        *,
        transfer_seconds: float = TRANSFER_SECONDS,
        accept_pause_seconds: float = ACCEPT_PAUSE_SECONDS,
    ) -> None:
        self._listener = listener
        self._answer = answer
        self._transfer_seconds = transfer_seconds
        self._accept_pause_seconds = accept_pause_seconds
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> None:
        self._listen()

    async def __aexit__(self, *_: object) -> None:
        self._pause()
        self._listener.close()
        tasks, self._tasks = self._tasks, set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _listen(self) -> None:
        """Accept connections, unless there are too many or the listener is closed."""
        if self._listener.fileno() >= 0 and len(self._tasks) < MAX_CONNECTIONS:
            asyncio.get_running_loop().add_reader(self._listener.fileno(), self._accept)

    def _pause(self) -> None:
        """Let further connections wait in the backlog."""
        asyncio.get_running_loop().remove_reader(self._listener.fileno())

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError:
            # Out of descriptors or memory: the connection stays in the backlog, and would be reported again at once.
            self._pause()
            asyncio.get_running_loop().call_later(self._accept_pause_seconds, self._listen)
            return
        connection.setblocking(False)
        task = asyncio.get_running_loop().create_task(self._serve(connection))
        self._tasks.add(task)
        task.add_done_callback(functools.partial(self._finish, connection))
        if len(self._tasks) >= MAX_CONNECTIONS:
            self._pause()

    async def _serve(self, connection: socket.socket) -> None:
        with connection:
            if _is_allowed(connection):
                seconds = self._transfer_seconds
                await _send(connection, SIGN_OF_LIFE, seconds)
                await _send(connection, await self._make_reply(await _receive(connection, seconds)), seconds)

    def _finish(self, connection: socket.socket, task: "asyncio.Task[None]") -> None:
        # A task that was cancelled before it began has not closed it.
        connection.close()
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        # Tasks that __aexit__ has cancelled are no longer in the set.
        if task in self._tasks and error is not None and not isinstance(error, ConnectionError):
            logger.error("internal.error", {"where": "variables", **describe_error(error)})
        self._tasks.discard(task)
        self._listen()

    async def _make_reply(self, request: bytes) -> bytes:
        environ, names = parse_request(request)
        try:
            return encode_answer(await self._answer(environ, names))
        except VariablesFailed as error:
            return b"!" + str(error).encode("utf-8", "backslashreplace").replace(b"\0", b"") + b"\0.\0"


def _is_allowed(connection: socket.socket) -> bool:
    # unix(7): struct ucred, process, user, group.
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return struct.unpack("3i", credentials)[1] in {os.getuid(), 0}


async def _send(connection: socket.socket, data: bytes, seconds: float) -> None:
    """Send bytes. Raises `ConnectionError` if they are not read in time."""
    try:
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().sock_sendall(connection, data)
    except TimeoutError:
        raise ConnectionAbortedError from None


async def _receive(connection: socket.socket, seconds: float) -> bytes:
    """Return a request. Raises `ConnectionError` if it does not come in time, or is too large for a wrapper's."""
    received = b""
    try:
        async with asyncio.timeout(seconds):
            while chunk := await asyncio.get_running_loop().sock_recv(connection, 1 << 18):
                received += chunk
                if len(received) > MAX_REQUEST_BYTES:
                    raise ConnectionAbortedError
    except TimeoutError:
        raise ConnectionAbortedError from None
    return received


def parse_request(request: bytes) -> tuple[dict[str, str], set[bytes]]:
    """Return the variables whose values the request holds, and the names of all variables."""
    environ, names = {}, set()
    for entry in request.split(b"\0"):
        name, equals, value = entry.partition(b"=")
        names.add(name)
        if equals:
            environ[os.fsdecode(name)] = os.fsdecode(value)
    return environ, names


def encode_answer(values: Mapping[bytes, bytes | None]) -> bytes:
    """Return an answer in the form that the wrapper reads, without the sign of life before it."""
    records = (b"-" + name if value is None else b"+" + name + b"=" + value for name, value in values.items())
    return b"\0".join([*records, b".", b""])
