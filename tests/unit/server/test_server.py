"""The HTTP server: every row of the contract, over real sockets."""

import asyncio
import contextlib
import json
import logging
import re
import socket
from email.utils import parsedate_to_datetime

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secrets_cache.core.cache import Cache
from secrets_cache.core.freshness import FreshnessPolicy
from secrets_cache.core.registry import ListedEntry
from secrets_cache.core.results import CacheResult
from secrets_cache.core.secret import Ref, Secret
from secrets_cache.errors import SecretRefused, SecretTimeout, SecretUnavailable
from secrets_cache.server import MetricsPage, NativeHandler, Server
from secrets_cache.server.access import TOKEN_HEADER, is_local, knows_token
from secrets_cache.server.handler import Handler
from secrets_cache.server.native_request import Target, parse, path_of
from secrets_cache.server.problems import TABLE, problem_of
from secrets_cache.server.representation import is_unchanged
from secrets_cache.system.sockets import bind, opened
from tests.conftest import PATIENCE_SECONDS
from tests.support.fakes import CANARY, FakeClock, FakeSource
from tests.support.upstream import arn_of

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


def encoded(name: str) -> bytes:
    """Return the bytes of one of the values above."""
    value = VALUES[name]
    return value.encode() if isinstance(value, str) else value


class ValueSource(FakeSource):
    """A source of the values above; other ids as `FakeSource` has them."""

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


PING = b"HEAD /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"


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
    """A server with its cache, its source and a client."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.source = ValueSource()
        self.source.values.update(dict.fromkeys(VALUES, 1))
        self.tokens: tuple[str, ...] | None = None
        self.problems: list[str] = []
        self.names = list(VALUES)
        self.ttl = 600.0
        self.room: int | None = None
        self.idle_seconds = 60.0
        self.cache_type = Cache
        self.metrics: MetricsPage | None = None
        self.has_lane = True
        self.url = ""

    @contextlib.asynccontextmanager
    async def running(self):
        policy = FreshnessPolicy(ttl=self.ttl, refresh_ahead=0, stale_while_revalidate=0, stale_if_error=60)
        self.cache = self.cache_type(
            listed=[ListedEntry(ref=Ref(name), names=(name,), policy=policy) for name in self.names],
            allow=("allowed*",),
            policy=policy,
            source=self.source,
            clock=self.clock,
            random=lambda: 0.5,
        )
        descriptors, errors = bind(0)
        self.sockets = opened(descriptors)
        assert [] == errors
        self.port = self.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        server = Server(
            replies=self.replies(),
            sockets=self.sockets,
            has_lane=self.has_lane,
            room=self.room,
            idle_seconds=self.idle_seconds,
        )
        self.callers: list[Caller] = []
        self.server = server
        async with server, aiohttp.ClientSession() as self.client:
            yield self
        for caller in self.callers:
            await caller.close()
        await self.cache.aclose()

    def replies(self) -> Handler:
        """Return what replies."""
        return NativeHandler(
            cache=self.cache,
            tokens=self.tokens,
            wrong=lambda: self.problems,
            clock=self.clock,
            metrics=self.metrics,
        )

    async def connect(self) -> Caller:
        """Return a new connection; it is closed at the end."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            caller = Caller(*await asyncio.open_connection("127.0.0.1", self.port))
        self.callers.append(caller)
        return caller

    async def get(self, path: str, method: str = "GET", **headers: str):
        """Return status, headers and body; the path goes out as it is given."""
        from yarl import URL

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
        """Send bytes; return what comes back until the server closes or a second passes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        received = b""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                while chunk := await reader.read(65536):
                    received += chunk
        writer.close()
        return received


@pytest.fixture(name="setup", params=[True, False], ids=["lane", "engine"])
async def _setup(clock, request) -> Setup:
    setup = Setup(clock)
    setup.has_lane = request.param
    return setup


@pytest.fixture(name="running")
async def _running(setup):
    async with setup.running():
        yield setup


# Values.


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("json", "application/json"),
        ("list", "application/json"),
        ("text", "text/plain; charset=utf-8"),
        ("number", "text/plain; charset=utf-8"),
        ("crlf", "text/plain; charset=utf-8"),
        ("empty", "text/plain; charset=utf-8"),
        ("binary", "application/octet-stream"),
    ],
)
async def test_values_arrive_byte_for_byte(running, name, content_type):
    """A JSON document as JSON, other text as text, binary as octets; nothing added, nothing changed."""
    status, headers, body = await running.get(f"/cache/{name}")

    assert (200, content_type) == (status, headers["Content-Type"])
    assert encoded(name) == body
    assert str(len(body)) == headers["Content-Length"]
    assert "X-Injected" not in headers


@pytest.mark.parametrize(
    "path",
    [
        "/cache/prod/db",
        "/cache/prod%2Fdb",
        "/cache/prod%2fdb",
        "/cache/%70rod/db",
        f"/cache/{arn_of('prod/db')}",
        "/cache/" + arn_of("prod/db").replace(":", "%3A").replace("/", "%2F"),
    ],
)
async def test_names_may_be_raw_or_percent_encoded(running, path):
    """Slashes and colons either way; the ARN is known once the secret was fetched."""
    assert (200, encoded("prod/db")) == (await running.get(path))[::2]


@pytest.mark.parametrize(
    ("key", "content_type", "body"),
    [
        ("user", "text/plain; charset=utf-8", b"anika"),
        ("password", "text/plain; charset=utf-8", CANARY.encode()),
        ("port", "application/json", b"5432"),
        ("tls", "application/json", b"true"),
        ("nested", "application/json", b'{"a":[1,2.50]}'),
        ("/nested/a/1", "application/json", b"2.50"),
        ("%2Fnested%2Fa", "application/json", b"[1,2.50]"),
    ],
)
async def test_one_key_of_a_json_secret(running, key, content_type, body):
    """Strings bare, everything else as JSON; a leading slash is a JSON pointer."""
    status, headers, received = await running.get(f"/cache/json?key={key}")

    assert (200, content_type, body) == (status, headers["Content-Type"], received)


async def test_versions_and_forced_refresh(running):
    """Parameters combine, and say which version and how."""
    assert "secrets-cache; fwd=miss" == (await running.get("/cache/text?version_stage=AWSPREVIOUS"))[1]["Cache-Status"]
    assert "secrets-cache; fwd=miss" == (await running.get(f"/cache/text?version_id={'v' * 36}"))[1]["Cache-Status"]
    assert "secrets-cache; fwd=request" == (await running.get("/cache/text?refresh=TRUE"))[1]["Cache-Status"]
    assert (
        "secrets-cache; hit"
        == (await running.get("/cache/text?refresh=false&version_stage=AWSCURRENT"))[1]["Cache-Status"]
    )
    assert [Ref("text", version_stage="AWSPREVIOUS"), Ref("text", version_id="v" * 36), Ref("text")] == (
        running.source.fetched
    )


# Headers.


async def test_an_answer_says_which_version_how_old_and_where_from(running):
    """ETag, Last-Modified, Date, Cache-Status, Cache-Control, as their RFCs have them."""
    _, first, _ = await running.get("/cache/json")
    running.clock.tick(100)
    _, second, _ = await running.get("/cache/json")

    assert ("secrets-cache; fwd=miss", "secrets-cache; hit") == (first["Cache-Status"], second["Cache-Status"])
    assert '"version-1"' == second["ETag"]
    assert "Wed, 17 Dec 2025 19:33:20 GMT" == second["Last-Modified"]
    assert "no-store" == second["Cache-Control"]
    assert first["Date"] == second["Date"]
    assert running.clock.wall - 100 == parsedate_to_datetime(second["Date"]).timestamp()


async def test_date_says_when_the_value_was_had(running):
    """Not when AWS was asked for it, and not when it is sent."""
    running.source.gate.clear()
    asking = asyncio.create_task(running.get("/cache/json"))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not running.source.asked_together:  # noqa: ASYNC110 - who is asked tells nobody
            await asyncio.sleep(0.001)
    running.clock.tick(50)
    running.source.gate.set()
    had = running.clock.wall
    first = await asking
    running.clock.tick(50)

    for _, headers, _ in (first, await running.get("/cache/json")):
        assert had == parsedate_to_datetime(headers["Date"]).timestamp()


async def test_an_expired_value_is_fetched_and_a_failing_upstream_bridged(running):
    """fwd=stale for a new fetch, detail=stale for a value past its ttl."""
    await running.get("/cache/json")
    running.clock.tick(600)
    assert "secrets-cache; fwd=stale" == (await running.get("/cache/json"))[1]["Cache-Status"]
    running.source.error[""] = SecretUnavailable("json", code="x", cause="it rains")
    running.clock.tick(600)

    status, headers, body = await running.get("/cache/json")

    assert (200, "secrets-cache; hit; detail=stale") == (status, headers["Cache-Status"])
    assert encoded("json") == body


async def test_head_is_get_without_the_body(running):
    """Same status, same headers, for good answers and for errors."""
    for path in ("/cache/json", "/cache/binary?refresh=false", "/cache/nothing", "/ping", "/nowhere"):
        await running.get(path)
        status, headers, _ = await running.get(path)
        head_status, head_headers, body = await running.get(path, "HEAD")
        assert b"" == body
        assert status == head_status
        different = {"Date"} if status != 200 or path == "/ping" else set()
        assert {k: v for k, v in headers.items() if k not in different} == {
            k: v for k, v in head_headers.items() if k not in different
        }


@pytest.mark.parametrize("tags", ['"version-1"', 'W/"version-1"', '"other", "version-1"', "*"])
async def test_a_version_the_caller_has_is_not_sent_again(running, tags):
    """304 with the same validators and no body; HEAD alike."""
    for method in ("GET", "HEAD"):
        status, headers, body = await running.get("/cache/json?key=user", method, If_None_Match=tags)

        assert (304, b"") == (status, body)
        assert ('"version-1"', "no-store") == (headers["ETag"], headers["Cache-Control"])
        assert {"Date", "Cache-Status", "Last-Modified"} <= set(headers)


@pytest.mark.parametrize("tags", ['"other"', "version-1", '"version-10"', '""'])
async def test_another_version_is_sent(running, tags):
    """What does not match is answered in full."""
    assert 200 == (await running.get("/cache/json", If_None_Match=tags))[0]


async def test_a_key_that_is_missing_is_missing_whatever_the_caller_has(running):
    """A condition is judged on an answer that would have been good."""
    assert 404 == (await running.get("/cache/json?key=nothing", If_None_Match="*"))[0]


@given(
    st.lists(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"')), max_size=4),
    st.booleans(),
)
def test_entity_tags_are_found_in_any_list(tags, weak):
    """Commas inside a tag are part of it."""
    header = ", ".join(f'{"W/" if weak else ""}"{tag}"' for tag in tags)

    assert all(is_unchanged([header], f'"{tag}"') for tag in tags)
    assert not is_unchanged([header], '"not in there at all, that is sure"')
    assert not is_unchanged([], '"a"')


async def test_lines_of_one_name_are_one_list(running):
    """Entity tags may be spread over several lines, as any list may (RFC 9110 section 5.3)."""
    lines = b'If-None-Match: "other"\r\nIf-None-Match: "version-1"\r\nConnection: close\r\n'
    answer = await running.raw(b"GET /cache/json HTTP/1.1\r\nHost: localhost\r\n" + lines + b"\r\n")

    assert answer.startswith(b"HTTP/1.1 304")


# Errors.


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/cache/json?kye=user", "unknown parameter 'kye'; allowed: key, version_stage, version_id, refresh"),
        ("/cache/json?key=a&key=b", "parameter 'key' is given twice"),
        ("/cache/json?refresh=maybe", "parameter 'refresh' must be one of true, 1, false, 0"),
        ("/cache/json?refresh", "parameter 'refresh' must be one of"),
        ("/cache/json?key=", "parameter 'key' is empty"),
        ("/cache/json?key=/a~2", "~ must be followed by 0 or 1"),
        ("/cache/json?version_id=", "parameter 'version_id' must be 1 to 256 printable characters"),
        ("/cache/json?version_stage=a%20b", "parameter 'version_stage' must be"),
        ("/cache/json?key=%zz", "a percent sign must be followed by two hexadecimal digits"),
        ("/cache/js%", "a percent sign must be followed"),
        ("/cache/%ff", "must be UTF-8"),
        ("/cache/%c0%af", "must be UTF-8"),
        ("/cache/text?key=user", "needs a secret that is a JSON object"),
        ("/cache/binary?key=user", "needs a secret that is a JSON object"),
        ("/cache/list?key=user", "needs a secret that is a JSON object"),
    ],
)
async def test_requests_that_cannot_be_meant(running, path, detail):
    """400, and what is wrong."""
    details = await running.problem(path)

    assert (400, "invalid-request") == (details["status"], details["code"])
    assert detail in details["detail"]


async def test_a_key_that_no_utf8_can_hold(running, monkeypatch):
    """A lone surrogate in a JSON string is no text; nobody gets a traceback for it."""
    monkeypatch.setitem(VALUES, "json", '{"a": "\\ud800"}')

    assert "invalid-request" == (await running.problem("/cache/json?key=a"))["code"]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/cache/unknown", "secret-not-configured"),
        ("/cache/", "secret-not-configured"),
        ("/cache//json", "secret-not-configured"),
        ("/cache/../cache/json", "secret-not-configured"),
        ("/cache/json%00", "secret-not-configured"),
        ("/cache/allowed-but-not-there", "secret-not-found"),
        ("/cache/json?key=nothing", "key-not-found"),
        ("/cache/json?key=/nested/a/7", "key-not-found"),
        ("/", "not-found"),
        ("/cache", "not-found"),
        ("/Cache/json", "not-found"),
        ("/healthy", "not-found"),
    ],
)
async def test_what_is_not_there(running, path, code):
    """404, and which of the reasons."""
    details = await running.problem(path)

    assert (404, code) == (details["status"], details["code"])


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW", "GETS"])
@pytest.mark.parametrize("path", ["/cache/json", "/health", "/ping", "/nowhere"])
async def test_only_get_and_head_are_allowed(running, method, path):
    """405 with Allow, everywhere."""
    details = await running.problem(path, method)

    assert (405, "method-not-allowed") == (details["status"], details["code"])
    assert "GET, HEAD" == running.headers["Allow"]


@pytest.mark.parametrize(
    "packets",
    [
        [b"BREW /cache/json HTTP/1.1\r\nHost: localhost\r\n\r\n"],
        [b"get /cache/json HTTP/1.1\r\nHost: localhost\r\n\r\n"],
        [b"Head /cache/json HTTP/1.1\r\nHost: localhost\r\n\r\n"],
        [b"!#$%&'*+.^_`|~-9 /cache/json HTTP/1.1\r\nHost: localhost\r\n\r\n"],
        [b"BREW /cache/json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\npot"],
        [b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n"],
        [b"BR", b"EW /cache/json HTTP/1.1\r\nHo", b"st: localhost\r\n\r\n"],
    ],
)
async def test_a_method_may_be_any_token(running, packets):
    """Methods are case-sensitive, and there is no list of them (RFC 9110 section 9.1); the connection goes on."""
    caller = await running.connect()
    for packet in packets[:-1]:
        caller.send(packet)
        # A packet of its own is what the server reads before the next is sent.
        assert await running.get("/ping")
    answer = await caller.answer(packets[-1])

    assert answer.startswith(b"HTTP/1.1 405")
    assert b"\r\nAllow: GET, HEAD\r\n" in answer
    assert CANARY.encode() not in answer


async def test_what_stands_in_a_request_is_never_a_request_of_its_own(running):
    """A header's value that begins a packet looks like one, to a parser that is called in when the next has come."""
    caller = await running.connect()
    caller.send(b"GET /ping HTTP/1.1\r\nX: ")
    # Read before the next is sent.
    assert await running.get("/ping")
    answer = await caller.answer(b"GET /cache/text HTTP/1.1\r\nHost: localhost\r\n\r\nBREW / HTTP/1.1\r\n\r\n")

    assert answer.startswith(b"HTTP/1.0 400")
    assert CANARY.encode() not in await caller.rest()


async def test_requests_around_an_unknown_method_are_answered(running):
    """In their order, and each as if it had come alone."""
    brew = PING.replace(b"HEAD", b"BREW")
    last = PING.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")

    answer = await running.raw(PING + brew + PING + brew + last)

    assert [b"200", b"405", b"200", b"405", b"200"] == re.findall(rb"HTTP/1.1 (\d+)", answer)


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 3\r\n\r\npot",
        b"Content-Length: 3\r\nContent-Encoding: gzip\r\n\r\npot",
        b"Transfer-Encoding: chunked\r\n\r\n3\r\npot\r\n0\r\n\r\n",
        # aiohttp's parser takes the last trailer for a header of what follows.
        b"Transfer-Encoding: chunked\r\n\r\n0\r\nVia: x\r\n\r\n",
    ],
)
@pytest.mark.parametrize(("method", "status"), [(b"GET", b"200"), (b"POST", b"405"), (b"BREW", b"405")])
async def test_a_request_with_a_body_is_the_last_of_its_connection(running, method, status, body):
    """What comes after it is never taken for a request, whoever thinks that the body ends there."""
    caller = await running.connect()
    answer = await caller.answer(method + b" /cache/json HTTP/1.1\r\nHost: localhost\r\n" + body + PING)

    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"\r\nConnection: close\r\n" in answer
    assert b"HTTP/1.1" not in await caller.rest()


async def test_an_unknown_method_is_admitted_as_any_other(running):
    """What was forwarded is forbidden first."""
    answer = await running.raw(PING.replace(b"HEAD", b"BREW").replace(b"\r\n\r\n", b"\r\nVia: x\r\n\r\n"))

    assert answer.startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize(
    ("error", "status", "code", "aws_code"),
    [
        (
            SecretRefused("x", code="AccessDeniedException", aws_message="no"),
            502,
            "upstream-refused",
            "AccessDeniedException",
        ),
        (
            SecretUnavailable("x", code="connection-failed", cause="no"),
            503,
            "upstream-unavailable",
            "connection-failed",
        ),
        (SecretTimeout("x", budget_seconds=5), 504, "upstream-timeout", "timeout"),
        (ZeroDivisionError(CANARY), 503, "upstream-unavailable", "internal-error"),
    ],
)
async def test_what_aws_did_is_told_apart(running, error, status, code, aws_code):
    """A refusal, no answer, no answer in time: each its status, with AWS's code beside it."""
    running.source.error["allowed"] = error

    for _ in range(2):
        details = await running.problem("/cache/allowed")
        assert (status, code, aws_code) == (details["status"], details["code"], details["aws_code"])
    assert 1 == len(running.source.fetched)
    assert ("1" if status in {503, 504} else None) == running.headers.get("Retry-After")


async def test_retry_after_says_when_there_will_be_another_try(running):
    """It follows the back-off, rounded up."""
    running.source.error["allowed"] = SecretUnavailable("x", code="x", cause="no")
    for expected in ("1", "2", "4"):
        await running.problem("/cache/allowed")
        assert expected == running.headers["Retry-After"]
        running.clock.tick(float(expected))


def test_every_error_that_can_reach_a_caller_has_its_row():
    """An error without one is ours, and nothing of it is told."""
    assert {400, 404, 502, 503, 504} == {problem.status for problem in TABLE.values()}
    assert 504 == problem_of(SecretTimeout("x", budget_seconds=1)).status
    from secrets_cache.errors import ExtensionsApiError

    assert (500, "internal-error") == (
        problem_of(ExtensionsApiError("a", "b")).status,
        problem_of(ExtensionsApiError("a", "b")).code,
    )


class BrokenCache(Cache):
    """A cache with an error of ours."""

    async def get(self, *_: object, **__: object) -> CacheResult:
        raise ZeroDivisionError(CANARY)


async def test_an_error_of_ours_shows_nothing(setup, caplog):
    """500 for the caller, one line with type and place for the log."""
    setup.cache_type = BrokenCache
    async with setup.running() as running:
        details = await running.problem("/cache/json")

    assert (500, "internal-error", "see the log") == (details["status"], details["code"], details["detail"])
    record = next(record for record in caplog.records if record.msg == "internal.error")
    assert ("request", "ZeroDivisionError") == (record.args["where"], record.args["error"])


# Who may ask.


@pytest.mark.parametrize("header", ["X_Forwarded_For", "Forwarded", "Via"])
@pytest.mark.parametrize("path", ["/cache/json", "/health", "/ping"])
async def test_forwarded_requests_are_refused(running, header, path):
    """Whatever forwarded it, it was not asked here."""
    details = await running.problem(path, **{header: "1.2.3.4"})

    assert (403, "forbidden") == (details["status"], details["code"])


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Origin", "https://evil.example"),
        ("Origin", "http://localhost:3000"),
        ("Origin", "null"),
        ("Sec_Fetch_Site", "cross-site"),
        ("Sec_Fetch_Site", "same-site"),
        ("Sec_Fetch_Site", "same-origin"),
    ],
)
@pytest.mark.parametrize("path", ["/cache/json?refresh=true", "/health", "/ping"])
async def test_what_a_page_in_a_browser_asks_is_refused(running, path, header, value):
    """No page is meant to have secrets, nor to have them fetched anew; AWS is not asked."""
    details = await running.problem(path, **{header: value})

    assert (403, "forbidden") == (details["status"], details["code"])
    assert header.replace("_", "-") in details["detail"]
    assert [] == running.source.fetched


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Mode": "cors", "Accept_Language": "*", "User_Agent": "node"},
        {"Sec_Fetch_Site": "none", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document", "Sec_Fetch_User": "?1"},
    ],
    ids=["the fetch of Node.js", "an address bar"],
)
async def test_what_no_page_asks_is_served(running, headers):
    """A function in Node.js asks with some of a browser's headers, and a developer with all of them."""
    assert 200 == (await running.get("/cache/json", **headers))[0]


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.2",
        "169.254.1.1",
        "localhost:80x",
        "localhost:",
        "[::1",
        "",
        "::1",
        "127.0.0.1:٣",
        "localhost\u00a0",
        "\x1clocalhost",
    ],
)
def test_other_hosts_are_refused(host):
    """DNS rebinding arrives with another name."""
    assert not is_local(host)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8080"])
async def test_this_machines_names_are_served(running, host):
    """With or without a port, in any case of letters."""
    assert is_local(host)
    assert 200 == (await running.get("/cache/json", Host=host))[0]


@pytest.mark.parametrize("host", [b"xn--a%ff", b"xn--zzzzzzzzzzzz--", b"p\xff"])
@pytest.mark.parametrize("method", [b"GET", b"BREW"])
async def test_a_host_that_cannot_be_decoded_gets_an_answer(running, method, host):
    """It is another machine's name, or none; nobody has to know which."""
    answer = await running.raw(method + b" http://" + host + b"/ping HTTP/1.1\r\nHost: localhost\r\n\r\n")

    assert answer.split(b" ")[1] in {b"400", b"403"}


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Encoding: br\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("method", [b"GET", b"BREW"])
async def test_a_body_that_is_broken_is_no_error_of_ours(running, caplog, method, body):
    """Nothing of it is decoded, and nobody is told."""
    answer = await running.raw(method + b" /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + body)

    assert answer.split(b" ")[1] in {b"200", b"400", b"405"}
    assert [] == [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("path", ["/cache/json", "/health", "/ping"])
async def test_a_request_for_another_host_is_refused(running, path):
    """It is how a name of somebody else's that leads here looks."""
    for header in ({}, {"X-Of-The-Engine": "1"}):
        details = await running.problem(path, Host="evil.example", **header)
        assert (403, "forbidden") == (details["status"], details["code"])


async def test_a_request_without_a_host_or_with_two_is_refused(running):
    """HTTP/1.0 may leave it out; nobody who asks here does."""
    for lines in (b"", b"Host: evil.example\r\n", b"Host: localhost\r\nHost: evil.example\r\n"):
        answer = await running.raw(b"GET /cache/json HTTP/1.0\r\n" + lines + b"\r\n")
        assert answer.split(b" ")[1] in {b"400", b"403"}
        assert CANARY.encode() not in answer


async def test_the_token_is_asked_for_everywhere_but_at_ping(setup):
    """401 without it, with a wrong one, with two; the right one opens."""
    setup.tokens = ("right",)
    async with setup.running() as running:
        for path in ("/cache/json", "/health", "/nowhere"):
            for headers in ({}, {TOKEN_HEADER: "wrong"}, {TOKEN_HEADER: "right "[:-1] + "x"}, {TOKEN_HEADER: ""}):
                details = await running.problem(path, **headers)
                assert (401, "token-required") == (details["status"], details["code"])
        assert 200 == (await running.get("/cache/json", **{TOKEN_HEADER: "right"}))[0]
        assert 200 == (await running.get("/cache/json", **{TOKEN_HEADER.lower(): "right"}))[0]
        assert 200 == (await running.get("/health", **{TOKEN_HEADER: "right"}))[0]
        assert 200 == (await running.get("/ping"))[0]


async def test_without_a_token_that_can_be_right_nobody_is_served(setup):
    """One that was configured, and cannot be used, closes the door instead of leaving it open."""
    setup.tokens = ()
    async with setup.running() as running:
        for headers in ({}, {TOKEN_HEADER: ""}, {TOKEN_HEADER: "any"}):
            assert 401 == (await running.problem("/cache/json", **headers))["status"]
        assert 200 == (await running.get("/ping"))[0]


def test_tokens_are_compared_whole():
    """Exactly one, equal to one of those that are right; any bytes may come."""
    assert knows_token(("a", "b"), ["b"])
    assert not knows_token(("a", "b"), ["a", "b"])
    assert not knows_token((), ["a"])
    assert not knows_token(("a",), [])
    assert not knows_token(("a",), ["a\udc80"])


# Health.


async def test_health_is_ok_when_everything_is_served(running):
    """200, ok, and for each secret its state; never a value."""
    await running.cache.prefetch()
    running.clock.tick(2.5)
    status, headers, body = await running.get("/health")
    health = json.loads(body)

    assert (200, "application/json", "ok", []) == (
        status,
        headers["Content-Type"],
        health["status"],
        health["problems"],
    )
    assert {
        "name": "json",
        "kind": "secret",
        "state": "fresh",
        "age_seconds": 2.5,
        "version_id": "version-1",
        "error": None,
    } == health["secrets"][0]
    assert list(VALUES) == [secret["name"] for secret in health["secrets"]]
    assert CANARY.encode() not in body


async def test_health_does_not_wait(running):
    """It says pending while the first fetch is under way."""
    running.source.gate.clear()
    running.cache.start_prefetch()

    status, _, body = await running.get("/health")

    assert (503, "failing", {"pending"}) == (
        status,
        json.loads(body)["status"],
        {secret["state"] for secret in json.loads(body)["secrets"]},
    )


async def test_health_is_degraded_by_stale_values_and_failing_without_any(setup):
    """Stale values are served, so that is 200; a secret that cannot be had is 503, with AWS's code."""
    setup.names = ["json"]
    async with setup.running() as running:
        await running.cache.prefetch()
        running.source.error[""] = SecretRefused("json", code="AccessDeniedException")
        running.clock.tick(600)
        assert (200, "degraded") == await self_status(running)
        await running.problem("/cache/json")

        assert (503, "failing") == await self_status(running)
        assert b'"error": "AccessDeniedException"' in (await running.get("/health"))[2]


async def self_status(running: Setup) -> tuple[int, str]:
    """Return status and word of /health."""
    status, _, body = await running.get("/health")
    return status, json.loads(body)["status"]


async def test_health_lists_what_is_wrong_with_the_configuration(setup):
    """503 though everything valid is served."""
    setup.problems = ["config.yaml:1: ttl: found 'x'; allowed: y"]
    async with setup.running() as running:
        await running.cache.prefetch()
        status, _, body = await running.get("/health")

    assert (503, "degraded", setup.problems) == (
        status,
        json.loads(body)["status"],
        json.loads(body)["problems"],
    )


async def test_ping(running):
    """The word the Secrets Manager Agent has for it."""
    assert (200, b"healthy") == (await running.get("/ping"))[::2]


# Connections.


async def test_both_loopbacks_are_served(running):
    """`localhost` may mean either."""
    if len(running.sockets) < 2:
        pytest.skip("this machine has no IPv6 loopback")
    running.url = f"http://[::1]:{running.port}"

    assert 200 == (await running.get("/cache/json"))[0]


async def test_a_connection_is_kept_and_requests_on_it_follow_one_another(running):
    """Keep-alive, pipelined too; in order."""
    request = b"GET /cache/%s HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    answer = await running.raw(request % b"json" + request % b"text" + last)

    assert 3 == answer.count(b"HTTP/1.1 200 OK")
    assert answer.index(encoded("json")) < answer.index(encoded("text")) < answer.index(b"healthy")


@pytest.mark.parametrize(
    ("url", "host", "status"),
    [
        ("http://localhost/ping", "localhost", 200),
        ("http://[::1]:8080/cache/json?key=user", "localhost", 200),
        ("http://elsewhere/ping", "localhost", 403),
        ("http://elsewhere?/ping", "localhost", 403),
        ("http://localhost@elsewhere/ping", "localhost", 403),
        ("http://user@localhost/ping", "localhost", 403),
        ("http://localhost/ping", "elsewhere", 403),
    ],
)
async def test_the_absolute_form_of_a_target_is_its_path_and_its_host(running, url, host, status):
    """The target's host stands above Host (RFC 9112 section 3.2.2); neither may be another machine's."""
    answer = await running.raw(f"GET {url} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())

    assert answer.startswith(f"HTTP/1.1 {status}".encode())


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"WHAT(EVER) /cache/json HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"WHATEVER\r\n\r\n",
        b"WHATEVER /cache/json\r\n\r\n",
        b"GET /cache/json\r\n\r\n",
        b"GET /cache/json HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET /cache/json HTTP/2.0\r\nHost: localhost\r\n\r\n",
        b"BREW /cache/json HTTP/1.2\r\nHost: localhost\r\n\r\n",
        b"GET /cache/json\r\nHost: localhost\r\n\r\n",
        b"GET /cache/json HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 70000 + b"\r\n\r\n",
        b"GET /" + b"x" * 70000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /cache/json HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /cache/json HTTP/1.1\r\nHost : localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 100 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_refused_and_the_connection_closed(running, data):
    """400 in our words, without a word of what was sent; the server goes on."""
    answer = await running.raw(data + b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n")

    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
    assert 1 == answer.count(b"Content-Length:")
    assert b'"code": "invalid-request"' in answer
    assert b"xxxx" not in answer
    assert 200 == (await running.get("/ping"))[0]


async def test_a_request_that_comes_before_the_first_fetch_waits(running):
    """It gets the value, not a word about coming later."""
    running.source.gate.clear()
    waiting = asyncio.create_task(running.get("/cache/json"))
    await asyncio.sleep(0.05)
    assert not waiting.done()

    running.source.gate.set()

    assert 200 == (await waiting)[0]


async def test_a_caller_that_hangs_up_harms_no_other(running):
    """The fetch it began goes on for whoever else waits."""
    running.source.gate.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(b"GET /cache/json HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await writer.drain()
    waiting = asyncio.create_task(running.get("/cache/json"))
    await asyncio.sleep(0.05)
    writer.transport.abort()
    del reader

    running.source.gate.set()

    assert 200 == (await waiting)[0]
    assert 1 == len(running.source.asked_together)


async def test_who_finds_no_room_waits_until_somebody_has_gone(setup, caplog):
    """Nobody is refused; the log says once that there is no room."""
    setup.room = 2
    async with setup.running() as running:
        inside = [await running.connect() for _ in range(2)]
        assert all([(await caller.answer()).startswith(b"HTTP/1.1 200") for caller in inside])
        outside = [asyncio.create_task((await running.connect()).answer()) for _ in range(2)]
        assert (await inside[0].answer()).startswith(b"HTTP/1.1 200")
        assert not any(waiting.done() for waiting in outside)

        for caller in inside:
            await caller.close()
        for waiting in outside:
            assert (await waiting).startswith(b"HTTP/1.1 200")

    assert [2] == [record.args["connections"] for record in caplog.records if record.msg == "server.crowded"]


async def test_the_longest_idle_connection_makes_room(setup):
    """Callers that keep connections for later do not keep others out."""
    setup.room, setup.idle_seconds = 2, 0.0
    async with setup.running() as running:
        first, second = [await running.connect() for _ in range(2)]
        for caller in (second, first, second):
            assert (await caller.answer()).startswith(b"HTTP/1.1 200")
        third = await running.connect()

        assert (await third.answer()).startswith(b"HTTP/1.1 200")
        assert b"" == await first.answer(b"")


async def test_a_connection_that_waits_for_an_answer_is_never_ended(setup):
    """Room is not made at the expense of who has asked."""
    setup.room, setup.idle_seconds = 1, 0.0
    async with setup.running() as running:
        running.source.gate.clear()
        first = asyncio.create_task(
            (await running.connect()).answer(b"GET /cache/json HTTP/1.1\r\nHost: localhost\r\n\r\n")
        )
        while not running.source.asked_together:  # noqa: ASYNC110 - the request is on its way through the loop
            await asyncio.sleep(0)
        second = asyncio.create_task((await running.connect()).answer())
        await asyncio.wait({first, second}, timeout=0.3)
        assert not first.done()
        assert not second.done()
        running.source.gate.set()

        assert (await first).startswith(b"HTTP/1.1 200")
        assert (await second).startswith(b"HTTP/1.1 200")


async def test_a_request_in_endless_pieces_makes_room_too(setup):
    """A byte now and then, on every connection, keeps nobody out for longer than silence does."""
    setup.room, setup.idle_seconds = 2, 0.3
    async with setup.running() as running:
        dripping = [await running.connect() for _ in range(2)]
        for caller in dripping:
            caller.send(b"GET /cache/json HTTP/1.1\r\nHost: localhost\r\nX: ")

        async def drip() -> None:
            while True:
                for caller in dripping:
                    caller.send(b"x")
                # How slow it is makes it what it is; nothing is waited for.
                await asyncio.sleep(0.02)

        task = asyncio.create_task(drip())
        assert (await (await running.connect()).answer()).startswith(b"HTTP/1.1 200")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("last", [b"Connection: close\r\n", b"X-Other: x\r\nConnection: close\r\n", b""])
async def test_a_caller_that_does_not_take_its_last_answer_makes_room_too(setup, monkeypatch, last):
    """A connection that is to be closed counts until it is."""
    monkeypatch.setitem(VALUES, "text", CANARY * 1_000_000)
    setup.room, setup.idle_seconds = 1, 0.0
    async with setup.running() as running:
        with socket.create_connection(("127.0.0.1", running.port)) as hostile:
            hostile.sendall(b"GET /cache/text HTTP/1.1\r\nHost: localhost\r\n" + last + b"\r\n")
            while not running.cache.counts.misses:  # noqa: ASYNC110 - the request is on its way through the loop
                await asyncio.sleep(0)

            assert (await (await running.connect()).answer()).startswith(b"HTTP/1.1 200")


async def test_the_backlog_is_as_long_as_it_was_bound(setup):
    """Serving must not shorten it: a burst of callers would be refused."""
    setup.room = 1
    async with setup.running() as running:
        for _ in range(300):
            await running.connect()


async def test_stopping_is_at_once_though_somebody_waits(setup):
    """SHUTDOWN leaves no time for slow callers."""
    loop = asyncio.get_running_loop()
    async with setup.running() as running:
        running.source.gate.clear()
        connection = socket.create_connection(("127.0.0.1", running.port))
        connection.sendall(b"GET /cache/json HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asyncio.sleep(0.05)
        began = loop.time()
    connection.close()

    assert 1 > loop.time() - began


# The target, by itself.


@given(st.text(min_size=1), st.text(min_size=1).filter(lambda key: not key.startswith("/")))
def test_any_name_and_key_survive_percent_encoding(name, key):
    """Whatever a client's library encodes comes back as it was."""
    from urllib.parse import quote, urlencode

    path, query = path_of(f"/cache/{quote(name, safe='')}?{urlencode({'key': key})}")

    assert Target(name=name, key=key) == parse(path, query)


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E)))
def test_any_target_is_parsed_or_refused(text):
    """Nothing but InvalidRequest comes out of a target, whatever is in it."""
    from secrets_cache.errors import InvalidRequest

    path, query = path_of(text)
    assert path.startswith("/") or not text.startswith("/")
    with contextlib.suppress(InvalidRequest):
        assert isinstance(parse(path, query), Target)
