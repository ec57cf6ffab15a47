"""
A page of releases, as deploy.sh --release asks it, with faults.

Like GitHub, it answers a download with a redirect to another host.
"""

import hashlib
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from tests.support.aws_cli import zip_of
from tests.support.upstream import tls_context

VERSION = "1.2.3"
ZIPS = {f"secrets-cache-layer-{architecture}.zip": architecture for architecture in ("x86_64", "arm64")}
PATH = f"/o/r/releases/download/v{VERSION}/"

Fault = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers by redirects and files, but for the faults of its page."""

    protocol_version = "HTTP/1.1"
    page: "Releases"

    def do_GET(self) -> None:
        """Answer one request."""
        self.page.asked.append(self.path)
        name = self.path.rpartition("/")[2]
        fault = self.page.faults.get(name)
        if fault:
            fault(self)
        elif self.path == PATH + name and name in self.page.files:
            self.redirect(f"{self.page.url(host='localhost')}/assets/{name}")
        elif self.path == f"/assets/{name}" and name in self.page.files:
            self.answer(200, self.page.files[name])
        else:
            self.answer(404, b"Not Found")

    def redirect(self, address: str) -> None:
        """Send on to another address."""
        self.answer(302, b"", Location=address)

    def answer(self, status: int, body: bytes, length: int | None = None, **headers: str) -> None:
        """Answer; a length that is not the body's is sent all the same."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


class Releases:
    """
    The releases' page.

    Attributes:
        files: The files of the one release, by name.
        faults: What answers instead, by the last part of the path.
        asked: The paths that were asked for, in order.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, Fault] = {}
        self.asked: list[str] = []
        self._scheme = "https" if certificate else "http"
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Ours", (Handler,), {"page": self}))
        if certificate:
            self._server.socket = tls_context(certificate).wrap_socket(self._server.socket, server_side=True)
            self._server.handle_error = lambda *_: None  # type: ignore[method-assign] # a caller that refuses it

    def url(self, host: str = "127.0.0.1") -> str:
        """Return the address of the server."""
        return f"{self._scheme}://{host}:{self._server.server_port}"

    @property
    def base(self) -> str:
        """Return the address of the releases."""
        return f"{self.url()}/o/r/releases/download"

    def release(self, *contents: str) -> None:
        """Publish the release anew: a zip for each architecture, with these contents, and their sums."""
        self.files = {
            name: zip_of({"extensions/secrets-cache": content, "get-secrets-layer": "a wrapper"})
            for name, content in zip(ZIPS, contents, strict=True)
        }
        self.sum_up()

    def sum_up(self) -> None:
        """Write SHA256SUMS, as sha256sum does."""
        sums = (f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in self.files.items())
        self.files["SHA256SUMS"] = "".join(["0" * 64 + "  deploy.sh\n", *sums]).encode()

    def downloaded(self) -> list[str]:
        """Return the names of the files that were asked for, redirects not counted."""
        return [path.removeprefix(PATH) for path in self.asked if path.startswith(PATH)]

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
