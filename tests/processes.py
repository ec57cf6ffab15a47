"""The extension and the command line as processes of their own."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from secrets_cache.secretsmanager.lane import ELSEWHERE
from tests.conftest import PATIENCE_SECONDS
from tools.emulator import ROOT, Log, free_port

EXTENSION = ("-c", "from secrets_cache.extension import main; main()", "secrets-cache")


class Process:
    """
    One process of ours. A context manager: left, the process has ended or is ended.

    Attributes:
        port: The port that its cache listens on.
        log: What it writes.
    """

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str], *, port: int | None = None) -> None:
        self.port = port or free_port()
        # As plain as in Lambda: what this machine sets for other programs would keep the fetch lane out.
        plain = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
        self._environ = {**plain, "HOME": "/nonexistent", "SECRETS_CACHE_PORT": str(self.port), **environ}
        self._arguments = arguments
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, *self._arguments],
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


def config(folder: Path, text: str) -> dict[str, str]:
    """Write a configuration file; return the variable that names it."""
    file = folder / "config.yaml"
    file.write_text(text, encoding="utf-8")
    return {"SECRETS_CACHE_CONFIG": str(file)}
