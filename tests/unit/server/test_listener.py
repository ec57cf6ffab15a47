"""The listener: up to a limit, and fair to those who wait."""

import asyncio
import socket

import pytest

from secrets_cache.server.listener import ACCEPTS_PER_TURN, Listener
from tests.conftest import PATIENCE_SECONDS
from tests.support.fakes import CANARY
from tests.support.http_server import VALUES, LayerSetup, Setup, encoded


async def test_who_finds_no_room_waits_until_somebody_has_gone(setup, caplog):
    """No connection is refused; the log has one warning."""
    setup.max_connections = 2
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
    setup.max_connections, setup.idle_seconds = 2, 0.0
    async with setup.running() as running:
        first, second = [await running.connect() for _ in range(2)]
        for caller in (second, first, second):
            assert (await caller.answer()).startswith(b"HTTP/1.1 200")
        third = await running.connect()

        assert (await third.answer()).startswith(b"HTTP/1.1 200")
        assert b"" == await first.answer(b"")


async def test_a_connection_that_waits_for_an_answer_is_never_ended(setup):
    """A connection with a request under way stays open, however long others wait."""
    setup.max_connections, setup.idle_seconds = 1, 0.0
    async with setup.running() as running:
        running.source.gate.clear()
        first = asyncio.create_task(
            (await running.connect()).answer(b"GET /cache/json HTTP/1.1\r\nHost: localhost\r\n\r\n")
        )
        await running.source.wait_until_asked()
        second = asyncio.create_task((await running.connect()).answer())
        await asyncio.wait({first, second}, timeout=0.3)
        assert not first.done()
        assert not second.done()
        running.source.gate.set()

        assert (await first).startswith(b"HTTP/1.1 200")
        assert (await second).startswith(b"HTTP/1.1 200")


async def test_a_request_in_endless_pieces_makes_room_too(setup):
    """A byte now and then, on every connection, keeps others out no longer than silence does."""
    setup.max_connections, setup.idle_seconds = 2, 0.3
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
    setup.max_connections, setup.idle_seconds = 1, 0.0
    async with setup.running() as running:
        with socket.create_connection(("127.0.0.1", running.port)) as hostile:
            hostile.sendall(b"GET /cache/text HTTP/1.1\r\nHost: localhost\r\n" + last + b"\r\n")
            while not running.cache.counts.misses:  # noqa: ASYNC110 - the request is on its way through the loop
                await asyncio.sleep(0)

            assert (await (await running.connect()).answer()).startswith(b"HTTP/1.1 200")


async def test_the_backlog_is_as_long_as_it_was_bound(setup):
    """Serving must not shorten it: a burst of callers would be refused."""
    setup.max_connections = 1
    async with setup.running() as running:
        for _ in range(300):
            await running.connect()


async def test_a_caller_that_connects_without_end_leaves_the_others_their_turn():
    """Between a few new connections everything else runs, though as many again wait already."""

    class Crowd(socket.socket):
        """A listening socket on which another connection waits at any time."""

        accepted = 0

        def accept(self) -> tuple[socket.socket, object]:
            self.accepted += 1
            ours, theirs = socket.socketpair()
            theirs.close()
            return ours, None

    with Crowd() as crowd:
        crowd.bind(("127.0.0.1", 0))
        crowd.listen()
        crowd.setblocking(False)
        listener = Listener(sockets=[crowd], max_connections=1000)
        # It is never taken, so the socket is always ready.
        with socket.create_connection(crowd.getsockname()):
            listener.start(asyncio.Protocol)
            while not crowd.accepted:  # noqa: ASYNC110 - the loop looks at the socket once a turn
                await asyncio.sleep(0)
            assert ACCEPTS_PER_TURN == crowd.accepted
            await asyncio.sleep(0)
            assert 2 * ACCEPTS_PER_TURN == crowd.accepted
            await listener.aclose()


async def test_callers_that_wait_when_the_end_begins_are_accepted(setup):
    """All of them, more than are accepted in one turn."""
    async with setup.running() as running:
        callers = []
        for _ in range(3 * ACCEPTS_PER_TURN):
            caller = socket.create_connection(("127.0.0.1", running.port))
            caller.sendall(b"GET /cache/json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            callers.append(caller)
        await running.server.drain(PATIENCE_SECONDS)
        for caller in callers:
            with caller:
                assert caller.recv(12) == b"HTTP/1.1 200"


# Callers that do not read.


@pytest.mark.parametrize("kind", [Setup, LayerSetup])
@pytest.mark.parametrize("more", [b"", b"X-Other: x\r\n"], ids=["fast", "library"])
@pytest.mark.parametrize("name", [b"text", b"allowed"])
async def test_a_caller_that_never_reads_costs_a_bounded_amount_of_memory(clock, monkeypatch, kind, more, name):
    """Remembered or not, with the fast path or without: nothing is read for it while its responses wait."""
    monkeypatch.setitem(VALUES, name.decode(), CANARY + "x" * 65536)
    setup = kind(clock)
    setup.source.values["allowed"] = 1
    path = b"/cache/" if kind is Setup else b"/secretsmanager/get?secretId="
    request = b"GET %s%s HTTP/1.1\r\nHost: localhost\r\nX-Aws-Parameters-Secrets-Token: t\r\n%s\r\n" % (
        path,
        name,
        more,
    )
    async with setup.running() as running:
        await running.cache.prefetch()
        with socket.create_connection(("127.0.0.1", running.port)) as hostile:
            # Each request arrives by itself, as soon as it is sent.
            hostile.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            most = 0
            for _ in range(300):
                hostile.sendall(request)
                for _ in range(5):
                    await asyncio.sleep(0)
                most = max([most, *(one.get_write_buffer_size() for one in running.server._listener._idle)])  # noqa: SLF001 - it shows nowhere else
    assert 65536 < most < 4 * 65536


async def test_a_caller_that_reads_late_gets_all_responses(setup, monkeypatch):
    """What waited while it did not read is answered then, in order."""
    monkeypatch.setitem(VALUES, "text", CANARY + "x" * 1_000_000)
    requests = [b"GET /cache/%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % name for name in (b"text", b"json") * 10]
    async with setup.running() as running:
        caller = await running.connect()
        for request in requests:
            caller.send(request)
            for _ in range(5):
                await asyncio.sleep(0)
        for name in ("text", "json") * 10:
            head = await caller.answer(b"")
            assert b"Content-Length: %d" % len(encoded(name)) in head
            await caller.skip_body(head)


# The end.


@pytest.mark.parametrize("more", [b"", b"X-Other: x\r\n"], ids=["fast", "library"])
async def test_at_the_end_a_caller_that_keeps_its_connection_is_told_to_close(setup, more):
    """Its next request is answered, remembered or not; then the connection ends, and the wait with it."""
    request = b"GET /cache/json HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % more
    async with setup.running() as running:
        caller = await running.connect()
        for _ in range(3):
            head = await caller.answer(request)
            assert b"Connection: close" not in head
            await caller.skip_body(head)
        draining = asyncio.create_task(running.server.drain(PATIENCE_SECONDS))
        await asyncio.sleep(0)
        head = await caller.answer(request)
        assert head.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in head.lower()
        assert encoded("json") == await caller.rest()
        await draining


async def test_at_the_end_no_connection_makes_room(setup):
    """Nobody is accepted any more, however many are open: the idle ones get their last request."""
    setup.max_connections, setup.idle_seconds = 1, 0.0
    async with setup.running() as running:
        caller = await running.connect()
        assert (await caller.answer()).startswith(b"HTTP/1.1 200")
        draining = asyncio.create_task(running.server.drain(PATIENCE_SECONDS))
        for _ in range(5):
            await asyncio.sleep(0)
        assert b"connection: close" in (await caller.answer()).lower()
        await draining


@pytest.mark.parametrize("seconds", [0.1, 3600])
async def test_at_the_end_an_idle_connection_is_not_waited_for_long(setup, seconds):
    """It gets a short time for one more request, and no more than the grace."""
    async with setup.running() as running:
        assert (await (await running.connect()).answer()).startswith(b"HTTP/1.1 200")
        async with asyncio.timeout(PATIENCE_SECONDS):
            await running.server.drain(seconds)
