"""
Lives of the extension by the hundred: a process that has imported everything, and forks for each.

    python -m tests.support.zygote      reads a life a line, as JSON; says its pid, and at its end its exit code

A life may be broken at one point: where a function of the package is called for the first time, or a coroutine of it
goes on after an `await` for the first time, an exception is raised there. `sys.setprofile` is told of both, and what it
raises is raised in the function: nothing is patched.
"""

import contextlib
import importlib
import json
import os
import pkgutil
import select
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import Any, Self

import secrets_cache
from tests.conftest import PATIENCE_SECONDS

PACKAGE = str(Path(secrets_cache.__file__).parent) + os.sep
STARTS, GOES_ON = "starts", "goes on"


class Zygote:
    """Forks one life at a time. A context manager."""

    def __enter__(self) -> Self:
        plain = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.zygote"],
            env=plain,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(PACKAGE).parent,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def begin(self, life: dict[str, Any]) -> int:
        """Begin a life; return its pid."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(life).encode() + b"\n")
        self._process.stdin.flush()
        return self._said()

    def end(self, pid: int) -> int | None:
        """Wait for the end of a life; return its exit code, None if it has not ended in time and was killed."""
        stream = self._process.stdout
        assert stream is not None
        if select.select([stream], [], [], PATIENCE_SECONDS)[0]:
            return self._said()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        self._said()
        return None

    def _said(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


class Probe:
    """
    What `sys.setprofile` is given: notes every point, and raises at one.

    Attributes:
        points: How often a call was where.
        has_raised: Whether it has.
    """

    def __init__(self, broken_at: str, error: BaseException) -> None:
        self.points: dict[str, int] = {}
        self.has_raised = False
        self._broken_at = broken_at
        self._error: BaseException | None = error

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(PACKAGE) or code.co_name == "<module>":
            return
        # The argument of the instruction RESUME: 0 where a function starts, else where it goes on.
        how = GOES_ON if code.co_code[frame.f_lasti + 1] & 3 else STARTS
        point = f"{code.co_filename.removeprefix(PACKAGE)}:{code.co_qualname} {how}"
        self.points[point] = self.points.get(point, 0) + 1
        if point == self._broken_at and self._error is not None:
            self.has_raised = True
            # Held here, it would hold the frames that it has passed.
            error, self._error = self._error, None
            raise error


def _live(life: dict[str, Any]) -> int:
    from secrets_cache.extension.extensions_api import ExtensionsApi
    from secrets_cache.extension.start import run

    error = eval(life["error"])
    probe = Probe(life["broken_at"], error)
    sys.setprofile(probe)
    try:
        return run(ExtensionsApi(os.environ["AWS_LAMBDA_RUNTIME_API"], "secrets-cache"), os.environ)
    finally:
        sys.setprofile(None)
        Path(life["notes"]).write_text(json.dumps({"points": probe.points, "has_raised": probe.has_raised}))


def _fork(life: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        file = os.open(life["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.environ.clear()
        os.environ.update(life["environ"])
        code = _live(life)
    except BaseException:  # noqa: BLE001 - what an interpreter does
        traceback.print_exc()
    finally:
        os._exit(code)


def _main() -> None:
    for module in pkgutil.walk_packages([PACKAGE], "secrets_cache."):
        if module.name != "secrets_cache.__main__":
            importlib.import_module(module.name)
    for line in sys.stdin:
        pid = _fork(json.loads(line))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main()
