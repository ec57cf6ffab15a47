"""The extension's process from the registration to its end, against a stub of the Extensions API."""

import contextlib
import http.client
import os
import signal
import socket
import threading
import time
from typing import Self

from tests.conftest import PATIENCE_SECONDS
from tests.support import upstream as stub
from tests.support.extension import get, next_is_open, shut_down, wait_for_call
from tests.support.fakes import CANARY


def test_a_life_from_registration_to_shutdown(api, start):
    """Register, prefetch, serve, next, SHUTDOWN: one line at the beginning, one at the end, exit code 0."""
    with start() as extension:
        assert next_is_open(api)
        assert (200, CANARY) == get(f"{extension.url}/cache/db")
        shut_down(api, extension)

        ready, stopped = extension.log.events()

    assert ["/register", "/event/next"] == api.paths()
    assert ("extension.ready", "INFO", extension.port, 1, 0) == (
        ready["event"],
        ready["level"],
        ready["port"],
        ready["secrets"],
        ready["failed"],
    )
    assert 0 < ready["registered_ms"] < ready["took_ms"]
    assert {
        "event": "extension.stopped",
        "reason": "SHUTDOWN",
        "hits": 1,
        "misses": 0,
        "stale": 0,
        "refreshes": 1,
        "failures": 0,
    } == {name: value for name, value in stopped.items() if name not in {"time", "level"} and name[:6] != "fetch_"}
    # Of one fetch.
    assert 0 <= stopped["fetch_mean_ms"] == stopped["fetch_max_ms"] < 1000 * PATIENCE_SECONDS
    assert CANARY not in extension.log.text


def test_a_next_that_fails_is_asked_for_again(api, start):
    """So is one that answers with another event than SHUTDOWN."""
    api.answers["/event/next"] = [(500, {}, b"no"), (200, {}, b'{"eventType":"INVOKE"}')]
    with start() as extension:
        extension.log.wait_for("extensions_api.failed", 2)
        assert api.wait_until(lambda: 3 == api.paths().count("/event/next"), PATIENCE_SECONDS)
        shut_down(api, extension)


def test_sigterm_ends_it_too(api, start):
    """Lambda does not send it; people and containers do."""
    with start() as extension:
        assert next_is_open(api)
        extension.process.send_signal(signal.SIGTERM)
        assert 0 == extension.exit_code()
        assert "SIGTERM" == extension.event("extension.stopped")["reason"]


def test_sigterm_ends_a_start_that_waits_for_aws(api, start, upstream):
    """The prefetch is not waited for, however long strict mode would."""
    upstream.fault = stub.HANG
    with start("secrets: [{id: db, required: true}]\nfetch_timeout: 60s", SECRETS_CACHE_STRICT="1") as extension:
        wait_for_call(upstream)
        extension.process.send_signal(signal.SIGTERM)

        assert 0 == extension.exit_code()
        assert "SIGTERM" == extension.event("extension.stopped")["reason"]
    assert ["/register"] == api.paths()


def test_sigterm_ends_a_pause(api, start):
    """The process does not wait for an API that fails."""
    api.answers["/event/next"] = [(500, {}, b"no")] * 10
    with start() as extension:
        extension.log.wait_for("extensions_api.failed", 3)
        began = time.monotonic()
        extension.process.send_signal(signal.SIGTERM)

        assert 0 == extension.exit_code()
        assert 3 > time.monotonic() - began
        assert "SIGTERM" == extension.event("extension.stopped")["reason"]


class HalfAnswer:
    """An Extensions API that registers, and then sends half an answer; the other half when it is told to."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.is_half = threading.Event()
        self.go_on = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on.set()
        self._thread.join()
        self._server.close()

    def _serve(self) -> None:
        body = b'{"eventType":"SHUTDOWN"}'
        head = b"HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: x\r\nContent-Length: %d\r\n\r\n" % len(body)
        for half in (len(head + body), 30):
            connection, _ = self._server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall((head + body)[:half])
                if half == 30:
                    self.is_half.set()
                    self.go_on.wait()
                    connection.sendall((head + body)[half:])


def test_half_an_event_does_not_hold_up_the_callers(start):
    """The loop never waits for the Extensions API; the event counts when all of it is there."""
    with HalfAnswer() as half, start(AWS_LAMBDA_RUNTIME_API=half.address) as extension:
        assert half.is_half.wait(PATIENCE_SECONDS)
        for _ in range(3):
            assert (200, CANARY) == get(f"{extension.url}/cache/db")
        half.go_on.set()

        assert 0 == extension.exit_code()
        assert "SHUTDOWN" == extension.event("extension.stopped")["reason"]


def test_an_api_that_hangs_does_not_hold_up_the_callers(start):
    """A registration that is repeated may take its time."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        start(AWS_LAMBDA_RUNTIME_API=f"127.0.0.1:{server.getsockname()[1]}") as extension,
    ):
        # The first is refused by hanging up, the second is never answered.
        server.settimeout(PATIENCE_SECONDS)
        server.accept()[0].close()
        extension.event("extension.ready")
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            began = time.monotonic()
            assert (200, CANARY) == get(f"{extension.url}/cache/db")
            assert 5 > time.monotonic() - began


# While there is a file, the event loop's wait fails, as often as it takes until the loop is given up.
FAILING = """
import os, selectors
real, failures = selectors.EpollSelector.select, []
def select(self, timeout=None):
    if len(failures) < 11 and os.path.exists({!r}):
        failures.append(timeout)
        raise OSError(12, "Cannot allocate memory")
    return real(self, timeout)
selectors.EpollSelector.select = select
"""


def test_a_caller_of_a_loop_that_was_given_up_does_not_wait_for_ever(api, start, tmp_path):
    """Its connection is closed with the loop; the next loop serves as ever."""
    flag = tmp_path / "flag"
    with start(before=FAILING.format(str(flag))) as extension:
        assert next_is_open(api)
        with socket.create_connection(("127.0.0.1", extension.port), PATIENCE_SECONDS) as caller:
            caller.sendall(b"GET /cache/db HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert caller.recv(65536).startswith(b"HTTP/1.1 200 ")
            flag.touch()
            extension.process.send_signal(signal.SIGUSR1)
            assert b"" == caller.recv(1)
        assert (200, CANARY) == get(f"{extension.url}/cache/db")
        shut_down(api, extension)


def test_sigterm_between_two_loops_ends_it_too(api, start, tmp_path):
    """The one that was given up handles nothing any more."""
    flag = tmp_path / "flag"
    before = "import gc, os\ngc.collect = lambda: os.kill(os.getpid(), 15)\n"
    with start(before=before + FAILING.format(str(flag))) as extension:
        assert next_is_open(api)
        flag.touch()
        extension.process.send_signal(signal.SIGUSR1)
        assert 0 == extension.exit_code()


def test_a_thread_that_hangs_does_not_hold_the_end(api, start):
    """A name server that does not answer holds a thread, and that must not hold the process."""
    with start(before="import threading; threading.Thread(target=threading.Event().wait).start()") as extension:
        assert next_is_open(api)
        shut_down(api, extension)


def test_frozen_for_longer_than_the_budget_in_the_middle_of_a_fetch(api, start, upstream):
    """The call that a freeze broke is made again at once; its caller sees nothing of it."""
    budget = 1.0
    upstream.put("late", CANARY)
    with start(f"secrets: [db]\nallow: [late]\nfetch_timeout: {budget}s") as extension:
        assert next_is_open(api)
        upstream.faults.append(stub.Answer(hang=True))
        connection = http.client.HTTPConnection("127.0.0.1", extension.port, timeout=PATIENCE_SECONDS)
        connection.request("GET", "/cache/late")
        wait_for_call(upstream, "late")

        os.kill(extension.process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, extension.process.pid, os.WSTOPPED | os.WNOWAIT)
        # How long it is frozen is what this is about; nothing is waited for.
        time.sleep(2 * budget)
        os.kill(extension.process.pid, signal.SIGCONT)

        response = connection.getresponse()
        assert (200, CANARY) == (response.status, response.read().decode())
        connection.close()
        shut_down(api, extension)


def test_more_callers_than_descriptors_keep_nobody_from_the_others(api, start):
    """AWS and the Extensions API are reached, callers that come later are answered, and the log has one line."""
    before = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (128, 256))"
    with start(before=before) as extension, contextlib.ExitStack() as stack:
        assert api.wait_until(lambda: bool(api.calls), PATIENCE_SECONDS)
        for _ in range(300):
            stack.enter_context(socket.create_connection(("127.0.0.1", extension.port), PATIENCE_SECONDS))
        assert next_is_open(api)
        assert 128 == extension.event("server.crowded")["connections"]
        assert (200, CANARY) == get(f"{extension.url}/cache/db")
        shut_down(api, extension)

        events = [line["event"] for line in extension.log.events()]
    assert ["extension.ready", "extension.stopped", "server.crowded"] == sorted(events)
