"""The whole graph with both listeners, and a caller that sends exactly what it is told to."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from secrets_cache.app import Application, run_application
from secrets_cache.config import parse
from secrets_cache.core.clock import Clock
from secrets_cache.system.sockets import bind, open_sockets
from tests.conftest import PATIENCE_SECONDS
from tests.support.aws_layer_table import GOOD


@dataclass(frozen=True)
class Received:
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return what the body means."""
        assert self.headers["content-type"] in {"application/json", "text/plain; charset=utf-8"}
        return json.loads(self.body)

    @property
    def served(self) -> str:
        """How it came about."""
        return self.headers["cache-status"].removeprefix("secrets-cache; ")


def request(target: str, *, method: str = "GET", headers: Sequence[str] = GOOD) -> bytes:
    """Return the bytes of a request, the last one of its connection."""
    host = [] if any(line.startswith("Host:") for line in headers) else ["Host: localhost:2773"]
    return "\r\n".join([f"{method} {target} HTTP/1.1", *host, *headers, "Connection: close", "", ""]).encode()


async def send(port: int, *requests: bytes) -> list[Received]:
    """Send requests on one connection, each when the one before is answered; return the answers."""
    answers = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for data in requests:
                writer.write(data)
                status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                length = 0 if data.startswith(b"HEAD ") else int(headers["content-length"])
                answers.append(Received(int(status.split()[1]), headers, await reader.readexactly(length)))
        finally:
            writer.close()
            await writer.wait_closed()
    return answers


@dataclass(frozen=True)
class Listeners:
    """Both, running."""

    application: Application
    port: int
    other_port: int

    async def ask(self, target: str, *, method: str = "GET", headers: Sequence[str] = GOOD) -> Received:
        """Ask in the protocol of AWS's layer."""
        return (await send(self.port, request(target, method=method, headers=headers)))[0]

    async def ask_other(self, target: str) -> Received:
        """Ask in our own protocol."""
        return (await send(self.other_port, request(target, headers=())))[0]


@contextlib.asynccontextmanager
async def listeners(
    text: str = "",
    variables: Mapping[str, str] | None = None,
    *,
    clock: Clock | None = None,
    is_shared: bool = False,
) -> AsyncIterator[Listeners]:
    """Run the graph that a configuration and variables describe; with `is_shared`, only the first port listens."""
    environ = {**os.environ, "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": "2773", **(variables or {})}
    config = parse(text.encode(), file="config.yaml", environ=environ)
    sockets, aws_sockets = (open_sockets(bind(0)[0]) for _ in range(2))
    port, other_port = (both[0].getsockname()[1] for both in (aws_sockets, sockets))
    async with run_application(
        config, sockets=sockets, aws_sockets=() if is_shared else aws_sockets, environ=environ, clock=clock
    ) as application:
        yield Listeners(application, port, other_port)
    for unused in aws_sockets if is_shared else ():
        unused.close()
