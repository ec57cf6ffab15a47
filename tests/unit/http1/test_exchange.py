"""HTTP exchanges that nobody waits for."""

import contextlib
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secrets_cache.http1.exchange import MAX_RESPONSE_BYTES, exchange, finish, response_in, sleep_until

RESPONSES = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n",
    "end": b"HTTP/1.1 200 OK\r\n\r\nabc",
}


@pytest.fixture(name="server")
def _server():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.mark.parametrize("framing", RESPONSES)
def test_a_response_is_known_when_all_of_it_is_there(framing):
    """Not before, however it is cut, and whatever says where it ends."""
    whole = RESPONSES[framing]
    response = response_in(whole, is_all=True)

    assert response is not None
    assert (200, b"abc") == (response.status, response.body)
    for length in range(len(whole) - (5 if framing == "chunks" else 0)):
        assert response_in(whole[:length], is_all=False) is None


@pytest.mark.parametrize(
    "field", ["Content-Length: -1", "Content-Length: 1_0", "Content-Length: +1", "Content-Length: ²"]
)
def test_a_length_that_is_none_is_an_error(field):
    """A negative one would count from the end."""
    with pytest.raises(ValueError, match=r"how long|invalid literal"):
        response_in(f"HTTP/1.1 200 OK\r\n{field}\r\n\r\nabc".encode("latin-1"), is_all=True)


@pytest.mark.parametrize("size", ["-1", "-2", "1_0", "+1", ""])
def test_a_chunk_without_a_size_is_an_error(size):
    """A negative one would be read again and again."""
    with pytest.raises(ValueError, match="how long"):
        response_in(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\nabc\r\n".encode(), is_all=True)


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_a_response_or_none_or_an_error(noise, is_all):
    """Nothing but ValueError comes out, whatever goes in."""
    for received in (noise, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + noise):
        with contextlib.suppress(ValueError):
            response_in(received, is_all=is_all)


def test_an_answer_that_drips_is_put_together_and_never_waited_for(server):
    """Between two drops, whoever waits has the time."""
    steps = exchange("127.0.0.1", server.getsockname()[1], b"GET / HTTP/1.1\r\n\r\n", is_answered_in_time=False)
    next(steps)
    connection, _ = server.accept()
    with connection:
        for drop in RESPONSES["length"][:-1]:
            connection.sendall(bytes([drop]))
            assert next(steps).until is None
        connection.sendall(RESPONSES["length"][-1:])

        assert b"abc" == finish(steps).body


def test_a_request_larger_than_what_the_system_takes_is_sent_in_parts(server):
    """Until it is taken, there is a wait to write."""
    request = b"x" * 20_000_000
    steps = exchange("127.0.0.1", server.getsockname()[1], request)
    wait = next(steps)
    connection, _ = server.accept()
    received = 0
    with connection:
        connection.setblocking(False)
        while received < len(request):
            try:
                received += len(connection.recv(1_000_000))
            except BlockingIOError:
                wait = next(steps)
                if received < len(request) // 2:
                    assert wait.is_writing
        connection.setblocking(True)
        connection.sendall(RESPONSES["length"])

        assert b"abc" == finish(steps).body


def test_an_answer_that_does_not_end_is_given_up(server):
    """What the platform says is short."""
    steps = exchange("127.0.0.1", server.getsockname()[1], b"GET / HTTP/1.1\r\n\r\n")
    next(steps)
    connection, _ = server.accept()
    with connection:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * MAX_RESPONSE_BYTES)

        with pytest.raises(ValueError, match="longer than 65536 bytes"):
            finish(steps)


def test_every_address_of_a_name_is_tried():
    """`localhost` is [::1] first, as a rule, and the platform may listen on the other only."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        steps = exchange("localhost", server.getsockname()[1], b"GET / HTTP/1.1\r\n\r\n")
        wait = next(steps)
        while wait.is_writing:
            wait = next(steps)
        connection, _ = server.accept()
        with connection:
            connection.sendall(RESPONSES["length"])

            assert b"abc" == finish(steps).body


def test_sleeping_is_a_wait_for_a_time_only():
    """Looked at too early, it goes on."""
    until = time.monotonic() + 0.05
    steps = sleep_until(until)

    wait = next(steps)
    assert (None, until) == (wait.descriptor, wait.until)
    finish(steps)
    assert until <= time.monotonic()
