"""
The door: accepts connections on the listening sockets, as many as there is room for.

Rules
-----
1. Nobody is refused. Who finds no room waits in the kernel's backlog until a connection ends.
2. To make room, the connection that has been idle for longest is ended; never one that waits for an answer, and
   never one that has just come or just spoken.
3. A request that has begun is given as long as an idle connection, however often a piece of it comes; and so is a
   caller to take its answers, the last one too. Or a caller that sends a byte now and then, or reads nothing, would
   keep its place for ever, and a few hundred of them all others out.
4. The backlog of the sockets stays as it was set: `create_server` would set it anew, and floods the log when
   descriptors run out.
"""

import asyncio
import contextlib
import functools
import logging
import socket
from collections.abc import Callable, Sequence

from secrets_cache.system.logs import describe

logger = logging.getLogger(__name__)

IDLE_SECONDS = 1.0
RETRY_SECONDS = 0.1
SAY_AGAIN_SECONDS = 60.0
LOOK_SECONDS = 0.01


class Door:
    """
    Lets callers in. Whoever speaks with them tells it when a connection speaks, is busy, is idle, is gone.

    Args:
        sockets: Sockets that listen, non-blocking.
        room: How many connections may be open at once.
        idle_seconds: A connection that has been idle for so long may be ended where there is no room.
    """

    def __init__(
        self,
        *,
        sockets: Sequence[socket.socket],
        room: int,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sockets = sockets
        self._protocol: Callable[[], asyncio.Protocol] = asyncio.Protocol
        self._room = room
        self._idle_seconds = idle_seconds
        self._inside = 0
        self._arriving: set[asyncio.Task[tuple[asyncio.Transport, asyncio.Protocol]]] = set()
        # The longest idle one first, with the time that it has been idle since.
        self._idle: dict[asyncio.Transport, float] = {}
        # Those of them that have sent a part of a request.
        self._begun: set[asyncio.Transport] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._said_at: float | None = None

    def open(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        """Accept from now on; `protocol` makes the protocol of a connection."""
        self._protocol = protocol
        self._watch()

    async def drain(self, seconds: float) -> None:
        """
        Accept nobody but who stands outside already; close the sockets; wait until nobody waits for an answer.

        Args:
            seconds: How long to wait at most.
        """
        for listener in self._sockets:
            self._accept(listener)
        self._shut()
        # So that what has been sent is read, and whoever sent it is known to wait.
        await asyncio.sleep(LOOK_SECONDS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                # To be told would cost each answer something, and this is done once.
                while self._is_owing():  # noqa: ASYNC110
                    await asyncio.sleep(LOOK_SECONDS)

    def _is_owing(self) -> bool:
        """Return whether somebody waits for an answer, or has not taken all of one."""
        return self._inside > len(self._idle) or any(one.get_write_buffer_size() for one in self._idle)

    def _shut(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        for listener in self._sockets:
            self._loop.remove_reader(listener)
            listener.close()
        self._sockets = ()

    async def close(self) -> None:
        """Accept nobody any more; close the sockets."""
        self._shut()
        for task in self._arriving:
            task.cancel()
        await asyncio.gather(*self._arriving, return_exceptions=True)

    def idle(self, connection: asyncio.Transport) -> None:
        """Note that a connection is idle from now on: it has just come, or what was asked is answered."""
        self.busy(connection)
        # One that closes is still here until its answers are taken.
        if not connection.is_closing() or connection.get_write_buffer_size():
            self._idle[connection] = self._loop.time()

    def spoke(self, connection: asyncio.Transport) -> None:
        """Note that an idle connection sent something: a request may have begun."""
        if connection in self._idle and connection not in self._begun:
            self.idle(connection)
            self._begun.add(connection)

    def busy(self, connection: asyncio.Transport) -> None:
        """Note that somebody waits for an answer on a connection."""
        self._idle.pop(connection, None)
        self._begun.discard(connection)

    def gone(self, connection: asyncio.Transport) -> None:
        """Note that a connection has ended."""
        self.busy(connection)
        self._left()

    def _watch(self) -> None:
        for listener in self._sockets:
            self._loop.add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        """Let in who waits; called while somebody does."""
        if self._inside >= self._room:
            self._wait(0)
        while self._inside < self._room:
            try:
                connection, _ = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                # No descriptor or no memory is left. They may be as soon as somebody has gone, whoever it is.
                self._wait(RETRY_SECONDS)
                return
            connection.setblocking(False)
            self._inside += 1
            task = self._loop.create_task(self._loop.connect_accepted_socket(self._protocol, connection))
            self._arriving.add(task)
            task.add_done_callback(functools.partial(self._arrived, connection))

    def _arrived(self, connection: socket.socket, task: "asyncio.Task[object]") -> None:
        self._arriving.discard(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None:
            return
        connection.close()
        self._left()
        if not task.cancelled():
            logger.error("internal.error", {"where": "connection", **describe(error)})

    def _left(self) -> None:
        self._inside -= 1
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
            self._watch()

    def _wait(self, seconds: float) -> None:
        """Accept nobody until there is room; begin to make some."""
        for listener in self._sockets:
            self._loop.remove_reader(listener)
        now = self._loop.time()
        if self._said_at is None or now - self._said_at >= SAY_AGAIN_SECONDS:
            self._said_at = now
            logger.warning("server.crowded", {"connections": self._inside})
        # By the timer even if at once: the loop runs timers after what has been sent is read (rule 2).
        self._retry = self._loop.call_later(seconds, self._make_room)

    def _make_room(self) -> None:
        longest = next(iter(self._idle), None)
        if longest is not None and self._loop.time() - self._idle[longest] >= self._idle_seconds:
            self.busy(longest)
            # Not `close`: a caller that does not read would keep it open.
            longest.abort()
        self._retry = None
        if self._inside < self._room:
            self._watch()
        else:
            self._retry = self._loop.call_later(RETRY_SECONDS, self._make_room)
