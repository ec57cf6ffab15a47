"""
A stub of Secrets Manager, Parameter Store, STS and the container endpoint, which answers at once or after a set time.

    python -m bench.stubs.upstream [CERTIFICATE]    with one, a second port speaks TLS

    GET /calls                                what happened since the last time, see `Seen`
    GET /set?delay_ms=20&batch=1              from now on; batch=0 refuses BatchGetSecretValue
"""

import asyncio
import contextlib
import json
import ssl
import sys
import time
import urllib.parse
from dataclasses import asdict, dataclass, field

from bench.stubs import answers
from bench.stubs.http import Connection, announce_and_stay, listen, response

TARGET = b"x-amz-target: "


@dataclass(slots=True)
class Seen:
    """What has happened: connections, calls by operation, and when things happened first and last, in ns."""

    connections: int = 0
    calls: dict[str, int] = field(default_factory=dict)
    first_connection: int = 0
    first_request: int = 0
    first_answer: int = 0
    last_answer: int = 0


class Aws:
    """The stub."""

    def __init__(self) -> None:
        self.seen = Seen()
        self.delay_seconds = 0.0
        self.has_batch = True

    def opened(self) -> None:
        """Count a connection."""
        self.seen.connections += 1
        self.seen.first_connection = self.seen.first_connection or time.monotonic_ns()

    def handle(self, connection: Connection, head: bytes, body: bytes) -> None:
        """Answer one request, now or later."""
        now = time.monotonic_ns()
        operation, answer = self._answer(head.lower(), body)
        self.seen.calls[operation] = self.seen.calls.get(operation, 0) + 1
        self.seen.first_request = self.seen.first_request or now
        if self.delay_seconds:
            asyncio.get_running_loop().call_later(self.delay_seconds, self._send, connection, answer)
        else:
            self._send(connection, answer)

    def _answer(self, head: bytes, body: bytes) -> tuple[str, bytes]:
        """Return what was asked for, and the answer."""
        _, target, rest = head.partition(TARGET)
        if target:
            operation = rest.split(b"\r\n", 1)[0].rpartition(b".")[2].decode("latin-1")
            if operation == "batchgetsecretvalue" and not self.has_batch:
                return operation, answers.DENIED
            return operation, answers.answer(operation, json.loads(body))
        if head.startswith(b"get "):
            return "credentials", answers.credentials(head)
        if b"Action=AssumeRole" in body:
            return "assumerole", answers.assumed_role()
        return "unknown", response({}, status=404)

    def _send(self, connection: Connection, answer: bytes) -> None:
        connection.transport.write(answer)
        self.seen.last_answer = time.monotonic_ns()
        self.seen.first_answer = self.seen.first_answer or self.seen.last_answer

    def control(self, connection: Connection, head: bytes, _body: bytes) -> None:
        """Do what the measuring process asks for."""
        target = urllib.parse.urlsplit(head.split(b" ", 2)[1].decode("latin-1"))
        if target.path == "/set":
            given = dict(urllib.parse.parse_qsl(target.query))
            self.delay_seconds = float(given["delay_ms"]) / 1000
            self.has_batch = given["batch"] == "1"
        connection.transport.write(response(asdict(self.seen)))
        self.seen = Seen()


async def serve(certificate: str) -> None:
    """Serve until standard input ends; `certificate` is a file with certificate and key, or empty."""
    aws = Aws()
    ports = {
        "port": await listen(lambda: Connection(aws.handle, aws.opened)),
        "control_port": await listen(lambda: Connection(aws.control)),
    }
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        ports["tls_port"] = await listen(lambda: Connection(aws.handle, aws.opened), context)
    await announce_and_stay(**ports)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(*sys.argv[1:], *[""][: 2 - len(sys.argv)]))
