"""HTTP exchanges over sockets that never block."""

import socket
import time

import pytest

from secrets_cache.http1.exchange import MAX_RESPONSE_BYTES, exchange, run_exchange, sleep_until

RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"


@pytest.fixture(name="server")
def _server():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_an_answer_that_drips_is_put_together_and_never_waited_for(server):
    """Between two drops, the caller of the generator has the time."""
    steps = exchange("127.0.0.1", server.getsockname()[1], b"GET / HTTP/1.1\r\n\r\n", is_answered_in_time=False)
    next(steps)
    connection, _ = server.accept()
    with connection:
        for drop in RESPONSE[:-1]:
            connection.sendall(bytes([drop]))
            assert next(steps).until is None
        connection.sendall(RESPONSE[-1:])

        assert b"abc" == run_exchange(steps).body


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
        connection.sendall(RESPONSE)

        assert b"abc" == run_exchange(steps).body


def test_an_answer_that_does_not_end_is_given_up(server):
    """What the platform says is short."""
    steps = exchange("127.0.0.1", server.getsockname()[1], b"GET / HTTP/1.1\r\n\r\n")
    next(steps)
    connection, _ = server.accept()
    with connection:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MAX_RESPONSE_BYTES + 1))

        with pytest.raises(ValueError, match="longer than 65536 bytes"):
            run_exchange(steps)


def test_every_address_of_a_name_is_tried():
    """`localhost` is usually [::1] first, and the platform may listen on the other only."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        steps = exchange("localhost", server.getsockname()[1], b"GET / HTTP/1.1\r\n\r\n")
        wait = next(steps)
        while wait.is_writing:
            wait = next(steps)
        connection, _ = server.accept()
        with connection:
            connection.sendall(RESPONSE)

            assert b"abc" == run_exchange(steps).body


def test_sleeping_is_a_wait_for_a_time_only():
    """Looked at too early, it goes on."""
    until = time.monotonic() + 0.05
    steps = sleep_until(until)

    wait = next(steps)
    assert (None, until) == (wait.descriptor, wait.until)
    run_exchange(steps)
    assert until <= time.monotonic()
