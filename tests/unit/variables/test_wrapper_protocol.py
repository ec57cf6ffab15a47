"""What the wrapper asks, and what it gets: over a real socket without a file."""

import asyncio
import contextlib
import os
import select
import socket
from pathlib import Path

import pytest

from secrets_cache.errors import VariablesFailed
from secrets_cache.system.sockets import CHANNEL, bind_channel, open_sockets
from secrets_cache.variables import wrapper_protocol
from secrets_cache.variables.wrapper_protocol import Channel
from tests.conftest import PATIENCE_SECONDS
from tests.support.fakes import CANARY

# Its own for each process that runs tests: all processes of a machine share these names.
ADDRESS = f"test-{os.getpid()}"


def listening():
    """Return a socket that listens for the wrapper."""
    (listener,) = open_sockets(bind_channel(ADDRESS))
    return listener


def connected():
    """Return a connection to it."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(CHANNEL + ADDRESS.encode())
    except OSError:
        connection.close()
        raise
    return connection


async def ask(answer, request=b"A=1\0B"):
    """Serve with `answer`; return what comes back for a request."""
    async with Channel(listening(), answer):
        reader, writer = await asyncio.open_unix_connection(sock=connected())
        writer.write(request)
        writer.write_eof()
        received = await reader.read()
        writer.close()
        return received


async def test_a_wrapper_is_told_what_to_set_and_what_to_unset():
    """From the names and values that it has sent."""
    seen = []

    async def answer(environ, names):
        seen.append((environ, names))
        return {b"X": b"1=\n", b"Y": None}

    assert b"\0+X=1=\n\0-Y\0.\0" == await ask(answer)
    assert [({"A": "1"}, {b"A", b"B"})] == seen


async def test_a_failure_is_told_in_words():
    """It is for the wrapper to write, and to end with."""

    async def answer(*_):
        raise VariablesFailed("no\0t to be had")

    assert b"\0!not to be had\0.\0" == await ask(answer)


async def test_a_fault_of_ours_tells_nothing(caplog):
    """The wrapper then fetches by itself; the log says where it was, not what."""

    async def answer(*_):
        raise ZeroDivisionError(CANARY)

    assert b"\0" == await ask(answer)
    (record,) = caplog.records
    assert ("internal.error", "variables") == (record.msg, record.args["where"])


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
async def test_another_user_is_told_nothing():
    """Only who could read the function's environment as well."""
    asked = []

    async def answer(*_):
        asked.append(1)
        return {}

    async with Channel(listening(), answer):
        for user, said in ((65534, b""), (0, b"\0.\0")):
            os.seteuid(user)
            try:
                connection = connected()
            finally:
                os.seteuid(0)
            reader, writer = await asyncio.open_unix_connection(sock=connection)
            writer.write_eof()
            assert said == await reader.read()
            writer.close()
    assert [1] == asked


async def test_a_request_without_end_is_given_up():
    """It is no wrapper's."""

    async def answer(*_):
        raise AssertionError

    with pytest.raises(ConnectionError):
        await ask(answer, b"A" * (wrapper_protocol.MAX_REQUEST_BYTES * 2))


async def test_leaving_stops_who_is_still_waiting():
    """And nobody can connect any more."""
    begun = asyncio.Event()

    async def answer(*_):
        begun.set()
        await asyncio.Event().wait()

    async with Channel(listening(), answer):
        connection = connected()
        connection.shutdown(socket.SHUT_WR)
        await begun.wait()
    with connection:
        assert b"\0" == connection.recv(2)
        assert b"" == connection.recv(1)
    with pytest.raises(ConnectionRefusedError):
        connected()


def count_descriptors() -> int:
    """Return how many descriptors this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def nothing(*_):
    """Answer that nothing is to be set."""
    return {}


async def test_a_connection_that_asks_nothing_is_closed():
    """The time for a request is bounded, and so is the time for reading the answer."""

    async def much(*_):
        return {b"X": b"x" * (4 << 20)}

    async with Channel(listening(), much, transfer_seconds=0.05):
        idle, deaf = connected(), connected()
        deaf.shutdown(socket.SHUT_WR)
        with idle, deaf:
            reader, writer = await asyncio.open_unix_connection(sock=idle)
            assert b"\0" == await reader.read()
            writer.close()
            loop = asyncio.get_running_loop()
            deaf.setblocking(False)
            # Nothing is read before the other side has closed.
            poll = select.poll()
            poll.register(deaf, select.POLLHUP)
            assert await loop.run_in_executor(None, poll.poll, 1000 * PATIENCE_SECONDS)
            # Closed after the sign of life; of the answer, as much has come as the kernel has taken.
            received = b""
            while chunk := await loop.sock_recv(deaf, 1 << 20):
                received += chunk
            assert 1 < len(received) < 4 << 20


async def test_the_number_of_connections_is_bounded():
    """Further ones wait in the backlog, and are answered when one ends."""
    before = count_descriptors()
    async with Channel(listening(), nothing):
        with contextlib.ExitStack() as stack:
            idle = [stack.enter_context(connected()) for _ in range(2 * wrapper_protocol.MAX_CONNECTIONS)]
            for one in idle[: wrapper_protocol.MAX_CONNECTIONS]:
                one.setblocking(False)
                assert b"\0" == await asyncio.get_running_loop().sock_recv(one, 1)
            for _ in range(10):
                await asyncio.sleep(0)
            assert 3 * wrapper_protocol.MAX_CONNECTIONS + 1 >= count_descriptors() - before
        reader, writer = await asyncio.open_unix_connection(sock=connected())
        writer.write_eof()
        assert b"\0.\0" == await reader.read()
        writer.close()


async def test_without_descriptors_the_loop_does_not_spin():
    """The connection waits until there is one."""
    accepted = []

    class Listener(socket.socket):
        def accept(self):
            accepted.append(1)
            if len(accepted) == 1:
                raise OSError(24, "Too many open files")
            return super().accept()

    listener = Listener(fileno=listening().detach())
    async with Channel(listener, nothing, accept_pause_seconds=0.2):
        reader, writer = await asyncio.open_unix_connection(sock=connected())
        writer.write_eof()
        for _ in range(50):
            await asyncio.sleep(0)
        assert [1] == accepted
        assert b"\0.\0" == await reader.read()
        writer.close()
    assert [1, 1] == accepted


def test_a_name_that_is_taken_gives_no_channel():
    """Whichever process has it, the extension goes on without."""
    with listening():
        assert [] == bind_channel(ADDRESS)
    assert [] == bind_channel("x" * 200)
