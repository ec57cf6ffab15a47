"""A secret as bytes and headers: exact values, one key, versions that the caller has."""

import asyncio
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secrets_cache.core.freshness import CachedValue
from secrets_cache.core.secret import ParameterFacts
from secrets_cache.errors import SecretUnavailable, ValueMissing
from secrets_cache.server.representation import matches_etag, represent
from tests.support.fakes import CANARY, FakeClock, secret, with_fields
from tests.support.http_server import VALUES, encoded


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


async def test_a_key_that_no_utf8_can_hold(running, monkeypatch):
    """A lone surrogate in a JSON string is no text; nobody gets a traceback for it."""
    monkeypatch.setitem(VALUES, "json", '{"a": "\\ud800"}')

    assert "invalid-request" == (await running.problem("/cache/json?key=a"))["code"]


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
    """Date is neither the time of the call to AWS nor the time of the response."""
    running.source.gate.clear()
    asking = asyncio.create_task(running.get("/cache/json"))
    await running.source.wait_until_asked()
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

    assert all(matches_etag([header], f'"{tag}"') for tag in tags)
    assert not matches_etag([header], '"not in there at all, that is sure"')
    assert not matches_etag([], '"a"')


async def test_lines_of_one_name_are_one_list(running):
    """Entity tags may be spread over several lines, as any list may (RFC 9110 section 5.3)."""
    lines = b'If-None-Match: "other"\r\nIf-None-Match: "version-1"\r\nConnection: close\r\n'
    answer = await running.raw(b"GET /cache/json HTTP/1.1\r\nHost: localhost\r\n" + lines + b"\r\n")

    assert answer.startswith(b"HTTP/1.1 304")


def test_a_representation_does_not_show_its_body():
    """Neither in its repr nor in formatted text nor where two are compared."""
    now = FakeClock().now()
    held = CachedValue(secret("db", f'{{"key": "{CANARY}"}}'), now, now.wall, 500.0)
    for represented in (represent(held, "db", None), represent(held, "db", "key")):
        assert CANARY.encode() in represented.body
        assert CANARY not in f"{represented} {represented!r} {[represented]}"
        assert represented != represent(held, "db", None)


def test_a_parameter_without_a_value_is_refused():
    """An empty value would look like one."""
    parameter = with_fields(secret(), parameter=ParameterFacts("SecureString", 0, has_value=False))
    now = FakeClock().now()

    with pytest.raises(ValueMissing, match="parameter 'p' has no value: it refers to a binary secret"):
        represent(CachedValue(parameter, now, now.wall, 1.0), "p", None)
