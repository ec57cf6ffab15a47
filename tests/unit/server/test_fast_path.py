"""The fast path: no caller can tell it from aiohttp."""

import asyncio
import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import EXAMPLES
from tests.support.aws_layer_table import PARAMETER, ROLE, SECRET
from tests.support.fakes import FakeClock
from tests.support.http_server import LayerSetup, Setup, layer_request
from tests.support.upstream import arn_of

PLAIN = b"GET /cache/text HTTP/1.1\r\nHost: localhost:8080\r\n\r\n"
# Its response shows that the connection was still of use; after it the connection ends, and so does waiting.
LAST = b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
# Enough for a response that never comes, because the last request was taken for a part of the one before.
QUIET_SECONDS = 1.0

pytestmark = pytest.mark.usefixtures("remembering")


class Exchange:
    """What came back on one connection, and whether that is still open."""

    def __init__(self, received: bytes, *, is_open: bool) -> None:
        self.is_open = is_open
        self.responses = []
        while received:
            head, _, rest = received.partition(b"\r\n\r\n")
            status, *lines = head.split(b"\r\n")
            headers = sorted(line.split(b": ", 1) for line in lines)
            length = next((int(value) for name, value in headers if name == b"Content-Length"), 0)
            self.responses.append((status, headers, rest[:length]))
            received = rest[length:]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Exchange) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


async def exchange(setup: Setup, pieces: list[bytes]) -> Exchange | None:
    """
    Send the pieces one by one, then a last request; return what came back.

    None if the server had closed before it had read everything: its last response may then be lost on the way, or not.
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
                # So that each arrives by itself: a response to the witness shows that it was read.
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
    """Return what the same requests get with the fast path, and through aiohttp alone."""
    outcomes = []
    for uses_fast_path in (True, False):
        setup = kind(FakeClock())
        for name, value in changes.items():
            setattr(setup, name, value)
        setup.uses_fast_path = uses_fast_path
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


LAYER_TARGETS = st.one_of(
    st.sampled_from(
        [
            SECRET + "text",
            SECRET + "prod/db",
            SECRET + "prod%2Fdb",
            SECRET + "binary",
            SECRET + arn_of("json"),
            SECRET + arn_of("json").replace(":", "%3A"),
            SECRET + "nobody",
            SECRET + "text&versionStage=AWSPREVIOUS",
            SECRET + "text&versionId=" + "0" * 32,
            SECRET + "text&refreshNow=true",
            SECRET + "text&roleArn=" + ROLE,
            SECRET + "text&x=1",
            SECRET + "te%zzxt",
            SECRET + "%ff",
            SECRET,
            "/secretsmanager/get/?secretId=text",
            "/secretsmanager/get",
            PARAMETER + "text",
            PARAMETER + "text&withDecryption=true",
            PARAMETER + "%2Fa%2F",
            "/v1/text",
            "/v1/",
            "/ping",
            "/ping?x",
            "/cache/text",
            "*",
            "http://localhost" + SECRET + "text",
            "http://example.org" + SECRET + "text",
        ]
    ),
    st.text("secretsmanager/get?Id=text%2F:&v1.", max_size=30).map(lambda text: "/" + text),
    st.text("text%2F:&=+versonIdStage", max_size=20).map(lambda text: SECRET + text),
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
def conversations(draw: st.DrawFn, targets: st.SearchStrategy[str]) -> list[bytes]:
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


@pytest.mark.parametrize(
    ("kind", "targets"), [(Setup, TARGETS), (LayerSetup, LAYER_TARGETS)], ids=["our protocol", "AWS's protocol"]
)
@settings(max_examples=30 * EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), tokens=st.sampled_from([None, ("t",)]))
def test_any_conversation_goes_as_with_aiohttp(kind, targets, data, tokens):
    """The same statuses, headers and bodies, and the connection is afterwards open, or not, as there."""
    talks = data.draw(st.lists(conversations(targets), min_size=1, max_size=3))
    fast, slow = asyncio.run(on_both(talks, kind, tokens=tokens))

    for ours, theirs, pieces in zip(fast, slow, talks, strict=True):
        if ours is not None and theirs is not None:
            assert vars(theirs) == vars(ours), pieces


async def test_a_request_that_is_split_anywhere_goes_as_with_aiohttp():
    """Wherever the split is."""
    whole = PLAIN.replace(b"text", b"json?key=password")
    talks = [[whole[:at], whole[at:]] for at in range(1, len(whole), 4)]

    fast, slow = await on_both(talks)

    assert None not in fast
    assert slow == fast
    assert {b"HTTP/1.1 200 OK"} == {one.responses[0][0] for one in fast if one is not None}


async def test_requests_with_the_right_token_go_as_with_aiohttp():
    """Each of the targets with the right token, which generated requests seldom have."""
    targets = [SECRET + "text", SECRET + arn_of("binary"), SECRET + "prod%2Fdb", PARAMETER + "text", "/v1/json"]
    talks = [
        [layer_request(target), layer_request(target), layer_request(target, "X-Vault-Token: t"), layer_request(target)]
        for target in targets
    ]

    fast, slow = await on_both(talks, LayerSetup)

    assert None not in fast
    assert slow == fast
    statuses = [response[0].split()[1] for one in fast if one is not None for response in one.responses[:4]]
    assert [b"200", b"200", b"403", b"200"] * len(targets) == statuses


async def test_a_caller_that_does_not_read_is_not_read_from(clock):
    """Responses do not pile up in memory."""

    class Transport(asyncio.Transport):
        """A transport whose buffer is full when it says so."""

        reads = True

        def pause_reading(self) -> None:
            self.reads = False

        def resume_reading(self) -> None:
            self.reads = True

        def is_closing(self) -> bool:
            return False

    async with Setup(clock).running() as running:
        transport, connection = Transport(), running.server.fast_path()
        connection.connection_made(transport)

        connection.pause_writing()
        assert not transport.reads
        connection.resume_writing()
        assert transport.reads
