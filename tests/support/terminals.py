"""A command of this program at a terminal."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from typing import Self

from secrets_cache.aws.endpoints import BOTOCORE_VARIABLES
from tests.conftest import PATIENCE_SECONDS
from tools.emulator import ROOT


class AtTerminal:
    """
    A process whose standard output and standard error are a terminal. A context manager, which kills it if it runs.

    Attributes:
        shown: What it has written so far, without colours.
    """

    def __init__(self, *arguments: str, columns: int = 80, **environ: str) -> None:
        plain = {name: value for name, value in os.environ.items() if name not in BOTOCORE_VARIABLES}
        settings = {"HOME": "/nonexistent", "TERM": "xterm", "COLUMNS": str(columns), "NO_COLOR": "1"}
        self._environ = {**plain, **settings, **environ}
        self._command = [sys.executable, "-m", "secrets_cache", *arguments]
        self.shown = ""

    def __enter__(self) -> Self:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            self._command, cwd=ROOT, env=self._environ, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def wait_for(self, text: str) -> None:
        """Wait until it has shown `text`."""
        while text not in self.shown:
            assert self._read(), self.shown

    def hang_up(self) -> int:
        """Close the terminal, and send the signal that the kernel sends then; return the exit code."""
        os.close(self._ours)
        self._ours = os.open(os.devnull, os.O_RDONLY)
        self.process.send_signal(signal.SIGHUP)
        return self.process.wait(PATIENCE_SECONDS)

    def end(self) -> int:
        """Wait until it has ended; return the exit code."""
        while self._read():
            pass
        return self.process.wait(PATIENCE_SECONDS)

    def _read(self) -> bool:
        """Read what comes next; return whether anything came."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        assert select.select([self._ours], [], [], deadline - time.monotonic())[0], self.shown
        try:
            data = os.read(self._ours, 65536)
        except OSError:
            # So Linux says that nobody has the other end open any more.
            return False
        self.shown += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", data.decode("utf-8", "replace")).replace("\r\n", "\n")
        return bool(data)
