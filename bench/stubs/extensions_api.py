"""
A stub of Lambda's Extensions API and Runtime API: answers a registration at once, and /next never.

    GET /calls    the paths asked for since the last time, each with the moment it arrived: [[path, ns], ...]
"""

import asyncio
import json
import time

from bench.stubs.http import Connection, announce_and_stay, listen, response

IDENTIFIER = "Lambda-Extension-Identifier: 0d2f6a4e-0000-4000-8000-000000000000\r\n"
REGISTERED = response({"functionName": "f", "functionVersion": "1", "handler": "f.handler"}, headers=IDENTIFIER)
ACCEPTED = response({"status": "OK"}, status=202)


class Api:
    """The stub; `calls` is what arrived."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    def handle(self, connection: Connection, head: bytes, _body: bytes) -> None:
        """Answer one request, or leave it open."""
        now = time.monotonic_ns()
        path = head.split(b" ", 2)[1].decode("latin-1")
        if path == "/calls":
            calls, self.calls = self.calls, []
            content = json.dumps(calls)
            connection.transport.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n\r\n{content}".encode())
            return
        self.calls.append((path, now))
        if path.endswith("/register"):
            connection.transport.write(REGISTERED)
        elif not path.endswith("/next"):
            connection.transport.write(ACCEPTED)


async def serve() -> None:
    """Serve until standard input ends."""
    api = Api()
    await announce_and_stay(port=await listen(lambda: Connection(api.handle)))


if __name__ == "__main__":
    asyncio.run(serve())
