"""The command line as a process: its start, which modules it imports, and a reader that closes the pipe."""

import subprocess
import sys
from pathlib import Path

import pytest

from secrets_cache import __version__
from tools.emulator import ROOT

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


@pytest.mark.parametrize("command", ["schema", "version"])
def test_a_result_that_cannot_be_written_ends_with_1_and_the_reason(command):
    """A disk that is full: one line, whether the output is written at once or at the end."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "secrets_cache", command],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=ROOT,
        )

    assert (1, "secrets-cache: No space left on device\n") == (done.returncode, done.stderr)
