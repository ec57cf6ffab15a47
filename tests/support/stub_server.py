"""What the HTTP servers of the tests have in common: a thread of their own, a port from the kernel, and no log."""

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from tests.support.upstream import tls_context

NOTHING: Mapping[str, str] = {}


class Request(BaseHTTPRequestHandler):
    """One request: `command`, `path`, `headers` and `body` are what was asked."""

    protocol_version = "HTTP/1.1"
    owner: "HttpServer"
    body: bytes

    def _handle(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.owner.handle(self)

    do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 - the names are http.server's

    def answer(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] = NOTHING, *, length: int | None = None
    ) -> None:
        """Answer, with the body's length unless the headers say how it ends. After another length, hang up."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if not {"Connection", "Transfer-Encoding"} & headers.keys():
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.close_connection = self.close_connection or length is not None
        self.wfile.write(body)

    def redirect(self, address: str) -> None:
        """Send the caller to another address."""
        self.answer(302, headers={"Location": address})

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing: callers come and go, and some refuse the certificate."""


class HttpServer:
    """A server. A context manager; a subclass says in `handle` what it answers."""

    def __init__(self, certificate: Path | None = None) -> None:
        self._listener = _Listener(("127.0.0.1", 0), type("OwnRequest", (Request,), {"owner": self}))
        self._scheme = "https" if certificate else "http"
        if certificate:
            self._listener.socket = tls_context(certificate).wrap_socket(self._listener.socket, server_side=True)

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._listener.server_port}"

    @property
    def url(self) -> str:
        """The address as a URL."""
        return f"{self._scheme}://{self.address}"

    def handle(self, request: Request) -> None:
        """Answer one request."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join()
