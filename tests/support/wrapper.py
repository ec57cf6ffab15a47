"""The exec wrapper as Lambda runs it, and an extension of our own that answers it."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Self

from hypothesis import strategies as st

from secrets_cache.system.sockets import CHANNEL
from tests.conftest import PATIENCE_SECONDS
from tests.support.fakes import CANARY

# Names and values of variables, of any bytes that a variable can hold.
NAMES = st.binary(min_size=1, max_size=20).map(lambda raw: raw.replace(b"\0", b"").replace(b"=", b"")).filter(bool)
CONTENTS = st.binary(max_size=200).map(lambda raw: raw.replace(b"\0", b""))


# What runs in the runtime's place: its environment, exactly, and its arguments.
RUNTIME = """
import sys
found = open("/proc/self/environ", "rb").read()
sys.stdout.buffer.write(found + b"\\0".join(map(str.encode, sys.argv[1:])))
"""


class Extension:
    """What an extension answers, after some seconds; `address` is its AWS_LAMBDA_RUNTIME_API."""

    def __init__(self, answer: bytes, *, after_seconds: float = 0) -> None:
        self.answer = answer
        self._after_seconds = after_seconds
        self.requests: list[bytes] = []
        self.address = f"127.0.0.1:{os.getpid()}.{id(self)}"
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(CHANNEL + self.address.encode())
        self._listener.listen()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            # Who does not believe us does not listen.
            with connection, contextlib.suppress(OSError):
                received = b""
                while chunk := connection.recv(65536):
                    received += chunk
                self.requests.append(received)
                time.sleep(self._after_seconds)
                connection.sendall(self.answer)


def run(script: Path, environ: dict[bytes, bytes], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run the wrapper as Lambda does."""
    command = [str(script), sys.executable, "-I", "-c", RUNTIME, *arguments]
    return subprocess.run(command, env=environ, capture_output=True, check=False, timeout=6 * PATIENCE_SECONDS)


def run_with_answer(script: Path, answer: bytes, *arguments: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    """Run the wrapper next to an extension that gives one answer."""
    with Extension(answer) as extension:
        return run(script, plain(AWS_LAMBDA_RUNTIME_API=extension.address, **environ), *arguments)


def plain(**more: str) -> dict[bytes, bytes]:
    """Return an environment as Lambda's, for the direct client."""
    environ = {
        "AWS_LAMBDA_EXEC_WRAPPER": "/opt/get-secrets-layer",
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": f"{CANARY}-key",
        "HOME": "/nonexistent",
        **more,
    }
    return {name.encode(): value.encode() for name, value in environ.items()}


def environ_in(output: bytes) -> dict[bytes, bytes]:
    """Return the environment that the runtime found."""
    return dict(entry.partition(b"=")[::2] for entry in output.split(b"\0") if b"=" in entry)
