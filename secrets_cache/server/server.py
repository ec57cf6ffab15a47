"""The server: the listener, behind it the fast path, behind that aiohttp."""

import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from secrets_cache.server.fast_path import FastPath
from secrets_cache.server.handler import Handler
from secrets_cache.server.listener import IDLE_SECONDS, Listener
from secrets_cache.system.lazy_import import LazyImport

if TYPE_CHECKING:
    from secrets_cache.server.aiohttp import AiohttpServer


class Server:
    """
    Answers on listening sockets. An async context manager: it serves while the context lasts, and then stops at once.

    Args:
        handler: Answers the requests.
        sockets: Sockets that listen already.
        uses_fast_path: Whether common requests may bypass aiohttp.
        max_connections, idle_seconds: As in `Listener`.

    Attributes:
        fast_path: The protocol factory of connections, unless `uses_fast_path` is off.
    """

    def __init__(
        self,
        *,
        handler: Handler,
        sockets: Sequence[socket.socket],
        uses_fast_path: bool,
        max_connections: int,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._uses_fast_path = uses_fast_path
        self._listener = Listener(sockets=sockets, max_connections=max_connections, idle_seconds=idle_seconds)
        self._aiohttp: LazyImport[AiohttpServer] = LazyImport(
            "secrets_cache.server.aiohttp", lambda module: module.AiohttpServer(handler, self._listener)
        )
        self.fast_path = FastPath(handler=handler, listener=self._listener, load_aiohttp=self._aiohttp.get)

    async def __aenter__(self) -> Self:
        self._listener.start(self.fast_path if self._uses_fast_path else await self._aiohttp.get())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._listener.aclose()
        await self.fast_path.aclose()
        await self._aiohttp.aclose()
        if self._aiohttp.created is not None:
            await self._aiohttp.created.aclose()

    async def drain(self, seconds: float) -> None:
        """Stop accepting connections; return when all callers are answered and told to close, or after `seconds`."""
        # What is remembered says that the connection stays.
        self.fast_path.remembered.close()
        await self._listener.drain(seconds)
