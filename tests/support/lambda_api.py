"""An Extensions API of our own, for what AWS's emulator does not do on demand: refuse, hang up, answer nonsense."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.support.stub_server import HttpServer, Request

IDENTIFIER = "0d2f6a4e-0000-4000-8000-000000000000"
Answer = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True, slots=True)
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


class LambdaApi(HttpServer):
    """
    The stub. A context manager; `address` is its AWS_LAMBDA_RUNTIME_API.

    Attributes:
        calls: What arrived.
        answers: Answers (status, headers, body) to give first, by path; None hangs up.
        event: The event that `/event/next` gives once `release` is set.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.answers: dict[str, list[Answer | None]] = {}
        self.event: dict[str, Any] = {"eventType": "SHUTDOWN", "shutdownReason": "spindown"}
        self.release = threading.Event()
        self._arrived = threading.Condition()

    def __exit__(self, *_: object) -> None:
        self.release.set()
        super().__exit__()

    def paths(self) -> list[str]:
        """Return the paths asked for so far, without the version."""
        return [call.path.removeprefix("/2020-01-01/extension") for call in self.calls]

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until a condition on the calls holds; return whether it does."""
        with self._arrived:
            return self._arrived.wait_for(condition, seconds)

    def handle(self, request: Request) -> None:
        """Answer one request."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        with self._arrived:
            self.calls.append(Call(request.command, request.path, headers, request.body))
            self._arrived.notify_all()
        path = request.path.removeprefix("/2020-01-01/extension")
        answer = self._answer(path)
        if answer is None:
            request.close_connection = True
            return
        status, more, body = answer
        request.answer(status, body, more)

    def _answer(self, path: str) -> Answer | None:
        if self.answers.get(path):
            return self.answers[path].pop(0)
        if path == "/register":
            return 200, {"Lambda-Extension-Identifier": IDENTIFIER}, b'{"functionName":"f"}'
        if path == "/event/next":
            self.release.wait()
            return 200, {}, json.dumps(self.event).encode()
        return 202, {}, b'{"status":"OK"}'
