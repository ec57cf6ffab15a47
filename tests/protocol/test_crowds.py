"""Crowds of hostile callers, at a process that has few descriptors: others are served, and memory has its bound."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from tests.conftest import PATIENCE_SECONDS
from tests.support.extension import get, next_is_open, shut_down
from tests.support.fakes import CANARY
from tests.support.processes import EXTENSION, Process, config, wait_until

DESCRIPTORS = 128
LARGE = CANARY + "x" * 65_000
HEAD = b"GET /cache/db HTTP/1.1\r\nHost: localhost\r\nX-Slow: "


@pytest.fixture(name="crowded", params=["1", "0"], ids=["fast", "library"])
def _crowded(api, upstream, tmp_path, request) -> Iterator[Process]:
    """Give an extension that may have few descriptors open."""
    upstream.put("db", CANARY)
    upstream.put("large", LARGE)
    option, code, name = EXTENSION
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({DESCRIPTORS}, {DESCRIPTORS}))"
    environ = {"AWS_LAMBDA_RUNTIME_API": api.address, "SECRETS_CACHE_LANES": request.param}
    environ |= config(tmp_path, "secrets: [db, large]\nfetch_timeout: 30s")
    with Process((option, f"{limit}\n{code}", name), environ) as extension:
        assert next_is_open(api)
        assert (200, CANARY) == get(f"{extension.url}/cache/db")
        yield extension
        shut_down(api, extension)
        assert {"engine.loaded", "extension.ready", "extension.stopped", "server.crowded"} >= {
            str(line["event"]) for line in extension.log.events()
        }


class Crowd:
    """
    Connections that are kept busy by a thread of their own. A context manager.

    Args:
        port: Of the server.
        size: How many there are at any time; one that is ended is made anew.
        first: What each sends when it has come.
        again: What each sends every now and then.
    """

    def __init__(self, port: int, size: int, first: bytes, again: bytes) -> None:
        self._port = port
        self._size = size
        self._first = first
        self._again = again
        self._stop = threading.Event()
        self._connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.rounds = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for connection in self._connections:
            connection.close()

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            for connection in [*self._connections]:
                try:
                    connection.send(self._again)
                except BlockingIOError:
                    pass
                except OSError:
                    self._connections.remove(connection)
                    connection.close()
            while len(self._connections) < self._size:
                connection = socket.socket()
                # It never takes much of an answer.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.settimeout(PATIENCE_SECONDS)
                connection.connect(("127.0.0.1", self._port))
                connection.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    connection.send(self._first)
                self._connections.append(connection)
            self.rounds += 1

    def wait_for_rounds(self, count: int) -> None:
        """Wait until each has sent something so often."""
        wait_until(lambda: self.rounds >= count)


def resident_kilobytes(process: Process) -> int:
    """Return how much memory a process has."""
    status = Path(f"/proc/{process.process.pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0])


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (HEAD, b"x"),
        (b"POST /ping HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n", b"x"),
        (b"GET /cache/large HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100, b""),
    ],
    ids=["a head byte by byte", "a body byte by byte", "answers that are not taken"],
)
def test_twice_as_many_hostile_callers_as_there_is_room_for_shut_nobody_out(
    crowded: Process, first: bytes, again: bytes
):
    """Who asks properly is answered, again and again, each on a connection of its own."""
    # Half of the descriptors are kept for everything else.
    with Crowd(crowded.port, DESCRIPTORS, first, again) as crowd:
        crowd.wait_for_rounds(2)
        for _ in range(2):
            assert (200, CANARY) == get(f"{crowded.url}/cache/db")


def test_callers_that_never_read_cost_a_bounded_amount_of_memory(crowded: Process) -> None:
    """Sixty of them ask for a large secret again and again: what they do not take is not piled up."""
    request = b"GET /cache/large HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert (200, LARGE) == get(f"{crowded.url}/cache/large")
    before = resident_kilobytes(crowded)
    with Crowd(crowded.port, 60, request, request * 20) as crowd:
        crowd.wait_for_rounds(10)
        assert (200, CANARY) == get(f"{crowded.url}/cache/db")
        during = resident_kilobytes(crowded)

    # 60 x 200 answers are 780 MB; an answer and a full buffer for each are 8 MB.
    assert 64_000 > during - before
