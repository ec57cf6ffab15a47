"""The extension and the command line as processes of their own, which can be frozen and have clocks that can be set."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from secrets_cache.aws.endpoints import BOTOCORE_VARIABLES
from tests.conftest import PATIENCE_SECONDS
from tools.emulator import ROOT, Log, free_port

EXTENSION = ("-c", "from secrets_cache.extension.start import main; main()", "secrets-cache")


class Process:
    """
    A process of this program. A context manager, which kills the process on exit if it still runs.

    Args:
        under: A command that runs it, such as one that takes rights away.

    Attributes:
        port: The port that its cache listens on.
        log: What it writes.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        environ: Mapping[str, str],
        *,
        port: int | None = None,
        under: Sequence[str] = (),
    ) -> None:
        self.port = port or free_port()
        # As plain as in Lambda: what this machine sets for other programs would keep the direct client out.
        plain = {name: value for name, value in os.environ.items() if name not in BOTOCORE_VARIABLES}
        self._environ = {**plain, "HOME": "/nonexistent", "SECRETS_CACHE_PORT": str(self.port), **environ}
        self._command = [*under, sys.executable, *arguments]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._command,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
        )
        assert self.process.stdout is not None
        self.log = Log(self.process.stdout)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.log.join()
        self.process.stdout.close()

    def exit_code(self) -> int:
        """Wait for the end; return the exit code."""
        return self.process.wait(PATIENCE_SECONDS)

    def event(self, name: str) -> dict[str, Any]:
        """Wait for a log line and return its fields."""
        self.log.wait_for(f'"event": "{name}"')
        return next(line for line in self.log.events() if line["event"] == name)


def serve(file: Path | str, *options: str, port: int | None = None, **environ: str) -> Process:
    """Return a process of `secrets-cache serve` with a configuration file."""
    return Process(("-m", "secrets_cache", "serve", "--config", str(file), *options), environ, port=port)


def run(*command: object, cwd: str | Path = ROOT, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run a command with more variables; return what became of it, whatever that is."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def make(*arguments: str, cwd: str | Path = ROOT, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run make, not as a part of the make that runs the tests."""
    return run("make", "--no-print-directory", *arguments, cwd=cwd, MAKEFLAGS="", MAKELEVEL="", MFLAGS="", **environ)


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until something that another process or thread brings about is so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert deadline > time.monotonic()
        time.sleep(0.005)


def config(folder: Path, text: str) -> dict[str, str]:
    """Write a configuration file; return the variable that names it."""
    file = folder / "config.yaml"
    file.write_text(text, encoding="utf-8")
    return {"SECRETS_CACHE_CONFIG": str(file)}


@contextlib.contextmanager
def frozen(pid: int, seconds: float = 0.0) -> Iterator[None]:
    """Stop a process, as Lambda freezes an environment, until so many seconds after what is done meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        # Under the emulator it is no child of this process.
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:  # noqa: PTH123
            while stat.read().rpartition(")")[2].split()[0] != "T":
                stat.seek(0)
        yield
        # How long it is frozen is what this is about; nothing is waited for.
        time.sleep(seconds)
    finally:
        os.kill(pid, signal.SIGCONT)


class Clocks:
    """
    The clocks of a process that was started with `code` before everything else.

    An hour of a freeze passes at once, on the wall clock alone where the monotonic one stands still; either can be set.
    """

    def __init__(self, folder: Path) -> None:
        self._files = {name: folder / name for name in ("time", "monotonic")}
        for file in self._files.values():
            file.write_text("0", encoding="ascii")
        self.code = f"""
import time
def moved(name, file):
    real = getattr(time, name)
    def moved_clock():
        with open(file) as offset:
            return real() + float(offset.read())
    setattr(time, name, moved_clock)
{chr(10).join(f"moved({name!r}, {str(file)!r})" for name, file in self._files.items())}
"""

    def step(self, *, wall: float, monotonic: float = 0.0) -> None:
        """Set the clocks so many seconds forward, or back."""
        for name, seconds in (("time", wall), ("monotonic", monotonic)):
            file = self._files[name]
            offset = float(file.read_text(encoding="ascii")) + seconds
            # In one step: a clock is never seen half set.
            partial = file.with_suffix(".partial")
            partial.write_text(str(offset), encoding="ascii")
            partial.rename(file)


def pid_of_extension(port: int) -> int:
    """Return the id of the extension that serves `port`, wherever it was started."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_one = b"from secrets_cache.extension.start import main" in (process / "cmdline").read_bytes()
            if is_one and f"SECRETS_CACHE_PORT={port}".encode() in (process / "environ").read_bytes().split(b"\0"):
                return int(process.name)
    raise AssertionError(f"no extension has port {port}")
