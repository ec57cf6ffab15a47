"""A name server that does not answer holds a thread, for much longer than a command has time: nobody waits for it."""

import signal
import time

import pytest

from tests.conftest import PATIENCE_SECONDS
from tests.support.processes import Process, config, wait_until

# The standard library's own look-up, as it is called for names; addresses need none.
HANGING = """
import socket, sys, threading
real = socket.getaddrinfo
def look_up(host, *arguments, **named):
    if host[-1:].isdigit() or named.get("flags") == socket.AI_NUMERICHOST:
        return real(host, *arguments, **named)
    print("looking up", flush=True)
    threading.Event().wait()
socket.getaddrinfo = look_up
"""
COMMAND = f"{HANGING}\nfrom secrets_cache.cli import main\nsys.exit(main(sys.argv[1:]))"
UPSTREAM = {"AWS_ENDPOINT_URL": "http://aws.invalid:1"}
TEXT = "secrets: [db]\nfetch_timeout: 0.5s"


def command(tmp_path, *arguments: str, text: str = TEXT, **environ: str) -> Process:
    """Return a process of a command, for which AWS's name is never found."""
    return Process(("-c", COMMAND, *arguments), {**UPSTREAM, **config(tmp_path, text), **environ})


@pytest.mark.parametrize("lanes", ["1", "0"])
@pytest.mark.parametrize("signals", [1, 2])
def test_serve_ends_within_its_grace_and_at_once_at_a_second_signal(tmp_path, signals, lanes):
    """While a request waits for AWS, and the request for a name."""
    grace = "0.2" if signals == 1 else "3600"
    text = "secrets: [db]\nfetch_timeout: 60s"
    with command(tmp_path, "serve", "--grace", grace, text=text, SECRETS_CACHE_LANES=lanes) as process:
        process.log.wait_for("looking up")
        began = time.monotonic()
        for _ in range(signals):
            process.process.send_signal(signal.SIGTERM)
            process.event("serve.stopped") if signals == 1 else wait_until_noted(process)
        assert 0 == process.exit_code()
        assert PATIENCE_SECONDS / 4 > time.monotonic() - began


@pytest.mark.parametrize("lanes", ["1", "0"])
def test_serve_ends_at_once_where_nobody_waits_for_an_answer(tmp_path, lanes):
    """Its own look-up is nobody's: the grace period, however long, is for requests."""
    text = "secrets: [db]\nfetch_timeout: 60s"
    with command(tmp_path, "serve", "--grace", "3600", text=text, SECRETS_CACHE_LANES=lanes) as process:
        process.log.wait_for("looking up")
        began = time.monotonic()
        process.process.send_signal(signal.SIGTERM)
        assert 0 == process.exit_code()
        assert PATIENCE_SECONDS / 4 > time.monotonic() - began


def wait_until_noted(process: Process) -> None:
    """Wait until a signal is no longer pending."""

    def is_noted() -> bool:
        if process.process.poll() is not None:
            return True
        with open(f"/proc/{process.process.pid}/status", encoding="ascii") as status:  # noqa: PTH123
            pending = [line.split()[1] for line in status if line.startswith(("SigPnd", "ShdPnd"))]
        return not any(int(mask, 16) for mask in pending)

    wait_until(is_noted)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("get", "db"), "AWS did not answer within 0.5 s (fetch_timeout)"),
        (("check", "--fetch"), "AWS did not answer within 0.5 s (fetch_timeout)"),
    ],
)
def test_a_command_ends_when_its_time_is_over(tmp_path, arguments, said):
    """With what it has found."""
    with command(tmp_path, *arguments) as process:
        assert 1 == process.exit_code()
        process.log.join()
        assert said in process.log.text


def test_the_wrapper_ends_when_its_time_is_over():
    """Without an extension it looks the name up by itself."""
    wrapper = f"{HANGING}\nfrom secrets_cache.wrapper import main\nmain()"
    with Process(("-c", wrapper, "/bin/true"), {**UPSTREAM, "SECRET_ARN": "db", "API_TIMEOUT": "300"}) as process:
        assert 1 == process.exit_code()
        assert "within 0.3 s (API_TIMEOUT)" in process.event("variables.failed")["reason"]
