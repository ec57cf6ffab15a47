"""What the fast path remembers it forgets in time, and shows to nobody."""

import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from secrets_cache.config import AwsLayer
from secrets_cache.core.freshness import CachedValue
from secrets_cache.core.results import CacheResult, CacheStatus
from secrets_cache.core.stats import Stats
from secrets_cache.errors import SecretUnavailable
from secrets_cache.server.message import Response
from secrets_cache.server.remembered_responses import MAX_BYTES, MAX_RESPONSES, RememberedResponses
from tests.support.aws_layer_table import SECRET
from tests.support.fakes import CANARY, FakeClock, secret
from tests.support.http_server import LayerSetup, Setup, layer_request

if TYPE_CHECKING:
    from secrets_cache.core.cache import Cache

PLAIN = b"GET /cache/text HTTP/1.1\r\nHost: localhost:8080\r\n\r\n"

pytestmark = pytest.mark.usefixtures("remembering")


@pytest.fixture(name="responses")
def _responses(clock):
    cache = cast("Cache", SimpleNamespace(generation=0, counts=Stats()))
    return RememberedResponses(cache, clock)


@pytest.fixture(name="response")
def _response(clock):
    now = clock.now()
    held = CachedValue(secret(), now, now.wall, 60.0)
    return Response(200, {}, CANARY.encode(), CacheResult(held, CacheStatus.HIT, 60.0))


def test_neither_a_request_nor_a_response_is_shown(responses, response):
    """A request holds a token, a response a secret: not in a repr, not in formatted text, not in a comparison."""
    responses.remember(CANARY.encode(), response, CANARY.encode())

    assert CANARY.encode() == responses.recall(CANARY.encode())
    assert CANARY not in f"{responses} {responses!r} {[responses]}"
    assert RememberedResponses.__eq__ is object.__eq__


def test_only_so_much_is_remembered(responses, response):
    """A caller that never asks the same twice costs no more memory."""
    for number in range(MAX_RESPONSES + 10):
        responses.remember(b"%d" % number, response, b"")
        assert b"%d" % number in responses
        assert len(responses) <= MAX_RESPONSES


def test_the_bytes_of_what_is_remembered_are_bounded(responses, response):
    """Requests that differ in a tracing header alone: the oldest go, and what is larger than all is not kept."""
    value = b"x" * 65536
    for number in range(200):
        responses.remember(b"%d" % number, response, value)
        assert len(responses) * len(value) <= MAX_BYTES
    assert responses.recall(b"199") == value
    assert responses.recall(b"0") is None
    kept = len(responses)

    responses.remember(b"199", response, value)
    responses.remember(b"all", response, b"x" * MAX_BYTES)

    assert (kept, False) == (len(responses), b"all" in responses)


def test_once_closed_it_remembers_nothing(responses, response):
    """A response that says that the connection stays must not be sent while the server stops."""
    responses.remember(b"before", response, b"")
    responses.close()
    responses.remember(b"after", response, b"")

    assert 0 == len(responses)


@pytest.fixture(name="served")
async def _served(clock):
    setup = Setup(clock)
    async with setup.running():
        await setup.cache.prefetch()
        yield setup


async def ask(setup: Setup, request: bytes = PLAIN) -> tuple[bytes, bytes, bytes]:
    """Return status line, Cache-Status and ETag of the response to a request."""
    head = await (await setup.connect()).answer(request)
    headers = dict(re.findall(rb"(Cache-Status|ETag): ([^\r]*)", head))
    return head.split(b"\r\n")[0], headers.get(b"Cache-Status", b""), headers.get(b"ETag", b"")


async def test_a_remembered_response_counts_as_a_hit(served):
    """The counts are the same with and without the fast path."""
    for _ in range(3):
        assert b"secrets-cache; hit" == (await ask(served))[1]

    assert 3 == served.cache.counts.hits


async def test_what_is_remembered_ends_with_the_ttl(served):
    """On either clock, and when the wall clock goes back."""
    for pass_time in (served.clock.tick, served.clock.freeze):
        await ask(served)
        await ask(served)
        pass_time(served.ttl)
        assert b"secrets-cache; fwd=stale" == (await ask(served))[1]
    await ask(served)
    await ask(served)
    served.clock.step_wall(-1)
    assert b"secrets-cache; fwd=stale" == (await ask(served))[1]


async def test_a_new_version_is_served_from_the_moment_it_is_there(served):
    """A forced refresh by one caller ends what the others would be told."""
    first = await ask(served)
    assert first == await ask(served)
    served.source.values["text"] = 2

    await ask(served, PLAIN.replace(b"text", b"text?refresh=true"))

    assert first[2] != (await ask(served))[2]


async def test_a_refresh_that_fails_does_not_prolong_what_is_remembered(served):
    """Past its ttl the value is served as stale, or not at all."""
    await ask(served)
    await ask(served)
    served.clock.tick(served.ttl + 60)
    served.source.error[""] = SecretUnavailable("text", code="x", cause="it rains")

    assert (b"HTTP/1.1 503 Service Unavailable", b"") == (await ask(served))[:2]


async def test_what_is_fetched_on_demand_is_not_remembered(clock):
    """The order in which it was used decides what goes first."""
    setup = Setup(clock)
    setup.source.values["allowed"] = 1
    async with setup.running():
        for _ in range(3):
            await ask(setup, PLAIN.replace(b"text", b"allowed"))
        assert 0 == len(setup.server.fast_path.remembered)


# In the protocol of AWS's layer.


@pytest.fixture(name="layer")
async def _layer(clock):
    setup = LayerSetup(clock)
    async with setup.running():
        await setup.cache.prefetch()
        yield setup


async def heads(*, uses_fast_path: bool) -> list[bytes]:
    """Return the heads of the answers to one request, again and again while time goes by."""
    setup = LayerSetup(FakeClock())
    setup.uses_fast_path = uses_fast_path
    async with setup.running():
        await setup.cache.prefetch()
        caller = await setup.connect()
        found = []
        for seconds in (0, 0, 10, 100):
            setup.clock.tick(seconds)
            found.append(await caller.answer(layer_request(SECRET + "text")))
            await caller.skip_body(found[-1])
        return found


async def test_what_is_remembered_is_what_would_be_answered_anew():
    """To each header: the time of a fetch does not depend on who remembers it."""
    fast, slow = await heads(uses_fast_path=True), await heads(uses_fast_path=False)

    assert [sorted(head.split(b"\r\n")) for head in slow] == [sorted(head.split(b"\r\n")) for head in fast]
    assert 1 == len({line for head in fast for line in re.findall(rb"Date: .*", head)})


async def test_a_hit_of_what_is_listed_is_remembered(layer):
    """And counts as a hit, as any other; the next fetch ends it."""
    request = layer_request(SECRET + "text")
    for _ in range(3):
        assert (b"HTTP/1.1 200 OK", b"secrets-cache; hit") == (await ask(layer, request))[:2]
    assert 3 == layer.cache.counts.hits
    assert request in layer.server.fast_path.remembered

    layer.source.values["text"] = 2
    await ask(layer, layer_request(SECRET + "text&refreshNow=true"))
    assert b'"VersionId":"version-2"' in await layer.raw(layer_request(SECRET + "text", "Connection: close"))


async def test_a_remembered_hit_ends_with_the_layers_ttl(clock):
    """Though the secret's own is longer."""
    setup = LayerSetup(clock)
    setup.layer = AwsLayer(secret_ttl=60.0)
    async with setup.running():
        await setup.cache.prefetch()
        for _ in range(2):
            await ask(setup, layer_request(SECRET + "text"))
        clock.tick(60)
        assert b"secrets-cache; fwd=stale" == (await ask(setup, layer_request(SECRET + "text")))[1]


async def test_with_a_ttl_of_0_nothing_is_remembered(clock):
    """Nor where the cache is off, in either way."""
    for layer in (AwsLayer(secret_ttl=0.0), AwsLayer(is_cached=False), AwsLayer(cache_size=0)):
        setup = LayerSetup(clock)
        setup.layer = layer
        async with setup.running():
            for _ in range(2):
                await ask(setup, layer_request(SECRET + "text"))
            assert 0 == len(setup.server.fast_path.remembered)


async def test_another_token_is_another_request(layer):
    """What was remembered for one that is right is not given for one that is wrong."""
    for _ in range(2):
        await ask(layer, layer_request(SECRET + "text"))

    assert (
        b"HTTP/1.1 403 Forbidden" == (await ask(layer, layer_request(SECRET + "text").replace(b": t\r", b": u\r")))[0]
    )
