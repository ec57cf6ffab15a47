"""
The processes that are measured: started on a core of their own, looked at from the outside, ended for certain.

Rules
-----
1. What is measured runs on one core, everything that measures or answers it on another, where there are two.
2. Nothing is asked of the process itself: times are those of its sockets and its output, the rest is the kernel's.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

CORES = sorted(os.sched_getaffinity(0))
# The generator's is the first, the server's the last; on one core they are the same, and the results say so.
MEASURING_CORE, MEASURED_CORE = CORES[0], CORES[-1]
PATIENCE_SECONDS = 30.0
READY = b'"extension.ready"'
PYTHON = "/opt/secrets-cache/bin/python3"
EXTENSION = ("/opt/extensions/secrets-cache",)
PLAIN_EXTENSION = ("/opt/bench/plain-extension",)
BARE = (PYTHON, "-I", "-S", "-c", "pass")
# The kernel's clock of the processor time of another process: clock_getcpuclockid(3), made as glibc makes it.
_CPUCLOCK_SCHED = 2


class NotMeasuredError(Exception):
    """Something did not happen that had to; the text says what."""


def baseline(module: str, packages: str = "/opt/secrets-cache/packages") -> tuple[str, ...]:
    """Return the command that runs a baseline in the bundled interpreter, isolated; with no packages if empty."""
    code = f"import sys; sys.path += ['/opt/bench', *{packages.split()!r}]; from {module} import main; main()"
    return (PYTHON, "-I", "-S", "-c", code)


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """Run this thread, and what it starts, on one core while the context lasts."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Child:
    """
    A process that is measured. A context manager: left, it has been killed.

    Attributes:
        spawned: The moment before it was started, in ns of the monotonic clock.
    """

    def __init__(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        self._command, self._environ = tuple(command), dict(environ)
        self._output = b""
        self.spawned = 0

    def __enter__(self) -> Self:
        self._pipe, theirs = os.pipe()
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, theirs, 1),
            (os.POSIX_SPAWN_DUP2, theirs, 2),
        ]
        with on_core(MEASURED_CORE):
            self.spawned = time.monotonic_ns()
            self.pid = os.posix_spawn(self._command[0], self._command, self._environ, file_actions=actions)
        os.close(theirs)
        self._ended = False
        return self

    def __exit__(self, *_: object) -> None:
        if not self._ended:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._pipe)

    def fileno(self) -> int:
        """Return the descriptor of its output, for select."""
        return self._pipe

    def read_until_ready(self) -> bool:
        """Read the output that is there, and return whether the ready line is in it. Raises where it has ended."""
        part = os.read(self._pipe, 65536)
        self._output += part
        if not part:
            raise NotMeasuredError(f"{self._command[0]} ended: {self.said()}")
        return READY in self._output

    def wait_until_ready(self) -> int:
        """Wait for the ready line; return the moment it came."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while select.select([self], [], [], max(deadline - time.monotonic(), 0))[0]:
            if self.read_until_ready():
                return time.monotonic_ns()
        raise NotMeasuredError(f"{self._command[0]} was not ready in time: {self.said()}")

    def wait_until_ended(self) -> int:
        """Wait for its end; return the moment."""
        os.waitpid(self.pid, 0)
        self._ended = True
        return time.monotonic_ns()

    def output(self) -> str:
        """Return its output so far."""
        return self._output.decode("utf-8", "replace")

    def said(self) -> str:
        """Return the end of its output."""
        return self.output()[-400:]

    def cpu_ms(self) -> float:
        """Return the processor time of all its threads so far, user and system."""
        return cpu_ms(self.pid)

    def memory_mb(self) -> float:
        """Return its resident memory in MB (10^6 bytes), shared pages included."""
        return int(status(self.pid)["VmRSS"].split()[0]) * 1024 / 1e6


def cpu_ms(pid: int) -> float:
    """Return the processor time of all threads of a process so far, to the nanosecond."""
    return time.clock_gettime_ns(~pid << 3 | _CPUCLOCK_SCHED) / 1e6


def status(folder: int | str) -> dict[str, str]:
    """Return the fields of /proc/<folder>/status (proc(5))."""
    lines = Path(f"/proc/{folder}/status").read_text("utf-8", "replace").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def switches(pid: int) -> int:
    """Return how often the threads of a process gave up the processor of their own accord: each was a wake-up."""
    tasks = [status(f"{pid}/task/{task}") for task in os.listdir(f"/proc/{pid}/task")]  # noqa: PTH208 - names only
    return sum(int(task["voluntary_ctxt_switches"]) for task in tasks)


class Stub:
    """
    A process that answers in AWS's place. A context manager.

    Attributes:
        ports: Where it listens, as it said.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        self._command = [sys.executable, "-m", f"bench.stubs.{module}", *arguments]
        self.ports: dict[str, int] = {}

    def __enter__(self) -> Self:
        with on_core(MEASURING_CORE):
            self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.ports = json.loads(self._process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            self._process.kill()

    def ask(self, path: str = "/calls") -> Any:  # noqa: ANN401 - whatever it tells
        """Ask the stub itself something; what it has seen is forgotten with that."""
        port = self.ports.get("control_port", self.ports["port"])
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE_SECONDS) as response:
            return json.load(response)
