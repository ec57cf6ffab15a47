"""Any bytes as what a caller sends: which request it is, and what it gets."""

import asyncio
import contextlib
import copy
import functools
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage

from secrets_cache.core.freshness import CachedValue
from secrets_cache.core.json_text import NoSuchKey, NotJson, select
from secrets_cache.core.results import CacheResult, CacheStatus, EntryReport
from secrets_cache.core.stats import Stats
from secrets_cache.errors import InvalidRequest, SecretNotConfigured
from secrets_cache.server import NativeHandler
from secrets_cache.server.access import FORWARDING_HEADERS, TOKEN_HEADER
from secrets_cache.server.fast_path_codec import parse_simple_request
from secrets_cache.server.message import Request, Response
from secrets_cache.server.metrics_page import MetricsPage
from secrets_cache.server.native_request import parse_native_request
from secrets_cache.server.target import split_target
from tests.fuzz.coroutines import finished
from tests.support.fakes import CANARY, FakeClock, secret

if TYPE_CHECKING:
    from secrets_cache.core.cache import Cache
    from secrets_cache.core.clock import Clock

TOKEN = "t-1234"
VALUES = {"db": f'{{"user": "anika", "password": "{CANARY}", "list": [1, {{"a": null}}]}}', "prod/api:key": CANARY}
STATUSES = {200, 304, 400, 401, 403, 404, 405}
# What names this machine, said another way than the code under test says it.
_LOCAL = re.compile(r"[ \t]*(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?[ \t]*", re.ASCII | re.IGNORECASE)
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")

Understand = Callable[[bytes], tuple[Request, bool] | None]
Respond = Callable[[Request, Sequence[str] | None], Response]


class _Cache:
    """Holds the values above, fresh, and is asked for nothing else."""

    generation = 0

    def __init__(self) -> None:
        self.counts = Stats()
        now = FakeClock().now()
        self._held = {name: CachedValue(secret(name, value), now, now.wall, 500.0) for name, value in VALUES.items()}

    async def get(self, name: str, **_: object) -> CacheResult:
        if name not in self._held:
            raise SecretNotConfigured(name)
        return CacheResult(self._held[name], CacheStatus.HIT, 500.0)

    def report(self) -> list[EntryReport]:
        return []

    def list_names(self) -> list[str]:
        return list(self._held)

    def find_known_name(self, name: str) -> str | None:
        return name if name in self._held else None


@functools.cache
def handler(tokens: tuple[str, ...] | None) -> NativeHandler:
    """Return a handler that serves the values above, without AWS and at a time that stands still."""
    cache, clock = cast("Cache", _Cache()), cast("Clock", FakeClock())
    page = MetricsPage(started_at=0.0, by_secret=False)
    return NativeHandler(cache=cache, tokens=tokens, list_problems=lambda: (), clock=clock, metrics=page)


def respond(asked: Request, tokens: Sequence[str] | None) -> Response:
    """Return the server's reply to a request, without the wire."""
    return finished(handler(None if tokens is None else tuple(tokens)).handle(asked))


T = TypeVar("T", Request, Response)


def replaced(value: T, **changes: object) -> T:
    """Return a copy of a request or a response with some of its attributes changed."""
    found = copy.copy(value)
    for name, attribute in changes.items():
        setattr(found, name, attribute)
    return found


def request(data: bytes, understand: Understand = parse_simple_request, respond: Respond = respond) -> None:
    """
    Any bytes are a request that the fast path and aiohttp understand alike, or none; and get a reply of the contract.

    aiohttp's parser raises nothing but its own error. What the fast path understands is the one request that aiohttp
    finds in the same bytes, and asks for the same. A reply has one of the statuses that need no AWS; the value of a
    secret is in none but a 200. Who was forwarded, or names another machine as Host or in the target, gets 403; who
    sends no token where there is one gets a 200 of `/ping` alone. A 200 under `/cache/` is what the standard library's
    own reading of the target asks for. `/metrics` is in one of its two forms, whatever Accept says.
    """
    found = messages(data)
    understanding = understand(data)
    if understanding is not None:
        ((message, asked),) = found
        assert (_as_lists(asked), message.should_close) == (_as_lists(understanding[0]), understanding[1])
        assert (False, False, None) == (message.upgrade, message.chunked, message.compression)
    for _, asked in found:
        for tokens in (None, (TOKEN,)):
            _check_reply(data, asked, tokens, respond(asked, tokens))
        _check_target(asked.target)


@functools.cache
def _protocol() -> BaseProtocol:
    return BaseProtocol(asyncio.new_event_loop())


def messages(data: bytes) -> list[tuple[RawRequestMessage, Request]]:
    """Return the requests that aiohttp finds, and what is made of each, as the library has it."""
    protocol = _protocol()
    parser = HttpRequestParser(protocol, protocol._loop, 2**16)  # noqa: SLF001 - as aiohttp's own connection does
    try:
        messages, _, _ = parser.feed_data(data)
    except HttpProcessingError:
        return []
    return [(message, _asked(message)) for message, _ in messages]


def _asked(message: RawRequestMessage) -> Request:
    headers = message.headers
    return Request(
        method=message.method,
        target=message.path,
        hosts=headers.getall("Host", []),
        forwarded=[name for name in FORWARDING_HEADERS if name in headers],
        tokens=headers.getall(TOKEN_HEADER, []),
        if_none_match=headers.getall("If-None-Match", []),
        accept=headers.getall("Accept", []),
    )


def _as_lists(asked: Request) -> list[object]:
    parts = [getattr(asked, name) for name in Request.__slots__]
    return [part if isinstance(part, str) else list(part) for part in parts]


def _check_reply(data: bytes, asked: Request, tokens: Sequence[str] | None, reply: Response) -> None:
    assert reply.status in STATUSES, reply.status
    assert all(text.isprintable() for field in reply.headers.items() for text in field)
    if reply.status != 200 and CANARY.encode() not in data:
        assert CANARY.encode() not in reply.body
    if not is_from_here(asked):
        assert reply.status == 403
        return
    assert (reply.status == 405) == (asked.method not in {"GET", "HEAD"})
    if reply.status == 405:
        return
    path = split_target(asked.target)[0]
    if tokens is not None and path != "/ping":
        assert (reply.status == 401) == ([TOKEN] != asked.tokens)
    if path == "/metrics" and reply.status != 401:
        assert (reply.status, reply.body[:7]) == (200, b"# HELP ")
        assert reply.body.endswith(b"# EOF\n") == reply.headers["Content-Type"].startswith("application/openmetrics")
    if reply.status in {200, 304} and path.startswith("/cache/"):
        name, parameters = _read(asked.target)
        assert name in VALUES
        expected = VALUES[name]
        if "key" in parameters:
            with contextlib.suppress(NoSuchKey, NotJson):
                expected = select(expected, parameters["key"])[0]
        assert reply.body == (expected.encode() if reply.status == 200 else b"")


def is_from_here(asked: Request) -> bool:
    """Return whether a request was not forwarded, and names this machine wherever it names one."""
    if asked.forwarded or len(asked.hosts) != 1 or not _LOCAL.fullmatch(asked.hosts[0]):
        return False
    if not _ABSOLUTE.match(asked.target):
        return True
    try:
        return _LOCAL.fullmatch(urlsplit(asked.target).netloc) is not None
    except ValueError:
        return False


def _read(target: str) -> tuple[str, dict[str, str]]:
    """Return name and parameters as the standard library reads them."""
    path, _, query = target.partition("?")
    path = path if path.startswith("/") else "/" + path.partition("://")[2].partition("/")[2]
    pairs = parse_qsl(query, keep_blank_values=True, errors="strict")
    return unquote(path.removeprefix("/cache/"), errors="strict"), dict(pairs)


def _check_target(target: str) -> None:
    path, query = split_target(target)
    try:
        read: Any = parse_native_request(path, query)
    except InvalidRequest as error:
        assert error.reason
        assert "%" in target or query
        return
    if not path.startswith("/cache/") or "\udc80" <= max(target) <= "\udcff":
        return
    name, parameters = _read(target)
    assert (name, parameters.get("key")) == (read.name, read.key)
    assert [parameters.get("version_id"), parameters.get("version_stage")] == [read.version_id, read.version_stage]
    assert read.refresh == (parameters.get("refresh", "").lower() in {"true", "1"})
