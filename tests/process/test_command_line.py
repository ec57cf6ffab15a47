"""The command line as a process: its start, which modules it imports, and a reader that closes the pipe."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from secrets_cache import __version__
from tests.support.extension import get
from tests.support.processes import wait_until
from tools.emulator import ROOT, free_port

SLOW = (
    "asyncio",
    "aiohttp",
    "botocore",
    "http.client",
    "logging",
    "rich",
    "shtab",
    "ssl",
    "yaml",
    "secrets_cache.config",
)


def list_imports(code: str) -> set[str]:
    """Return the slow modules that code imports."""
    script = f"import sys\n{code}\nsys.stderr.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return {*SLOW, "prometheus_client"} & set(done.stderr.split())


def test_it_is_started_as_a_module():
    """`python -m secrets_cache` is the command line."""
    command = [sys.executable, "-m", "secrets_cache", "version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)

    assert (0, f"secrets-cache {__version__}\n", "") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("arguments", [["--help"], ["check", "--help"], ["version"]])
def test_what_needs_no_secret_imports_nothing_slow(arguments):
    """Help and version are answered at once: neither asyncio nor what reads a configuration is imported."""
    code = f"from secrets_cache.cli import main\ntry: main({arguments!r})\nexcept SystemExit: pass"

    assert set() == list_imports(code)


@pytest.mark.parametrize("command", ["check", "completion", "get", "health", "policy", "serve"])
def test_no_command_imports_the_libraries_for_people_before_it_needs_them(command):
    """Rich only for a terminal, shtab only for a script: the layer and the image have neither."""
    assert not {"rich", "shtab", "prometheus_client"} & list_imports(f"import secrets_cache.cli.{command}")


def test_a_closed_pipe_causes_no_message():
    """`secrets-cache completion bash | head -1` is silent, whatever is still to be written."""
    command = f"{sys.executable} -m secrets_cache completion bash | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, cwd=ROOT)

    assert "" == done.stderr
    assert done.returncode in {0, 1}


OUTPUTS = [("version", 1), ("schema", 1), ("completion bash", 1), ("get a --from-file {file}", 1), ("check", 1)]


@pytest.mark.parametrize(("arguments", "code"), [*OUTPUTS, ("run -- no-such-program", 1), ("run -- true", 0)])
@pytest.mark.parametrize("redirection", [">/dev/full", ">&-", ">&- 2>&- <&-"])
def test_standard_output_that_is_full_or_closed_causes_no_traceback(tmp_path, arguments, code, redirection):
    """A full disk is one line and code 1. What was closed by the caller is missed by nobody."""
    file = tmp_path / "values.json"
    file.write_text('{"a": "b"}', encoding="utf-8")
    command = f"{sys.executable} -m secrets_cache {arguments.format(file=file)} {redirection}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, cwd=ROOT)

    assert "Traceback" not in done.stderr
    assert done.returncode in {code, *([0] if "&-" in redirection else [])}
    if redirection == ">/dev/full" and not arguments.startswith("run"):
        assert "secrets-cache: standard output cannot be written: No space left on device\n" == done.stderr


def test_standard_error_that_is_full_stops_nothing(tmp_path):
    """The problem is told to nobody, and the command starts all the same."""
    file = tmp_path / "config.yaml"
    file.write_text("tll: 5m", encoding="utf-8")
    command = f"{sys.executable} -m secrets_cache run --config {file} -- echo started 2>/dev/full"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, cwd=ROOT)

    assert (0, "started\n") == (done.returncode, done.stdout)


def test_serve_needs_no_standard_streams(tmp_path):
    """A supervisor may close them all: no socket of the server takes their place."""
    file = tmp_path / "values.json"
    file.write_text('{"a": "b"}', encoding="utf-8")
    port = free_port()
    command = f"exec {sys.executable} -m secrets_cache serve --from-file {file} --port {port} <&- >&- 2>&-"
    with subprocess.Popen(["bash", "-c", command], cwd=ROOT, env={"HOME": str(tmp_path)}) as process:
        wait_until(lambda: is_served(port))
        opened = [str(Path(f"/proc/{process.pid}/fd/{number}").readlink()) for number in range(3)]
        process.send_signal(signal.SIGTERM)

    assert [os.devnull] * 3 == opened
    assert 0 == process.returncode


def is_served(port: int) -> bool:
    """Return whether the file's value is served at this port."""
    with contextlib.suppress(OSError):
        return get(f"http://127.0.0.1:{port}/cache/a") == (200, "b")
    return False


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_locale_that_lacks_a_character_gets_its_number(tmp_path, encoding):
    """Names from a file may have any characters, whatever LC_ALL says."""
    file = tmp_path / "config.yaml"
    file.write_text("secrets: [\u20ac]\nttl: \u00e9", encoding="utf-8")
    command = [sys.executable, "-m", "secrets_cache", "check", "--config", str(file)]
    environ = {"PYTHONIOENCODING": encoding}
    done = subprocess.run(command, capture_output=True, env=environ, check=False, cwd=ROOT)

    assert (1, b"") == (done.returncode, done.stderr)
    assert ("\u20ac" if encoding == "utf-8" else "\\u20ac") in done.stdout.decode(encoding)
    assert ("\\xe9" if encoding == "ascii" else "\u00e9") in done.stdout.decode(encoding)
