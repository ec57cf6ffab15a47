"""A container's endpoint that gives credentials, as SnapStart, ECS and EKS have one."""

import json
import threading
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from tests.support.fakes import CANARY
from tests.support.stub_server import HttpServer, Request

GOOD = {
    "RoleArn": "arn:aws:iam::123456789012:role/reader",
    "AccessKeyId": "ASIAEXAMPLE",
    "SecretAccessKey": f"{CANARY}-key",
    "Token": f"{CANARY}-token",
    "Expiration": "2099-01-01T00:00:00Z",
}


class Answer(NamedTuple):
    """What the endpoint answers."""

    status: int = 200
    body: bytes = json.dumps(GOOD).encode()
    headers: Mapping[str, str] = {}
    length: int | None = None


HANG = Answer(0)


class Container(HttpServer):
    """
    A container's endpoint.

    Attributes:
        released: Set to end a request that hangs.
        answers: What it answers to the next requests, and to all after them.
        asked: The path, and the authorization, of each request.
    """

    def __init__(self) -> None:
        super().__init__()
        self.answers = deque([Answer()])
        self.asked: list[tuple[str, str | None]] = []
        self.released = threading.Event()

    def handle(self, request: Request) -> None:
        """Answer what is to be answered."""
        self.asked.append((request.path, request.headers["Authorization"]))
        assert ("GET", "application/json") == (request.command, request.headers["Accept"])
        answer = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        if answer == HANG:
            self.released.wait(60)
        else:
            request.answer(answer.status, answer.body, answer.headers, length=answer.length)
