"""Access: requests made on this machine, for this machine, with the token where there is one."""

import pytest

from secrets_cache.server.access import TOKEN_HEADER, accepts_token, is_local
from tests.support.fakes import CANARY


@pytest.mark.parametrize("header", ["X_Forwarded_For", "Forwarded", "Via"])
async def test_forwarded_requests_are_refused(running, header):
    """A forwarded request was not made on this machine, whatever forwarded it."""
    for path in ("/cache/json", "/health", "/ping"):
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
async def test_what_a_page_in_a_browser_asks_is_refused(running, header, value):
    """A web page may neither read secrets nor start a fetch; AWS is not asked."""
    for path in ("/cache/json?refresh=true", "/health", "/ping"):
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
    """Node.js sends some of a browser's headers, and a developer's browser all of them."""
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


@pytest.mark.parametrize("header", [{}, {"X-Other": "1"}])
async def test_a_request_for_another_host_is_refused(running, header):
    """A foreign name that resolves to this machine looks like this (DNS rebinding)."""
    for path in ("/cache/json", "/health", "/ping"):
        details = await running.problem(path, Host="evil.example", **header)
        assert (403, "forbidden") == (details["status"], details["code"])


async def test_a_request_without_a_host_or_with_two_is_refused(running):
    """HTTP/1.0 may leave it out; no known client of this server does."""
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
    """A configured token that cannot be used refuses everyone instead of letting everyone in."""
    setup.tokens = ()
    async with setup.running() as running:
        for headers in ({}, {TOKEN_HEADER: ""}, {TOKEN_HEADER: "any"}):
            assert 401 == (await running.problem("/cache/json", **headers))["status"]
        assert 200 == (await running.get("/ping"))[0]


def test_tokens_are_compared_whole():
    """Exactly one, equal to one of those that are right; any bytes may come."""
    assert accepts_token(("a", "b"), ["b"])
    assert not accepts_token(("a", "b"), ["a", "b"])
    assert not accepts_token((), ["a"])
    assert not accepts_token(("a",), [])
    assert not accepts_token(("a",), ["a\udc80"])
