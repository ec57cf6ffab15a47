"""Connections to one endpoint over asyncio, against a server that sends what a test says."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator

import pytest

from secrets_cache.http1.connections import BadResponse, Connections, Endpoint
from tests.conftest import PATIENCE_SECONDS

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Server:
    """Answers each request with the next of `answers`; an answer that is None closes the connection."""

    def __init__(self, clock) -> None:
        self.answers: list[bytes | None] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self.arrived = asyncio.Event()
        self.closed = asyncio.Event()
        self._clock = clock

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.rpartition(b"Content-Length: ")[2])
                self.requests.append(head + await reader.readexactly(length))
                self.arrived.set()
                answer = self.answers.pop(0)
                if answer is None:
                    break
                writer.write(answer)
                if b"\r\nContent-Length" not in answer:
                    break
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        self.closed.set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Connections]:
        def no_tls():
            raise AssertionError("no TLS was asked for")

        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        endpoint = Endpoint("127.0.0.1", server.sockets[0].getsockname()[1], is_secure=False)
        connections = Connections(endpoint, no_tls, keepalive_seconds=10, clock=self._clock)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                yield connections
        finally:
            await connections.aclose()
            server.close()
            await self.closed.wait()


@pytest.fixture(name="server")
async def _server(clock) -> Server:
    return Server(clock)


async def test_a_request_is_a_post_with_its_headers_and_its_length(server):
    """And the response is read by its own length."""
    server.answers = [ANSWER]
    async with server.running() as connections:
        response = await connections.request("POST", "/", {"Host": "h", "X": "y"}, b"body")

    assert (200, b"{}") == (response.status, response.body)
    assert [b"POST / HTTP/1.1\r\nHost: h\r\nX: y\r\nContent-Length: 4\r\n\r\nbody"] == server.requests


@pytest.mark.parametrize(
    ("between", "connections_made"),
    [
        (lambda clock: clock.tick(9), 1),
        (lambda clock: clock.tick(11), 2),
    ],
    ids=["soon", "late"],
)
async def test_a_connection_is_used_again_soon_and_not_later(server, clock, between, connections_made):
    """A freeze kills the connections that wait, without a sign."""
    server.answers = [ANSWER] * 2
    async with server.running() as connections:
        await connections.request("POST", "/", {}, b"")
        between(clock)
        await connections.request("POST", "/", {}, b"")

        assert connections_made == server.connections


async def test_a_connection_that_the_server_will_close_is_not_used_again(server):
    """Its response has the header Connection: Close."""
    server.answers = [ANSWER.replace(b"\r\n\r\n", b"\r\nConnection: Close\r\n\r\n"), ANSWER]
    async with server.running() as connections:
        await connections.request("POST", "/", {}, b"")
        await connections.request("POST", "/", {}, b"")

        assert 2 == server.connections


async def test_a_body_without_a_length_ends_with_the_connection(server):
    """The next request makes a new one."""
    server.answers = [b"HTTP/1.1 200 OK\r\n\r\nall of it", ANSWER]
    async with server.running() as connections:
        assert b"all of it" == (await connections.request("POST", "/", {}, b"")).body
        await connections.request("POST", "/", {}, b"")

        assert 2 == server.connections


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (None, ConnectionAbortedError),
        (b"HTTP/1.1 200 OK\r\n", ConnectionAbortedError),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort", ConnectionAbortedError),
        (b"SSH-2.0-x\r\n", BadResponse),
    ],
    ids=["nothing", "half a head", "half a body", "no HTTP"],
)
async def test_an_incomplete_response_and_one_that_is_none_are_told_apart(server, answer, error):
    """The first may be worth another attempt at once; the second is an answer that cannot be understood."""
    server.answers = [answer]
    async with server.running() as connections:
        with pytest.raises(error):
            await connections.request("POST", "/", {}, b"")


async def test_a_response_that_nobody_asked_for_closes_the_connection(server):
    """Nothing on it could be told from the response to the next request."""
    server.answers = [ANSWER, ANSWER]
    async with server.running() as connections:
        await connections.request("POST", "/", {}, b"")
        (connection,) = connections._open  # noqa: SLF001 - the event loop calls this
        connection.data_received(ANSWER)
        await connections.request("POST", "/", {}, b"")

        assert 2 == server.connections


async def test_a_caller_that_leaves_takes_its_connection_along(server):
    """The response to it may still come."""
    server.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhalf"]
    async with server.running() as connections:
        caller = asyncio.create_task(connections.request("POST", "/", {}, b""))
        await server.arrived.wait()
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
        await server.closed.wait()

        assert caller.cancelled()


@pytest.mark.parametrize(
    ("host", "port", "is_secure", "authority"),
    [
        ("h", 80, False, "h"),
        ("h", 443, True, "h"),
        ("h", 443, False, "h:443"),
        ("::1", 80, True, "[::1]:80"),
    ],
)
def test_the_authority_leaves_out_the_default_port(host, port, is_secure, authority):
    """As a Host header has it; an IPv6 address is in brackets."""
    assert authority == Endpoint(host, port, is_secure=is_secure).authority


@pytest.fixture(name="looked_up")
def _looked_up(monkeypatch):
    """Let the system's resolver know one name: give the list of its addresses, and the one of what it was asked."""
    real = socket.getaddrinfo
    addresses: list[str] = []
    asked: list[tuple[object, bool]] = []

    def look_up(host, port, **details):
        if host != b"aws.invalid" or details.get("flags") == socket.AI_NUMERICHOST:
            return real(host, port, **details)
        asked.append((host, threading.current_thread() is threading.main_thread()))
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return addresses, asked


async def test_a_name_is_looked_up_in_a_thread_and_each_of_its_addresses_is_tried(server, looked_up):
    """As bytes: the codec that a str needs takes longer to import than the request takes."""
    addresses, asked = looked_up
    # Nothing listens at the first one.
    addresses += ["127.0.0.2", "127.0.0.1"]
    server.answers = [ANSWER]
    async with server.running() as connections:
        connections.endpoint = connections.endpoint._replace(host="aws.invalid")
        response = await connections.request("POST", "/", {}, b"")

    assert 200 == response.status
    assert [(b"aws.invalid", False)] == asked


@pytest.mark.parametrize(("addresses", "error"), [(["127.0.0.2"], ConnectionRefusedError), ([], OSError)])
async def test_a_name_without_an_address_that_answers_is_an_error(clock, looked_up, addresses, error):
    """The last address's own, or one that says that there is none."""
    looked_up[0].extend(addresses)
    with socket.create_server(("127.0.0.1", 0)) as other:
        endpoint = Endpoint("aws.invalid", other.getsockname()[1], is_secure=False)
        connections = Connections(endpoint, lambda: None, keepalive_seconds=10, clock=clock)  # type: ignore[arg-type, return-value]
        with pytest.raises(error) as raised:
            await connections.request("POST", "/", {}, b"")

    assert addresses or str(raised.value) == "the host has no address"


async def test_what_an_address_says_in_tls_is_not_hidden_by_the_next_one(clock, looked_up):
    """Nothing listens there, but that is not what is wrong."""
    looked_up[0].extend(["127.0.0.1", "127.0.0.2"])

    def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    endpoint = Endpoint("aws.invalid", server.sockets[0].getsockname()[1], is_secure=True)
    connections = Connections(endpoint, ssl.create_default_context, keepalive_seconds=10, clock=clock)
    async with server:
        with pytest.raises(ssl.SSLError):
            await connections.request("POST", "/", {}, b"")
    await connections.aclose()


async def test_an_address_of_an_interface_keeps_the_interface(clock, monkeypatch):
    """As a link-local one of IPv6 does: without it there is no way there."""
    real = socket.getaddrinfo
    asked = []

    def look_up(host, port, *rest, **details):
        asked.append(host)
        if host == b"aws.invalid" and not details.get("flags"):
            return [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", port, 0, 7))]
        return real(host, port, *rest, **details)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    endpoint = Endpoint("aws.invalid", 1, is_secure=False)
    connections = Connections(endpoint, ssl.create_default_context, keepalive_seconds=10, clock=clock)
    with contextlib.suppress(OSError):
        await connections.request("POST", "/", {}, b"")
    assert "fe80::1%7" in asked
