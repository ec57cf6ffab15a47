"""The real AWS CLI for tests (version 1, from PyPI; version 2 is not there), and a proxy in front of moto's server."""

import atexit
import functools
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.conftest import PATIENCE_SECONDS
from tests.support import aws_cli_server
from tests.support.locks import locked
from tests.support.stub_server import HttpServer, Request
from tools.emulator import ROOT

CLI = ROOT / ".venv" / "deploy"

# No file of this machine's user is read.
UNCONFIGURED = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}

Change = Callable[[str, str, Any], Any]
Refusal = Callable[[str, str], tuple[str, str] | None]


class Proxy(HttpServer):
    """
    Hands on requests to moto, and changes answers.

    Attributes:
        asked: Method, path and body of each request, in order.
        change: Called with method, path and body of each answer that is a success; returns another body, or None to
            keep it.
        refuse: Called with method and path of each request; returns code and message to refuse it, or None.
        refuse_in: The same for the requests to one region, by its name.
    """

    def __init__(self, upstream: str) -> None:
        super().__init__()
        self.asked: list[tuple[str, str, bytes]] = []
        self.change: Change | None = None
        self.refuse: Refusal | None = None
        self.refuse_in: dict[str, Refusal] = {}
        self._upstream = upstream

    def changing(self) -> list[str]:
        """Return the requests so far that change something."""
        return [f"{method} {path}" for method, path, _ in self.asked if method != "GET" and not path.startswith("/Get")]

    def handle(self, request: Request) -> None:
        """Refuse a request, or hand it on."""
        # IAM's protocol is another one: an action in a form, and XML.
        action = urllib.parse.parse_qs(request.body.decode("utf-8", "replace")).get("Action")
        path = f"/{action[0]}" if action and request.path == "/" else request.path
        refuse = self.refuse or self.refuse_in.get(region_of(request.headers.get("Authorization", "")))
        refusal = refuse(request.command, path) if refuse else None
        if refusal:
            code, message = refusal
            error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            body = f"<ErrorResponse>{error}</ErrorResponse>" if action else json.dumps({"Message": message})
            request.answer(400, body.encode(), {"x-amzn-errortype": code})
            return
        self.asked.append((request.command, path, request.body))
        status, answer, headers = self._hand_on(request)
        changed = self.change(request.command, path, answer) if self.change and status < 300 else None
        kept = {
            name: value
            for name, value in headers.items()
            if name.lower() not in {"content-length", "connection", "date", "server"}
        }
        request.answer(status, answer if changed is None else json.dumps(changed).encode(), kept)

    def _hand_on(self, request: Request) -> tuple[int, bytes, dict[str, str]]:
        asked = urllib.request.Request(
            self._upstream + request.path,
            data=request.body or None,
            method=request.command,
            headers=dict(request.headers),
        )
        try:
            with urllib.request.urlopen(asked, timeout=PATIENCE_SECONDS) as response:
                return response.status, response.read(), dict(response.headers)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), dict(error.headers)


def set_up_the_cli() -> None:
    """Make the environment of the AWS CLI and the other tools from its locked versions, unless it is there."""
    with locked(ROOT / ".cache" / "deploy.lock"):
        if not (CLI / "bin" / "aws").exists():
            subprocess.run([sys.executable, "-m", "venv", str(CLI)], check=True)
            pip = [str(CLI / "bin" / "python"), "-m", "pip", "--quiet", "install", "--require-hashes", "--requirement"]
            subprocess.run([*pip, str(ROOT / "requirements" / "deploy.txt")], check=True)


@functools.cache
def aws_folder() -> Path:
    """Return a folder with a program `aws`: the CLI, which a server of this process has imported already."""
    set_up_the_cli()
    folder = Path(tempfile.mkdtemp(prefix="aws-cli-"))
    listener = str(folder / "socket")
    command = [str(CLI / "bin" / "python"), aws_cli_server.__file__, listener]
    environ = {**os.environ, **UNCONFIGURED, "PYTHONUTF8": "1"}
    server = subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdout is not None
    server.stdout.readline()
    for name in ("bin", "tmp"):
        (folder / name).mkdir()
    program = folder / "bin" / "aws"
    program.write_text(aws_cli_server.CALLER.format(python=sys.executable, socket=listener), encoding="utf-8")
    program.chmod(0o755)

    def end() -> None:
        server.communicate()
        shutil.rmtree(folder)

    atexit.register(end)
    return folder / "bin"


def region_of(authorization: str) -> str:
    """Return the region that a request is signed for; empty if it is not signed."""
    scope = re.search(r"Credential=[^/]+/\d{8}/([a-z0-9-]+)/", authorization)
    return scope[1] if scope else ""


def cli_environ(**environ: str) -> dict[str, str]:
    """Return this process's environment, with the CLI of `aws_folder` in PATH and without configuration files."""
    return {
        **os.environ,
        "PATH": f"{aws_folder()}{os.pathsep}{os.environ['PATH']}",
        "TMPDIR": str(aws_folder().with_name("tmp")),
        **UNCONFIGURED,
        **environ,
    }


def zip_of(entries: Mapping[str, str | bytes]) -> bytes:
    """Return a zip; equal entries give equal bytes."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return data.getvalue()
