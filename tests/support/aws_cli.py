"""The real AWS CLI for tests (version 1, from PyPI; version 2 is not there), and a proxy in front of moto's server."""

import io
import json
import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.conftest import PATIENCE_SECONDS
from tools.emulator import ROOT

CLI = ROOT / ".venv" / "deploy"

Change = Callable[[str, str, Any], Any]
Refusal = Callable[[str, str], tuple[str, str] | None]


class Proxy:
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
        self.asked: list[tuple[str, str, bytes]] = []
        self.change: Change | None = None
        self.refuse: Refusal | None = None
        self.refuse_in: dict[str, Refusal] = {}
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                action = urllib.parse.parse_qs(body.decode("utf-8", "replace")).get("Action")
                path = f"/{action[0]}" if action and self.path == "/" else self.path
                refuse = proxy.refuse or proxy.refuse_in.get(region_of(self.headers.get("Authorization", "")))
                refusal = refuse(self.command, path) if refuse else None
                if refusal:
                    code, message = refusal
                    headers = {"x-amzn-errortype": code}
                    status, answer = 400, json.dumps({"Message": message}).encode()
                    if action:  # IAM's protocol is another one
                        error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
                        answer = f"<ErrorResponse>{error}</ErrorResponse>".encode()
                else:
                    proxy.asked.append((self.command, path, body))
                    status, answer, headers = self.hand_on(body)
                    changed = proxy.change(self.command, path, answer) if proxy.change and status < 300 else None
                    answer = answer if changed is None else json.dumps(changed).encode()
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in {"content-length", "connection", "date", "server"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def hand_on(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
                request = urllib.request.Request(
                    upstream + self.path, data=body or None, method=self.command, headers=dict(self.headers)
                )
                try:
                    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:
                        return response.status, response.read(), dict(response.headers)
                except urllib.error.HTTPError as error:
                    with error:
                        return error.code, error.read(), dict(error.headers)

            do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815 - the base class's names

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def changing(self) -> list[str]:
        """Return the requests so far that change something."""
        return [f"{method} {path}" for method, path, _ in self.asked if method != "GET" and not path.startswith("/Get")]

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def set_up_the_cli() -> None:
    """Make the environment of the AWS CLI and the other tools from its locked versions, unless it is there."""
    if not (CLI / "bin" / "aws").exists():
        subprocess.run([sys.executable, "-m", "venv", str(CLI)], check=True)
        pip = [str(CLI / "bin" / "python"), "-m", "pip", "--quiet", "install", "--require-hashes", "--requirement"]
        subprocess.run([*pip, str(ROOT / "requirements" / "deploy.txt")], check=True)


def region_of(authorization: str) -> str:
    """Return the region that a request is signed for; empty if it is not signed."""
    scope = re.search(r"Credential=[^/]+/\d{8}/([a-z0-9-]+)/", authorization)
    return scope[1] if scope else ""


def cli_environ(**environ: str) -> dict[str, str]:
    """Return this process's environment, in which `aws` is the CLI of ours and no configuration file is read."""
    return {
        **os.environ,
        "PATH": f"{CLI / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        **environ,
    }


def zip_of(entries: Mapping[str, str | bytes]) -> bytes:
    """Return a zip; equal entries give equal bytes."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return data.getvalue()
