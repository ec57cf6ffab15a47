"""Methods outside the list of the fast parser: requests like any other."""

import re

import pytest

from tests.support.fakes import CANARY
from tests.support.http_server import PING


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


async def test_a_part_of_a_request_is_never_read_as_a_request(running):
    """A header's value at the start of a packet looks like a request to a parser that takes over only then."""
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


async def test_an_unknown_method_has_the_access_of_any_other(running):
    """Access comes first: a forwarded request gets 403."""
    answer = await running.raw(
        PING.replace(b"HEAD", b"BREW").replace(b"\r\n\r\n", b"\r\nVia: x\r\nConnection: close\r\n\r\n")
    )

    assert answer.startswith(b"HTTP/1.1 403")
