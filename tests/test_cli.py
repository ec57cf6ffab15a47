"""The command line."""

import resource
import signal
import socket
import subprocess
import sys

import pytest

from secrets_cache import __version__
from secrets_cache.cli import main
from tests.conftest import PATIENCE_SECONDS
from tests.fakes import CANARY
from tests.processes import Process, config
from tests.test_extension import get
from tests.upstream import HANG


def serve(tmp_path, text: str, *, port: int | None = None, **environ: str) -> Process:
    """Return a process that serves a configuration."""
    file = config(tmp_path, text)["SECRETS_CACHE_CONFIG"]
    return Process(("-m", "secrets_cache", "serve", "--config", file), environ, port=port)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_serves_until_it_is_told_to_stop(upstream, tmp_path, number):
    """The same server without Lambda; a signal ends it with 0."""
    upstream.put("db", CANARY)
    with serve(tmp_path, "secrets: [db]") as process:
        assert 1 == process.event("serve.ready")["secrets"]
        assert (200, CANARY) == get(f"{process.url}/cache/db")
        process.process.send_signal(number)
        assert 0 == process.exit_code()
        assert 1 == process.event("serve.stopped")["hits"]


def test_serve_makes_no_core_dump(upstream, tmp_path):
    """Memory holds secrets, and a core dump is memory on a disk."""
    with serve(tmp_path, "") as process:
        process.event("serve.ready")
        assert (0, 0) == resource.prlimit(process.process.pid, resource.RLIMIT_CORE)


def test_serve_goes_on_with_a_broken_configuration_unless_it_is_strict(upstream, tmp_path):
    """As in Lambda; exit code 1 under strict."""
    with serve(tmp_path, "ttl: soon", SECRETS_CACHE_STRICT="1") as process:
        assert 1 == process.exit_code()
        assert "ttl" == process.event("config.invalid")["key"]
    with serve(tmp_path, "ttl: soon") as process:
        process.event("serve.ready")
        assert 503 == get(f"{process.url}/health")[0]


def test_serve_without_a_required_secret(upstream, tmp_path):
    """Said in one line; under strict it ends with 1."""
    text = "secrets: [{id: missing, required: true}]"
    with serve(tmp_path, text, SECRETS_CACHE_STRICT="1") as process:
        assert 1 == process.exit_code()
        assert "missing" == process.event("secret.required_missing")["secret"]
    with serve(tmp_path, text) as process:
        process.event("serve.ready")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_stops_while_it_still_waits_for_aws(upstream, tmp_path, number):
    """Neither the prefetch nor its failure is waited for, and nothing is said to have failed that did not."""
    upstream.fault = HANG
    with serve(tmp_path, "secrets: [db]\nfetch_timeout: 60s") as process:
        assert upstream.arrived.wait(PATIENCE_SECONDS)
        process.process.send_signal(number)
        assert 0 == process.exit_code()
        process.event("serve.stopped")
        process.log.join()

        assert ["serve.stopped"] == [line["event"] for line in process.log.events()]


def test_serve_on_a_taken_port_ends_with_1(tmp_path):
    """Outside Lambda, ending is the clearest word."""
    with socket.create_server(("127.0.0.1", 0)) as other, serve(tmp_path, "", port=other.getsockname()[1]) as process:
        assert 1 == process.exit_code()
        assert "Address already in use" == process.event("server.not_listening")["reason"]


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["serve", "--nonsense"], ["serve", "--conf", "x"]])
def test_wrong_usage_ends_with_2(arguments, capfd):
    """And says what is possible."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)

    assert 2 == caught.value.code
    assert "usage: secrets-cache" in capfd.readouterr().err


def test_version():
    """The one place that knows it."""
    found = subprocess.run(
        [sys.executable, "-m", "secrets_cache", "--version"], capture_output=True, text=True, check=True
    )

    assert f"secrets-cache {__version__}\n" == found.stdout
