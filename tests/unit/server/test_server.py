"""The whole server: both loopbacks, connections that are kept, callers that wait or hang up, the end."""

import asyncio
import socket

import pytest

from tests.support.http_server import encoded

GET = b"GET /cache/json HTTP/1.1\r\nHost: localhost\r\n\r\n"


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


async def test_a_request_that_comes_before_the_first_fetch_waits(running):
    """The caller gets the value, not a request to come back later."""
    running.source.gate.clear()
    waiting = asyncio.create_task(running.get("/cache/json"))
    await running.source.wait_until_asked()
    assert not waiting.done()

    running.source.gate.set()

    assert 200 == (await waiting)[0]


async def test_a_caller_that_hangs_up_harms_no_other(running):
    """The fetch goes on for the others that wait for it."""
    running.source.gate.clear()
    first, second = await running.connect(), await running.connect()
    for caller in (first, second):
        caller.send(GET)
        # Answered after what was sent before it.
        assert await running.get("/ping")
    await running.source.wait_until_asked()
    await first.close()

    running.source.gate.set()

    assert (await second.answer(b"")).startswith(b"HTTP/1.1 200")
    assert 1 == len(running.source.asked_together)


async def test_stopping_is_at_once_though_somebody_waits(setup):
    """SHUTDOWN leaves no time for slow callers."""
    loop = asyncio.get_running_loop()
    async with setup.running() as running:
        running.source.gate.clear()
        connection = socket.create_connection(("127.0.0.1", running.port))
        connection.sendall(GET)
        await running.source.wait_until_asked()
        began = loop.time()
    connection.close()

    assert 1 > loop.time() - began
