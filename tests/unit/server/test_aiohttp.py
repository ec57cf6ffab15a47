"""aiohttp with our differences: malformed bytes, bodies, hosts that cannot be decoded."""

import logging

import pytest

from tests.support.http_server import PING


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
    """What follows is never read as a request, because caller and server may disagree about where the body ends."""
    caller = await running.connect()
    answer = await caller.answer(method + b" /cache/json HTTP/1.1\r\nHost: localhost\r\n" + body + PING)

    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"\r\nConnection: close\r\n" in answer
    assert b"HTTP/1.1" not in await caller.rest()


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Encoding: br\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("method", [b"GET", b"BREW"])
async def test_a_broken_body_is_not_an_error_of_the_server(running, caplog, method, body):
    """The body is not decoded, and the log gets no warning."""
    answer = await running.raw(method + b" /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + body)

    assert answer.split(b" ")[1] in {b"200", b"400", b"405"}
    assert [] == [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("host", [b"xn--a%ff", b"xn--zzzzzzzzzzzz--", b"p\xff"])
@pytest.mark.parametrize("method", [b"GET", b"BREW"])
async def test_a_host_that_cannot_be_decoded_gets_an_answer(running, method, host):
    """Such a host is refused like any foreign one."""
    answer = await running.raw(
        method + b" http://" + host + b"/ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )

    assert answer.split(b" ")[1] in {b"400", b"403"}


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
    """400 without any part of what was sent; the server goes on."""
    answer = await running.raw(data + b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n")

    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
    assert 1 == answer.count(b"Content-Length:")
    assert b'"code": "invalid-request"' in answer
    assert b"xxxx" not in answer
    assert 200 == (await running.get("/ping"))[0]
