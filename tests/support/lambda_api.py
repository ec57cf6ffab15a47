"""An Extensions API of our own, for what AWS's emulator does not do on demand: refuse, hang up, answer nonsense."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

IDENTIFIER = "0d2f6a4e-0000-4000-8000-000000000000"


class _Server(ThreadingHTTPServer):
    """A server that is not surprised when who asked has gone: the processes of these tests come and go."""

    def handle_error(self, *_: object) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Call:
    """One request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def events(self) -> Any:
        """What a registration asks for."""
        return json.loads(self.body)["events"]


@dataclass
class LambdaApi:
    """
    The stub. A context manager; `address` is its AWS_LAMBDA_RUNTIME_API.

    Attributes:
        calls: What arrived.
        answers: Answers (status, headers, body) to give first, by path; None hangs up.
        event: The event that `/event/next` gives once `release` is set.
    """

    calls: list[Call] = field(default_factory=list)
    answers: dict[str, list[tuple[int, dict[str, str], bytes] | None]] = field(default_factory=dict)
    event: dict[str, Any] = field(default_factory=lambda: {"eventType": "SHUTDOWN", "shutdownReason": "spindown"})
    release: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Condition = field(default_factory=threading.Condition)
    address: str = ""

    def __enter__(self) -> Self:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Say nothing."""

            def _handle(self) -> None:
                api.handle(self)

            do_GET = do_POST = _handle  # noqa: N815 - the names are http.server's

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def paths(self) -> list[str]:
        """Return the paths asked for so far, without the version."""
        return [call.path.removeprefix("/2020-01-01/extension") for call in self.calls]

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until a condition on the calls holds; return whether it does."""
        with self.arrived:
            return self.arrived.wait_for(condition, seconds)

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        body = request.rfile.read(int(request.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in request.headers.items()}
        path = request.path.removeprefix("/2020-01-01/extension")
        with self.arrived:
            self.calls.append(Call(request.command, request.path, headers, body))
            self.arrived.notify_all()
        scripted = self.answers.get(path)
        if scripted:
            answer = scripted.pop(0)
        elif path == "/register":
            answer = (200, {"Lambda-Extension-Identifier": IDENTIFIER}, b'{"functionName":"f"}')
        elif path == "/event/next":
            self.release.wait()
            answer = (200, {}, json.dumps(self.event).encode())
        else:
            answer = (202, {}, b'{"status":"OK"}')
        if answer is None:
            request.close_connection = True
            return
        status, extra, content = answer
        request.send_response(status)
        for name, value in extra.items():
            request.send_header(name, value)
        if "Transfer-Encoding" not in extra and "Connection" not in extra:
            request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)
