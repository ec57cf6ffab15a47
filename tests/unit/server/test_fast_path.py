"""The answer lane: nobody could tell it from the engine, and what it remembers it forgets in time."""

import asyncio
import contextlib
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secrets_cache.errors import SecretUnavailable
from secrets_cache.server import fast_path
from secrets_cache.server.fast_path import understood
from tests.conftest import EXAMPLES, PATIENCE_SECONDS
from tests.support.fakes import FakeClock
from tests.unit.server.test_server import Setup

PLAIN = b"GET /cache/text HTTP/1.1\r\nHost: localhost:8080\r\n\r\n"
# Its reply tells that the connection was still of use; after it the connection ends, and so does waiting.
LAST = b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
# Enough for a reply that never comes, because the last request was taken for a part of the one before.
QUIET_SECONDS = 1.0


pytestmark = pytest.mark.usefixtures("remembering")


# Which requests it understands.


@pytest.mark.parametrize(
    "request_bytes",
    [
        PLAIN,
        b"GET /ping HTTP/1.1\r\nhost: 127.0.0.1\r\nUser-Agent: curl/8.0\r\nAccept: */*\r\n\r\n",
        b"GET /cache/a%2Fb?key=x HTTP/1.1\r\nHost: [::1]:1\r\nConnection: Keep-Alive\r\nAccept-Encoding: gzip\r\n\r\n",
        b"GET /x HTTP/1.1\r\nAccept-Encoding: identity\r\nHost: h\r\nUser-Agent: x\r\nConnection: close\r\n\r\n",
        b"GET /x HTTP/1.1\r\nhost: h\r\nsec-fetch-mode: cors\r\ntraceparent: 00-1\r\nx-datadog-trace-id: 1\r\n\r\n",
        b"GET /cache/x HTTP/1.1\r\nHost: h\r\nX-Aws-Parameters-Secrets-Token: t\r\nAccept-Language: *\r\n\r\n",
    ],
)
def test_what_common_clients_send_is_understood(request_bytes):
    """curl, Python, Node.js, Go and Java, with a token and without."""
    assert understood(request_bytes) is not None


@pytest.mark.parametrize(
    "request_bytes",
    [
        PLAIN[:-1],
        PLAIN + b"x",
        PLAIN * 2,
        PLAIN.replace(b"GET", b"HEAD"),
        PLAIN.replace(b"Host: localhost:8080", b"User-Agent: x"),
        PLAIN.replace(b"GET", b"get"),
        PLAIN.replace(b"1.1", b"1.0"),
        PLAIN.replace(b"/cache", b"http://localhost/cache"),
        PLAIN.replace(b"/cache", b"//cache"),
        PLAIN.replace(b"/text", b"/te#xt"),
        PLAIN.replace(b"/text", b"/t\xc3\xa9xt"),
        PLAIN.replace(b"\r\n", b"\n"),
        PLAIN.replace(b"Host: ", b"Host:"),
        PLAIN.replace(b"Host: ", b"Host : "),
        PLAIN.replace(b"Host: ", b"Host: \t"),
        PLAIN.replace(b"\r\nHost", b"\r\n Host"),
        PLAIN.replace(b"Host", b"Content-Length: 0\r\nHost"),
        PLAIN.replace(b"Host", b"Transfer-Encoding: chunked\r\nHost"),
        PLAIN.replace(b"Host", b"If-None-Match: *\r\nHost"),
        PLAIN.replace(b"Host", b"Expect: 100-continue\r\nHost"),
        PLAIN.replace(b"Host", b"Via: x\r\nHost"),
        PLAIN.replace(b"Host", b"host: localhost\r\nHost"),
        PLAIN.replace(b"Host", b"Connection: close, x\r\nHost"),
        PLAIN.replace(b"Host", b"Upgrade: websocket\r\nHost"),
        PLAIN.replace(b"localhost", b"localhost" + b"x" * fast_path.MAX_REQUEST),
    ],
    ids=repr,
)
def test_everything_else_is_the_engines(request_bytes):
    """What could change the reply, or the connection after it, or is written in any other way."""
    assert understood(request_bytes) is None


# The same on the wire.


class Exchange:
    """What came back on one connection, and whether that is still open."""

    def __init__(self, received: bytes, *, is_open: bool) -> None:
        self.is_open = is_open
        self.replies = []
        while received:
            head, _, rest = received.partition(b"\r\n\r\n")
            status, *lines = head.split(b"\r\n")
            headers = sorted(line.split(b": ", 1) for line in lines)
            length = next((int(value) for name, value in headers if name == b"Content-Length"), 0)
            self.replies.append((status, headers, rest[:length]))
            received = rest[length:]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Exchange) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


async def exchange(setup: Setup, pieces: list[bytes]) -> Exchange | None:
    """
    Send the pieces one by one, then a last request; return what came back.

    None if the server had closed before it had read everything: its last reply may then be lost on the way, or not.
    """
    witness = await setup.connect()
    reader, writer = await asyncio.open_connection("127.0.0.1", setup.port)
    received = bytearray()

    async def receive() -> None:
        while data := await reader.read(65536):
            received.extend(data)

    receiving = asyncio.create_task(receive())
    try:
        for piece in [*pieces, LAST]:
            if not receiving.done():
                writer.write(piece)
                # So that each arrives by itself: who is answered after it, by the engine, shows that it was read.
                assert await witness.answer()
        async with asyncio.timeout(QUIET_SECONDS):
            await receiving
        return Exchange(bytes(received), is_open=False)
    except TimeoutError:
        return Exchange(bytes(received), is_open=True)
    except ConnectionError:
        return None
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def on_both(
    requests: list[list[bytes]], kind: type[Setup] = Setup, **changes: object
) -> list[list[Exchange | None]]:
    """Return what the same requests get through the lane, and through the engine alone."""
    outcomes = []
    for has_lane in (True, False):
        setup = kind(FakeClock())
        for name, value in changes.items():
            setattr(setup, name, value)
        setup.has_lane = has_lane
        async with setup.running():
            await setup.cache.prefetch()
            outcomes.append([await exchange(setup, pieces) for pieces in requests])
    return outcomes


TARGETS = st.one_of(
    st.sampled_from(
        [
            "/cache/text",
            "/cache/json",
            "/cache/binary",
            "/cache/json?key=password",
            "/cache/json?key=nobody",
            "/cache/json?key=%2Fa",
            "/cache/text?refresh=true",
            "/cache/text?version_stage=AWSPREVIOUS",
            "/cache/text?x=1",
            "/cache/nobody",
            "/cache/%74ext",
            "/cache/te%zzxt",
            "/cache/%ff",
            "/cache/../text",
            "/cache//text",
            "/health",
            "/ping",
            "/ping?x",
            "/",
            "*",
            "//cache/text",
            "http://localhost/cache/text",
            "http://example.org/cache/text",
            "/cache/text#x",
        ]
    ),
    st.text("/cachetxjson.%2F:?=&#+~", max_size=20).map(lambda text: "/" + text),
)
HEADERS = st.lists(
    st.sampled_from(
        [
            "Host: localhost",
            "host: 127.0.0.1:8080",
            "Host: example.org",
            "Host:localhost",
            "Host : localhost",
            "Host: ",
            "User-Agent: x",
            "Accept: */*",
            "accept-encoding: gzip, br",
            "Connection: keep-alive",
            "Connection: Keep-Alive",
            "Connection: close",
            "connection: Close",
            "traceparent: 00-1",
            "Content-Length: 0",
            "Content-Length: 3",
            "Transfer-Encoding: chunked",
            "If-None-Match: *",
            "X-Forwarded-For: 1.2.3.4",
            "Via: x",
            "X-Aws-Parameters-Secrets-Token: t",
            "X-Aws-Parameters-Secrets-Token: wrong",
            " folded: x",
            "no colon",
            "X-Other: \t blanks \t",
        ]
    ),
    max_size=4,
)


@st.composite
def requests(draw: st.DrawFn, targets: st.SearchStrategy[str]) -> bytes:
    """Return one request: valid, nearly valid, or odd."""
    method = draw(st.sampled_from(["GET"] * 6 + ["HEAD", "POST", "get", "BREW"]))
    version = draw(st.sampled_from(["HTTP/1.1"] * 6 + ["HTTP/1.0", "HTTP/1.2", "http/1.1"]))
    host = draw(st.sampled_from([["Host: localhost"]] * 4 + [[]]))
    lines = [f"{method} {draw(targets)} {version}", *host, *draw(HEADERS)]
    return "".join(line + draw(st.sampled_from(["\r\n"] * 20 + ["\n"])) for line in lines).encode() + b"\r\n"


@st.composite
def conversations(draw: st.DrawFn, targets: st.SearchStrategy[str] = TARGETS) -> list[bytes]:
    """Return requests as they may arrive: one after the other, together, or in pieces."""
    whole = draw(st.lists(requests(targets), min_size=1, max_size=3))
    how = draw(st.sampled_from(["one by one", "together", "split"]))
    if how == "one by one":
        return whole
    joined = b"".join(whole)
    if how == "together":
        return [joined]
    at = draw(st.integers(1, len(joined) - 1))
    return [joined[:at], joined[at:]]


@settings(max_examples=25 * EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(talks=st.lists(conversations(), min_size=1, max_size=3), tokens=st.sampled_from([None, ("t",)]))
def test_any_conversation_goes_as_with_the_engine(talks, tokens):
    """The same statuses, headers and bodies, and the connection is afterwards open, or not, as there."""
    through_lane, through_engine = asyncio.run(on_both(talks, tokens=tokens))

    for ours, theirs, pieces in zip(through_lane, through_engine, talks, strict=True):
        if ours is not None and theirs is not None:
            assert vars(theirs) == vars(ours), pieces


async def test_a_request_that_is_split_anywhere_goes_as_with_the_engine():
    """At every byte."""
    whole = PLAIN.replace(b"text", b"json?key=password")
    talks = [[whole[:at], whole[at:]] for at in range(1, len(whole), 4)]

    through_lane, through_engine = await on_both(talks)

    assert None not in through_lane
    assert through_engine == through_lane
    assert {b"HTTP/1.1 200 OK"} == {one.replies[0][0] for one in through_lane if one is not None}


# What it remembers.


@pytest.fixture(name="served")
async def _served(clock):
    setup = Setup(clock)
    async with setup.running():
        await setup.cache.prefetch()
        yield setup


async def ask(setup: Setup, request: bytes = PLAIN) -> tuple[bytes, bytes, bytes]:
    """Return status line, Cache-Status and ETag of the reply to a request."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", setup.port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
    headers = dict(re.findall(rb"(Cache-Status|ETag): ([^\r]*)", head))
    return head.split(b"\r\n")[0], headers.get(b"Cache-Status", b""), headers.get(b"ETag", b"")


async def test_a_remembered_reply_counts_as_a_hit(served):
    """The counts do not know of the fast_path."""
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


async def test_only_so_much_is_remembered(served):
    """A caller that never asks the same twice costs no more memory."""
    remembered = served.server.lane.remembered
    for number in range(fast_path.MAX_REMEMBERED + 10):
        await ask(served, PLAIN.replace(b"\r\n\r\n", f"\r\nUser-Agent: {number}\r\n\r\n".encode()))
        assert len(remembered) <= fast_path.MAX_REMEMBERED


async def test_what_is_fetched_on_demand_is_not_remembered(clock):
    """The order in which it was used decides what goes first."""
    setup = Setup(clock)
    setup.source.values["allowed"] = 1
    async with setup.running():
        for _ in range(3):
            await ask(setup, PLAIN.replace(b"text", b"allowed"))
        assert {} == setup.server.lane.remembered


async def test_a_caller_that_does_not_read_is_not_read_from(served):
    """Its answers do not pile up in memory."""

    class Transport(asyncio.Transport):
        """A transport whose buffer is full when it says so."""

        reads = True

        def pause_reading(self) -> None:
            self.reads = False

        def resume_reading(self) -> None:
            self.reads = True

        def is_closing(self) -> bool:
            return False

    transport, connection = Transport(), served.server.lane()
    connection.connection_made(transport)

    connection.pause_writing()
    assert not transport.reads
    connection.resume_writing()
    assert transport.reads


def test_the_lane_says_what_it_asks_for():
    """A target, hosts and tokens, as they were sent."""
    understanding = understood(PLAIN.replace(b"\r\n\r\n", b"\r\nx-aws-parameters-secrets-token: a b\r\n\r\n"))

    assert understanding is not None
    asked, is_last = understanding
    assert not is_last
    assert ("GET", "/cache/text", ["localhost:8080"], ["a b"]) == (
        asked.method,
        asked.target,
        asked.hosts,
        asked.tokens,
    )
