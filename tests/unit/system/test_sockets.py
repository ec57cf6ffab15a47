"""The listening sockets."""

import contextlib
import errno
import socket

import pytest

from secrets_cache.system import sockets
from secrets_cache.system.sockets import open_sockets
from tests.conftest import PATIENCE_SECONDS


def bind(port: int) -> tuple[list[socket.socket], list[OSError]]:
    """Return the sockets that listen on a port, and what kept one of them from it."""
    descriptors, errors = sockets.bind(port)
    return open_sockets(descriptors), errors


def close(sockets: list[socket.socket]) -> None:
    """Close sockets."""
    for listener in sockets:
        listener.close()


def has_ipv6() -> bool:
    """Return whether this machine has an IPv6 loopback."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def test_both_loopbacks_listen_on_one_port_and_nothing_else_does():
    """127.0.0.1 and, where there is one, [::1]; never another address."""
    sockets, errors = bind(0)

    assert [] == errors
    assert 1 == len({listener.getsockname()[1] for listener in sockets})
    assert ({"127.0.0.1", "::1"} if has_ipv6() else {"127.0.0.1"}) == {
        listener.getsockname()[0] for listener in sockets
    }
    for listener in sockets:
        with socket.create_connection(listener.getsockname()[:2], 1):
            pass
    close(sockets)


def test_a_taken_port_gives_no_sockets_and_the_reason():
    """127.0.0.1 is what callers call localhost."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        sockets, errors = bind(other.getsockname()[1])

    assert [] == sockets
    assert [errno.EADDRINUSE] == [error.errno for error in errors]


def test_a_taken_ipv6_port_leaves_ipv4_and_the_reason():
    """Half is better than nothing, and it is said."""
    if not has_ipv6():
        pytest.skip("this machine has no IPv6 loopback")
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        sockets, errors = bind(other.getsockname()[1])

    assert ["127.0.0.1"] == [listener.getsockname()[0] for listener in sockets]
    assert [errno.EADDRINUSE] == [error.errno for error in errors]
    close(sockets)


def test_a_port_is_had_again_at_once():
    """A connection of an earlier life, still waiting to be forgotten by the system, is no obstacle."""
    sockets, _ = bind(0)
    port = sockets[0].getsockname()[1]
    with socket.create_connection(("127.0.0.1", port), 1):
        connection, _ = sockets[0].accept()
        connection.close()
    close(sockets)

    again, errors = bind(port)

    assert [] == errors
    close(again)


def test_a_burst_of_callers_finds_a_place_before_anybody_accepts():
    """The function may ask from many threads while we are still importing."""
    sockets, _ = bind(0)

    with contextlib.ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(socket.create_connection(sockets[0].getsockname(), PATIENCE_SECONDS))
    close(sockets)
