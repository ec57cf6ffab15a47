"""Signals: only SIGTERM, SIGINT and SIGKILL end the extension, and `serve` unless its terminal is closed."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.support.extension import get, next_is_open, shut_down
from tests.support.processes import Process, config, serve

ENDING = {signal.SIGTERM, signal.SIGINT, signal.SIGKILL}
STOPPING = {signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
SURVIVED = sorted(set(signal.valid_signals()) - ENDING - STOPPING)
LOGGED = ["SIGALRM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGVTALRM", "SIGPROF", "SIGRTMIN", "SIGRTMAX"]


def send_all(process: Process, ignored: list[str]) -> list[str]:
    """Send every signal that must not end a process, one of them twice; return which ones it logs, in any order."""
    for number in (*SURVIVED, signal.SIGUSR1):
        process.process.send_signal(number)
    for name in ignored:
        process.log.wait_for(f'"event": "signal.ignored", "signal": "{name}"')
    return [str(line["signal"]) for line in process.log.events() if line["event"] == "signal.ignored"]


@pytest.fixture(name="server")
def _server(upstream, tmp_path) -> Iterator[Process]:
    """Give a server that is ready."""
    with serve(config(tmp_path, "secrets: []")["SECRETS_CACHE_CONFIG"]) as process:
        process.event("serve.ready")
        yield process


def test_no_other_signal_ends_serve(server):
    """One line for each that would have ended it; then it is told to stop."""
    logged = send_all(server, [name for name in LOGGED if name != "SIGHUP"])

    assert len(set(logged)) == len(logged) >= len(LOGGED) - 1
    assert "SIGHUP" not in logged
    server.event("config.reloaded")
    assert 200 == get(f"{server.url}/health")[0]
    server.process.send_signal(signal.SIGTERM)
    assert 0 == server.exit_code()


def test_no_other_signal_ends_the_extension(api, start):
    """Which would fail the function."""
    with start() as extension:
        assert next_is_open(api)
        logged = send_all(extension, LOGGED)

        assert len(set(logged)) == len(logged) >= len(LOGGED)
        assert 200 == get(f"{extension.url}/health")[0]
        shut_down(api, extension)


# It waits until a file is opened for writing.
IN_A_THREAD = """
import signal, threading
def receive():
    open({!r}).close()
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
threading.Thread(target=receive, daemon=True).start()
"""


def test_sigterm_in_another_thread_ends_the_extension(api, start, tmp_path):
    """The kernel chooses the thread, and may choose a moment right before the event loop waits: no wait ends by it."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with start(before=IN_A_THREAD.format(str(fifo))) as extension:
        assert next_is_open(api)
        fifo.write_text("")
        assert 0 == extension.exit_code()
        assert "SIGTERM" == extension.event("extension.stopped")["reason"]


# The process sends itself signals right after its first step, which blocks them.
EARLY = """
import _signal, os
real = _signal.pthread_sigmask
def block(*arguments):
    _signal.pthread_sigmask = real
    real(*arguments)
    for number in (_signal.SIGHUP, _signal.SIGUSR1):
        os.kill(os.getpid(), number)
_signal.pthread_sigmask = block
"""


def test_a_signal_before_the_registration_ends_nothing(api, start):
    """It waits until there is something that can handle it."""
    with start(before=EARLY) as extension:
        assert next_is_open(api)
        assert 200 == get(f"{extension.url}/health")[0]
        shut_down(api, extension)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGRTMIN])
def test_no_other_signal_ends_the_fallback(api, start, number):
    """The event loop is gone, and so is what logged the signal."""
    with start(before="import sys; sys.modules['secrets_cache.app'] = None") as extension:
        assert next_is_open(api)
        assert 503 == get(f"{extension.url}/health")[0]
        extension.process.send_signal(number)
        assert 503 == get(f"{extension.url}/health")[0]
        shut_down(api, extension)


def test_a_fault_still_ends_the_process(api, start):
    """The handler of a fault would be called for ever: the kernel ends the process even if the signal is ignored."""
    code = "import _ctypes, threading; threading.Timer(1, lambda: _ctypes.call_function(1, ())).start()"
    with start(before=code) as extension:
        assert extension.exit_code() < 0
