"""The fast path: no caller can tell it from aiohttp."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import EXAMPLES
from tests.fuzz.conversation import WAIT, converse, loop, parse_responses
from tests.support.aws_layer_table import PARAMETER, ROLE, SECRET
from tests.support.fakes import FakeClock
from tests.support.http_server import LayerSetup, Setup, layer_request
from tests.support.upstream import arn_of

PLAIN = b"GET /cache/text HTTP/1.1\r\nHost: localhost:8080\r\n\r\n"
# Its response shows that the connection was still of use.
LAST = b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

pytestmark = pytest.mark.usefixtures("remembering")

# What came back on one connection, and whether the server has then closed it.
Outcome = tuple[list[tuple[int, list[bytes], bytes]], bool]


def talk_to_both(
    talks: list[list[bytes]], kind: type[Setup] = Setup, tokens: tuple[str, ...] | None = None
) -> list[list[Outcome]]:
    """
    Return what the same pieces get with the fast path, and through aiohttp alone.

    Each piece arrives by itself, and then a last request.
    """

    async def talk(*, is_fast: bool) -> list[Outcome]:
        setup = kind(FakeClock())
        setup.tokens = tokens
        setup.open_cache()
        await setup.cache.prefetch()
        whole = [WAIT.join([*pieces, LAST]) for pieces in talks]
        received = await converse(setup.handler(), whole, is_fast=is_fast)
        await setup.cache.aclose()
        return [(parse_responses(data), is_over) for data, is_over in received]

    return [loop().run_until_complete(talk(is_fast=is_fast)) for is_fast in (True, False)]


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


# Those that the fast path understands, and those that it leaves to aiohttp.
SIMPLE = [
    "User-Agent: x",
    "Accept: */*",
    "accept-encoding: gzip, br",
    "Connection: keep-alive",
    "Connection: Keep-Alive",
    "Connection: close",
    "connection: Close",
    "traceparent: 00-1",
    "X-Aws-Parameters-Secrets-Token: t",
    "X-Aws-Parameters-Secrets-Token: wrong",
]
ODD = [
    "Host: localhost",
    "host: 127.0.0.1:8080",
    "Host: example.org",
    "Host:localhost",
    "Host : localhost",
    "Host: ",
    "Content-Length: 0",
    "Content-Length: 3",
    "Transfer-Encoding: chunked",
    "If-None-Match: *",
    "X-Forwarded-For: 1.2.3.4",
    "Via: x",
    " folded: x",
    "no colon",
    "X-Other: \t blanks \t",
]
HEADERS = st.one_of(
    st.lists(st.sampled_from(SIMPLE), max_size=2), st.lists(st.sampled_from([*SIMPLE, *ODD]), max_size=4)
)


# Made once: to make a strategy takes longer than to draw from it.
METHODS = st.sampled_from(["GET"] * 6 + ["HEAD", "POST", "get", "BREW"])
VERSIONS = st.sampled_from(["HTTP/1.1"] * 6 + ["HTTP/1.0", "HTTP/1.2", "http/1.1"])
HOSTS = st.sampled_from([["Host: localhost"]] * 4 + [[]])
# Where a line ends with a line feed alone; mostly nowhere.
LONE_FEED = st.sampled_from([None] * 8 + [0, 1, 2])
ARRIVALS = st.sampled_from(["one by one", "together", "split"])


@st.composite
def requests(draw: st.DrawFn, targets: st.SearchStrategy[str]) -> bytes:
    """Return one request: valid, nearly valid, or odd."""
    lines = [f"{draw(METHODS)} {draw(targets)} {draw(VERSIONS)}", *draw(HOSTS), *draw(HEADERS)]
    lone_feed = draw(LONE_FEED)
    ended = [line + ("\n" if number == lone_feed else "\r\n") for number, line in enumerate(lines)]
    return "".join([*ended, "\r\n"]).encode()


@st.composite
def conversations(draw: st.DrawFn, whole: st.SearchStrategy[list[bytes]]) -> list[bytes]:
    """Return requests as they may arrive: one after the other, together, or in pieces."""
    pieces, arrival = draw(whole), draw(ARRIVALS)
    if arrival == "one by one":
        return pieces
    joined = b"".join(pieces)
    if arrival == "together":
        return [joined]
    at = draw(st.integers(1, len(joined) - 1))
    return [joined[:at], joined[at:]]


def talks(targets: st.SearchStrategy[str]) -> st.SearchStrategy[list[list[bytes]]]:
    """Return up to three conversations of up to three requests each."""
    return st.lists(conversations(st.lists(requests(targets), min_size=1, max_size=3)), min_size=1, max_size=3)


@pytest.mark.parametrize(
    ("kind", "talks"),
    [(Setup, talks(TARGETS)), (LayerSetup, talks(LAYER_TARGETS))],
    ids=["our protocol", "AWS's protocol"],
)
@settings(max_examples=100 * EXAMPLES, deadline=None)
@given(data=st.data(), tokens=st.sampled_from([None, ("t",)]))
def test_any_conversation_goes_as_with_aiohttp(kind, talks, data, tokens):
    """The same statuses, headers and bodies, and the connection is afterwards open, or not, as there."""
    drawn = data.draw(talks)

    fast, slow = talk_to_both(drawn, kind, tokens)

    for ours, theirs, pieces in zip(fast, slow, drawn, strict=True):
        assert theirs == ours, pieces


def test_a_request_that_is_split_anywhere_goes_as_with_aiohttp():
    """Wherever the split is."""
    whole = PLAIN.replace(b"text", b"json?key=password")

    fast, slow = talk_to_both([[whole[:at], whole[at:]] for at in range(1, len(whole))])

    assert slow == fast
    assert [[200, 200]] * (len(whole) - 1) == [[status for status, _, _ in responses] for responses, _ in fast]


def test_requests_with_the_right_token_go_as_with_aiohttp():
    """Each of the targets with the right token, which generated requests seldom have."""
    targets = [SECRET + "text", SECRET + arn_of("binary"), SECRET + "prod%2Fdb", PARAMETER + "text", "/v1/json"]
    talks = [
        [layer_request(target), layer_request(target), layer_request(target, "X-Vault-Token: t"), layer_request(target)]
        for target in targets
    ]

    fast, slow = talk_to_both(talks, LayerSetup)

    assert slow == fast
    assert [[200, 200, 403, 200, 200]] * len(targets) == [
        [status for status, _, _ in responses] for responses, _ in fast
    ]


async def test_a_caller_that_does_not_read_is_not_read_from(clock):
    """Responses do not pile up in memory."""

    class Transport(asyncio.Transport):
        """A transport whose buffer is full when the test wants it."""

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
