"""The server put together: the door, behind it the answer lane, behind that the engine."""

import asyncio
import importlib
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from secrets_cache.core.single_flight import SingleFlight
from secrets_cache.server.fast_path import AnswerLane
from secrets_cache.server.handler import Handler
from secrets_cache.server.listener import IDLE_SECONDS, Door
from secrets_cache.system.limits import max_connections

if TYPE_CHECKING:
    from secrets_cache.server.aiohttp import Engine


class Server:
    """
    Answers on listening sockets. An async context manager: entered, it serves; left, it stops at once.

    Args:
        replies: What requests get.
        sockets: Sockets that listen already.
        has_lane: Whether the common request may pass the engine by.
        room: How many connections may be open at once; None for as many as the process's limits allow.
        idle_seconds: As `Door` has it.

    Attributes:
        lane: What answers the common request.
    """

    def __init__(
        self,
        *,
        replies: Handler,
        sockets: Sequence[socket.socket],
        has_lane: bool,
        room: int | None = None,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._replies = replies
        self._has_lane = has_lane
        self._engine: Engine | None = None
        self._importing: SingleFlight[str, Engine] = SingleFlight()
        self._door = Door(sockets=sockets, room=room or max_connections(), idle_seconds=idle_seconds)
        self.lane = AnswerLane(replies=replies, door=self._door, engine=self._find_engine)

    async def __aenter__(self) -> Self:
        self._door.open(self.lane if self._has_lane else await self._find_engine())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._door.close()
        await self.lane.aclose()
        await self._importing.aclose()
        if self._engine is not None:
            await self._engine.aclose()

    async def drain(self, seconds: float) -> None:
        """Let nobody in any more; return when everybody who has asked is answered, or after so many seconds."""
        await self._door.drain(seconds)

    async def _find_engine(self) -> "Engine":
        """Return the engine, imported when first needed: that takes longer than the rest of a cold start."""
        return self._engine or await self._importing.join("engine", self._import)

    async def _import(self) -> "Engine":
        # In a thread: meanwhile others are answered.
        module = await asyncio.to_thread(importlib.import_module, "secrets_cache.server.aiohttp")
        self._engine = module.Engine(self._replies, self._door)
        return self._engine
