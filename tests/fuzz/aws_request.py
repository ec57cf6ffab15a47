"""Any bytes as what a caller of AWS's protocol sends: what is asked for, and what the caller gets."""

import asyncio
import functools
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote

from secrets_cache.config import AwsLayer
from secrets_cache.core.freshness import CachedValue
from secrets_cache.core.results import CacheResult, CacheStatus
from secrets_cache.core.secret import Ref
from secrets_cache.core.stats import Stats
from secrets_cache.errors import SecretRefused
from secrets_cache.server.aws_layer_handler import AwsLayerHandler
from secrets_cache.server.message import Request, Response
from tests.fuzz.request import TOKEN, VALUES, is_from_here, messages, replaced
from tests.support.fakes import CANARY, FakeClock, secret

if TYPE_CHECKING:
    from secrets_cache.core.cache import Cache
    from secrets_cache.core.clock import Clock

STATUSES = {200, 400, 403, 404, 405}
MAX_NAME = 2048

# What a request was answered, and what the cache was asked for meanwhile: what, and whether for a new fetch.
Asked = tuple[Ref, bool]
Respond = Callable[[Request, Sequence[str]], tuple[Response, list[Asked]]]


class _Cache:
    """Holds the values of `request`, fresh; AWS refuses everything else."""

    generation = 0

    def __init__(self) -> None:
        self.counts = Stats()
        self.asked: list[Asked] = []
        now = FakeClock().now()
        self._held = {name: CachedValue(secret(name, value), now, now.wall, 500.0) for name, value in VALUES.items()}

    async def get_any(self, ref: Ref, *, refresh: bool, **_: object) -> CacheResult:
        self.asked.append((ref, refresh))
        if ref.secret_id not in self._held or ref.is_parameter:
            raise SecretRefused(ref.secret_id, code="AccessDeniedException", aws_message="not authorized")
        return CacheResult(self._held[ref.secret_id], CacheStatus.HIT, 0.0 if refresh else 500.0)

    def is_listed(self, ref: Ref) -> bool:
        return ref.secret_id == "db"


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def aws_handler(tokens: Sequence[str]) -> AwsLayerHandler:
    """Return a handler of AWS's protocol that serves the values of `request`, at a time that stands still."""
    cache, clock = cast("Cache", _Cache()), cast("Clock", FakeClock())
    return AwsLayerHandler(cache=cache, tokens=tokens, layer=AwsLayer(), region="eu-west-1", clock=clock)


def respond(asked: Request, tokens: Sequence[str]) -> tuple[Response, list[Asked]]:
    """Return the server's reply to a request, without the wire, and what the cache was asked for."""
    handler = aws_handler(tokens)
    reply = _loop().run_until_complete(handler.handle(asked))
    return reply, cast("_Cache", handler.cache).asked


def aws_request(data: bytes, respond: Respond = respond) -> None:
    """
    Any bytes are a request that gets a reply of AWS's protocol, and the cache is asked for what it says, or nothing.

    A reply has one of the statuses that need no AWS. Who was forwarded, names another machine or sends no token gets no
    value, and the cache is not asked: IAM alone decides what may be asked for there. What it is asked for is what the
    standard library's own reading of the target says. The value of a secret is in none but a 200, and is the right one.
    """
    for message, plain in messages(data):
        headers = message.headers
        tokens = [token for name in AwsLayerHandler.token_headers for token in headers.getall(name, [])]
        asked = replaced(plain, tokens=tokens)
        for accepted in ((), (TOKEN,)):
            reply, calls = respond(asked, accepted)
            _check_reply(data, reply)
            path = _path_of(asked.target)
            if not is_from_here(asked) or not set(accepted) & set(tokens):
                assert not calls
                assert reply.status != 200 or (path == "/ping" and reply.body == b"healthy")
            assert len(calls) <= 1
            for ref, refresh in calls:
                assert asked.method == "GET"
                _check_call(asked.target, ref, refresh=refresh)
            if reply.status == 200 and path != "/ping":
                ((ref, _),) = calls
                assert json.loads(reply.body)["SecretString"] == VALUES[ref.secret_id]


def _check_reply(data: bytes, reply: Response) -> None:
    assert reply.status in STATUSES, reply.status
    assert all(text.isprintable() for field in reply.headers.items() for text in field)
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.status == 200 or CANARY.encode() not in reply.body or CANARY.encode() in data


def _path_of(target: str) -> str:
    path = target.partition("?")[0]
    return path if path.startswith("/") else "/" + path.partition("://")[2].partition("/")[2]


def _check_call(target: str, ref: Ref, *, refresh: bool) -> None:
    """Look whether the cache is asked for what the target says, and for no more than that. AWS judges the name."""
    assert 0 < len(ref.secret_id) <= MAX_NAME
    assert not any(ord(character) < ord(" ") or character == "\x7f" for character in ref.secret_id)
    pairs = [pair.partition("=") for pair in target.partition("?")[2].split("&")]
    parameters = {unquote(name): unquote(value) for name, _, value in pairs}
    assert refresh == (parameters.get("refreshNow", "").lower() in {"true", "1"})
    path = _path_of(target)
    if ref.is_parameter:
        # A version or a label may be part of the name.
        assert parameters["name"].startswith(ref.secret_id)
        return
    in_path = unquote(path.partition("/v1/")[2]) if "/v1/" in path else None
    assert ref.secret_id == (parameters.get("secretId") if in_path is None else in_path)
    assert (ref.version_id or "") == parameters.get("versionId", "")
    assert (ref.version_stage or "AWSCURRENT") == (parameters.get("versionStage") or "AWSCURRENT")
    assert ref.context.role_arn == parameters.get("roleArn", "")
