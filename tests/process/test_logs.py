"""What a process writes to standard output, and what it does if nothing reads it."""

import json
import os
import subprocess
import sys

import pytest

from tests.support.fakes import CANARY


def run(code: str, **options) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own and return what it wrote."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60, **options
    )


FULL = """
import logging, os, sys, time
from secrets_cache.system.logs import configure
configure("INFO")
log = logging.getLogger("secrets_cache.x")
began = time.monotonic()
for number in range(1, 2001):
    log.info("line", {"number": number, "text": "x" * LENGTH})
os.write(2, b"%d" % (time.monotonic() - began))
sys.stdin.read(1)
log.info("after")
"""


@pytest.mark.parametrize("value", ["\ud800", {"a": object()}, "line\nbreak", "🔑"])
def test_any_value_makes_one_line(value):
    """A line stays one line for every value of a field."""
    code = (
        "import logging; from secrets_cache.system.logs import configure; configure('INFO')\n"
        f"value = {ascii(value) if isinstance(value, str) else 'object()'}\n"
        "logging.getLogger('secrets_cache.x').info('e', {'v': value})"
    )
    written = run(code).stdout

    assert 1 == written.count("\n")
    assert "e" == json.loads(written)["event"]


def test_our_level_is_the_one_that_is_set_and_others_stay_at_warning():
    """At DEBUG, botocore would log the bodies of AWS's answers."""
    code = """
import logging
from secrets_cache.system.logs import configure, ensure_configured
ensure_configured(); configure("DEBUG"); ensure_configured()
logging.getLogger("secrets_cache.x").debug("ours")
logging.getLogger("botocore").info("theirs")
logging.getLogger("botocore").warning("theirs.warning")
logging.getLogger("aiohttp.access").error("access")
"""
    found = run(code)

    assert ["ours", "library.message"] == [json.loads(line)["event"] for line in found.stdout.splitlines()]
    assert "" == found.stderr


def test_before_anything_is_configured_the_default_is_info():
    """A process that fails early still logs it."""
    code = """
import logging
from secrets_cache.system.logs import ensure_configured
ensure_configured()
logging.getLogger("secrets_cache.x").info("said")
logging.getLogger("secrets_cache.x").debug("unsaid")
"""
    assert 1 == run(code).stdout.count("\n")


def test_an_error_that_can_be_raised_nowhere_shows_its_type_and_place_only():
    """Python would print its text, which might hold anything: here of a generator that is closed, or collected."""
    code = f"""
from secrets_cache.system.logs import configure
configure("INFO")
class Leaving:
    def __del__(self):
        raise RuntimeError({CANARY!r})
Leaving()
"""
    found = run(code)

    assert CANARY not in found.stdout + found.stderr
    assert "" == found.stderr
    line = json.loads(found.stdout)
    assert ("internal.error", "interpreter", "RuntimeError") == (line["event"], line["where"], line["error"])


def test_a_closed_pipe_does_not_end_the_process():
    """The process has other work than to log."""
    code = """
import logging, os
from secrets_cache.system.logs import configure
configure("INFO")
os.close(1)
logging.getLogger("secrets_cache.x").info("into the void")
os.write(2, b"alive")
"""
    reading, writing = os.pipe()
    os.close(reading)
    found = subprocess.run(
        [sys.executable, "-c", code], stdout=writing, stderr=subprocess.PIPE, check=False, timeout=60
    )
    os.close(writing)

    assert (0, b"alive") == (found.returncode, found.stderr)


@pytest.mark.parametrize("length", [100, 30_000])
def test_a_pipe_that_nobody_empties_is_not_waited_for(length):
    """Lines are dropped, counted, and the count is said as soon as there is room; a line that is cut ends."""
    with subprocess.Popen(
        [sys.executable, "-c", FULL.replace("LENGTH", str(length))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        assert 3 > int(process.stderr.read(1))
        assert process.poll() is None
        # Room for the rest, as one reads who comes back late.
        received = b""
        os.set_blocking(process.stdout.fileno(), False)
        while chunk := process.stdout.read(65536):
            received += chunk
        os.set_blocking(process.stdout.fileno(), True)
        process.stdin.close()
        received += process.stdout.read()

    *lines, dropped, after = received.decode().splitlines()
    whole = [json.loads(line)["number"] for line in lines if line.endswith("}")]
    assert list(range(1, len(whole) + 1)) == whole
    assert ("log.dropped", 2000 - len(whole)) == (json.loads(dropped)["event"], json.loads(dropped)["lines"])
    assert "after" == json.loads(after)["event"]
    assert len(lines) - len(whole) <= 1


def test_a_line_longer_than_what_a_pipe_takes_at_once_is_written_whole():
    """In parts, in their order."""
    code = """
import logging
from secrets_cache.system.logs import configure
configure("INFO")
logging.getLogger("secrets_cache.x").info("long", {"text": "x" * 1_000_000})
"""
    assert "x" * 1_000_000 == json.loads(run(code).stdout)["text"]
