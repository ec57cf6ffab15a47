"""
The listener: accepts connections on the listening sockets, up to a limit.

Rules
-----
1. No connection is refused. Above the limit, new ones wait in the kernel's backlog until another one ends.
2. To make room, the connection that has been idle for longest is ended; never one that waits for a response, and
   never one that has just connected or just sent something.
3. A request that has begun gets as much time as an idle connection, however often a piece of it comes; so does a
   caller that has to read its responses, the last one too. Otherwise a caller that sends a byte now and then, or reads
   nothing, would keep its connection for ever, and a few hundred of them would shut out all others.
4. The backlog of the sockets stays as it was set: `create_server` would set it anew, and floods the log when
   descriptors run out.
5. A caller that connects without end does not keep the loop: between a few new connections, those that are open get
   their turn. Otherwise they would seem idle, and be ended by rule 2.
"""

import asyncio
import contextlib
import functools
import logging
import socket
from collections.abc import Callable, Sequence

from secrets_cache.system.logs import describe_error
from secrets_cache.system.sockets import BACKLOG

logger = logging.getLogger(__name__)

IDLE_SECONDS = 1.0
# A new connection takes a core about 70 us, so those that are open wait for about 1 ms in a turn of the loop. The turn
# itself takes far less: a burst of callers is accepted as fast as without this bound.
ACCEPTS_PER_TURN = 16
RETRY_SECONDS = 0.1
WARNING_INTERVAL_SECONDS = 60.0
POLL_SECONDS = 0.01
# For the next request of callers that keep their connections; those that ask more rarely notice the close before it.
LAST_REQUEST_SECONDS = 2.0


class Listener:
    """
    Accepts connections and limits their number. Protocols report when a connection is idle, reading, busy or closed.

    Args:
        sockets: Sockets that listen, non-blocking.
        max_connections: How many connections may be open at once.
        idle_seconds: At the limit, a connection that has been idle for this long may be ended.

    Attributes:
        is_draining: Whether each response from now on is the last one of its connection.
    """

    def __init__(
        self,
        *,
        sockets: Sequence[socket.socket],
        max_connections: int,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sockets = sockets
        self._protocol_factory: Callable[[], asyncio.Protocol] = asyncio.Protocol
        self._max_connections = max_connections
        self._idle_seconds = idle_seconds
        self.is_draining = False
        self._open = 0
        self._connecting: set[asyncio.Task[tuple[asyncio.Transport, asyncio.Protocol]]] = set()
        # The time since which each connection is idle; the longest idle one first.
        self._idle: dict[asyncio.Transport, float] = {}
        # The idle ones that have sent a part of a request.
        self._reading: set[asyncio.Transport] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._warned_at: float | None = None

    def start(self, protocol_factory: Callable[[], asyncio.Protocol]) -> None:
        """Accept connections from now on; `protocol_factory` makes the protocol of each."""
        self._protocol_factory = protocol_factory
        self._watch()

    async def drain(self, seconds: float) -> None:
        """
        Accept the connections that wait already, close the sockets, and wait until every caller has its response.

        Connections that are kept open get `LAST_REQUEST_SECONDS` for one more request.

        Args:
            seconds: How long to wait at most.
        """
        self.is_draining = True
        last_request_until = self._loop.time() + LAST_REQUEST_SECONDS
        for listening in self._sockets:
            self._accept(listening, at_most=BACKLOG + 1)
        self._close_sockets()
        if self._connecting:
            await asyncio.wait(self._connecting)
        # Lets the loop read what was sent, so that those connections count as busy.
        await asyncio.sleep(POLL_SECONDS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                # Polled: a notification would slow every response, and this runs only once, at the end.
                while self._has_pending() or (self._open and self._loop.time() < last_request_until):  # noqa: ASYNC110
                    await asyncio.sleep(POLL_SECONDS)

    def _has_pending(self) -> bool:
        """Return whether a caller waits for a response, or has not read all of one."""
        return self._open > len(self._idle) or any(one.get_write_buffer_size() for one in self._idle)

    def _close_sockets(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        for listening in self._sockets:
            self._loop.remove_reader(listening)
            listening.close()
        self._sockets = ()

    async def aclose(self) -> None:
        """Accept no more connections; close the sockets."""
        self._close_sockets()
        for task in self._connecting:
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)

    def mark_idle(self, connection: asyncio.Transport) -> None:
        """Note that a connection is idle from now on: it is new, or its request has been answered."""
        self.mark_busy(connection)
        # One that is closing counts until its responses are read.
        if not connection.is_closing() or connection.get_write_buffer_size():
            self._idle[connection] = self._loop.time()

    def mark_reading(self, connection: asyncio.Transport) -> None:
        """Note that a connection sent something; if it was idle, a request may have begun."""
        if connection in self._idle and connection not in self._reading:
            self.mark_idle(connection)
            self._reading.add(connection)

    def mark_busy(self, connection: asyncio.Transport) -> None:
        """Note that a caller waits for a response on a connection."""
        self._idle.pop(connection, None)
        self._reading.discard(connection)

    def mark_closed(self, connection: asyncio.Transport) -> None:
        """Note that a connection has ended."""
        self.mark_busy(connection)
        self._release()

    def _watch(self) -> None:
        for listening in self._sockets:
            self._loop.add_reader(listening, self._accept, listening)

    def _accept(self, listening: socket.socket, at_most: int = ACCEPTS_PER_TURN) -> None:
        """Accept some of the connections that wait on a socket, up to the limit of open ones."""
        if self._open >= self._max_connections:
            self._pause(0)
        for _ in range(min(at_most, self._max_connections - self._open)):
            try:
                connection, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                # No descriptor or no memory is left. There may be some as soon as anything is closed.
                self._pause(RETRY_SECONDS)
                return
            connection.setblocking(False)
            self._open += 1
            task = self._loop.create_task(self._loop.connect_accepted_socket(self._protocol_factory, connection))
            self._connecting.add(task)
            task.add_done_callback(functools.partial(self._finish_connecting, connection))

    def _finish_connecting(self, connection: socket.socket, task: "asyncio.Task[object]") -> None:
        self._connecting.discard(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None:
            return
        connection.close()
        self._release()
        if not task.cancelled():
            logger.error("internal.error", {"where": "connection", **describe_error(error)})

    def _release(self) -> None:
        self._open -= 1
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
            self._watch()

    def _pause(self, seconds: float) -> None:
        """Accept no connections until there is room; begin to make room after some seconds."""
        for listening in self._sockets:
            self._loop.remove_reader(listening)
        now = self._loop.time()
        if self._warned_at is None or now - self._warned_at >= WARNING_INTERVAL_SECONDS:
            self._warned_at = now
            logger.warning("server.crowded", {"connections": self._open})
        if self._retry is not None:
            # At the end each socket is asked for more.
            self._retry.cancel()
        # By the timer even if at once: the loop runs timers after it has read what was sent (rule 2).
        self._retry = self._loop.call_later(seconds, self._make_room)

    def _make_room(self) -> None:
        longest = next(iter(self._idle), None)
        if longest is not None and self._loop.time() - self._idle[longest] >= self._idle_seconds:
            self.mark_busy(longest)
            # Not `close`: a caller that does not read would keep it open.
            longest.abort()
        self._retry = None
        if self._open < self._max_connections:
            self._watch()
        else:
            self._retry = self._loop.call_later(RETRY_SECONDS, self._make_room)
