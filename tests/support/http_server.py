"""The server over real sockets, on a cache whose source is a table; and callers that send exact bytes."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Literal, Self

import aiohttp
from yarl import URL

from secrets_cache.config import AwsLayer, Config
from secrets_cache.core.cache import Cache
from secrets_cache.core.freshness import FreshnessPolicy
from secrets_cache.core.registry import ListedEntry
from secrets_cache.core.secret import Ref, Secret
from secrets_cache.server import NativeHandler, Server
from secrets_cache.server.aws_layer_handler import AwsLayerHandler
from secrets_cache.server.handler import Handler
from secrets_cache.system.sockets import bind, open_sockets
from tests.conftest import PATIENCE_SECONDS
from tests.support.fakes import CANARY, FakeClock, FakeSource
from tests.support.upstream import REGION

if TYPE_CHECKING:
    from secrets_cache.server.metrics_page import MetricsPage

JSON_SECRET = f'{{"user": "anika", "password": "{CANARY}", "port": 5432, "tls": true, "nested": {{"a": [1, 2.50]}}}}'
VALUES: dict[str, str | bytes] = {
    "json": JSON_SECRET,
    "list": f'["{CANARY}"]',
    "text": f"{CANARY} é\n",
    "number": "0123",
    "binary": CANARY.encode() + bytes(range(256)),
    "empty": "",
    "prod/db": f"{CANARY} of prod/db",
    "crlf": f"{CANARY}\r\nX-Injected: 1\r\n\r\n",
}
PING = b"HEAD /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"


def encoded(name: str) -> bytes:
    """Return the bytes of one of the values above."""
    value = VALUES[name]
    return value.encode() if isinstance(value, str) else value


class Gate(asyncio.Event):
    """An event that fetches wait for; `reached` is set once one has come to it."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()
        self.set()

    async def wait(self) -> Literal[True]:
        self.reached.set()
        return await super().wait()


class ValueSource(FakeSource):
    """A source of the values above; other ids as in `FakeSource`."""

    def __init__(self) -> None:
        super().__init__()
        self.gate: Gate = Gate()

    async def wait_until_asked(self) -> None:
        """Return when a fetch has been sent."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.gate.reached.wait()

    def _find(self, ref: Ref) -> Secret:
        found = super()._find(ref)
        value = VALUES.get(found.name)
        if value is None:
            return found
        return Secret(
            arn=found.arn,
            name=found.name,
            version_id=found.version_id,
            created_at=found.created_at,
            value=value.encode() if isinstance(value, str) else value,
            is_text=isinstance(value, str),
        )


class Caller:
    """A connection of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        """Send part of a request."""
        self._writer.write(data)

    async def answer(self, request: bytes = PING) -> bytes:
        """Send a request, if there is one; return the head of the answer, or nothing if the connection ends."""
        self._writer.write(request)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._reader.readuntil(b"\r\n\r\n")
        return b""

    async def skip_body(self, head: bytes) -> None:
        """Read the body that goes with a head."""
        length = re.search(rb"Content-Length: (\d+)", head)
        assert length is not None
        await self._reader.readexactly(int(length[1]))

    async def rest(self) -> bytes:
        """Return all that comes until the server closes."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._reader.read()

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


class Setup:
    """A server with its cache, its source and a client. Change its attributes before it runs."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.source = ValueSource()
        self.source.values.update(dict.fromkeys(VALUES, 1))
        self.tokens: tuple[str, ...] | None = None
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.names = list(VALUES)
        self.ttl = 600.0
        self.max_connections = 1000
        self.idle_seconds = 60.0
        self.cache_type: type[Cache] = Cache
        self.metrics: MetricsPage | None = None
        self.aws_port = 0
        self.uses_fast_path = True
        self.url = ""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Run the server while the context lasts."""
        self.open_cache()
        descriptors, errors = bind(0)
        self.sockets = open_sockets(descriptors)
        assert [] == errors
        self.port = self.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        server = Server(
            handler=self.handler(),
            sockets=self.sockets,
            uses_fast_path=self.uses_fast_path,
            max_connections=self.max_connections,
            idle_seconds=self.idle_seconds,
        )
        self.callers: list[Caller] = []
        self.server = server
        async with server, aiohttp.ClientSession() as self.client:
            yield self
        for caller in self.callers:
            await caller.close()
        await self.cache.aclose()

    def open_cache(self) -> None:
        """Make the cache, as the attributes say."""
        policy = FreshnessPolicy(
            ttl_seconds=self.ttl, refresh_ahead=0, stale_while_revalidate_seconds=0, stale_if_error_seconds=60
        )
        self.cache = self.cache_type(
            listed=[ListedEntry(ref=Ref(name), names=(name,), policy=policy) for name in self.names],
            allow=("allowed*",),
            policy=policy,
            source=self.source,
            clock=self.clock,
            random=lambda: 0.5,
        )

    def handler(self) -> Handler:
        """Return the handler of requests."""
        return NativeHandler(
            cache=self.cache,
            tokens=self.tokens,
            list_problems=lambda: self.problems,
            list_warnings=lambda: self.warnings,
            clock=self.clock,
            metrics=self.metrics,
            config=lambda: Config(aws_port=self.aws_port),
        )

    async def connect(self) -> Caller:
        """Return a new connection; it is closed at the end."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            caller = Caller(*await asyncio.open_connection("127.0.0.1", self.port))
        self.callers.append(caller)
        return caller

    async def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, Any, bytes]:
        """Return status, headers and body; the path goes out as it is given."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        url = URL(self.url + path, encoded=True)
        async with self.client.request(method, url, headers=names) as response:
            return response.status, response.headers, await response.read()

    async def problem(self, path: str, method: str = "GET", **headers: str) -> dict[str, object]:
        """Return the problem details of an error answer, with its headers beside it."""
        status, received, body = await self.get(path, method, **headers)
        assert "application/problem+json" == received["Content-Type"]
        assert "no-store" == received["Cache-Control"]
        details: dict[str, object] = json.loads(body)
        assert status == details["status"]
        assert {"type", "title", "status", "detail", "code"} <= set(details)
        assert CANARY not in body.decode()
        self.headers = received
        return details

    async def raw(self, data: bytes) -> bytes:
        """Send bytes; return what comes back until the server closes."""
        caller = await self.connect()
        caller.send(data)
        return await caller.rest()


class LayerSetup(Setup):
    """The same server with the handler of AWS's protocol; the token is `t`."""

    layer = AwsLayer()

    def handler(self) -> Handler:
        return AwsLayerHandler(
            cache=self.cache, tokens=self.tokens or ("t",), layer=self.layer, region=REGION, clock=self.clock
        )


def layer_request(target: str, *headers: str) -> bytes:
    """Return the bytes of a request in AWS's protocol, with the right token."""
    lines = [f"GET {target} HTTP/1.1", "Host: localhost:2773", "X-Aws-Parameters-Secrets-Token: t", *headers, "", ""]
    return "\r\n".join(lines).encode()
