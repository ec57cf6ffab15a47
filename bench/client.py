"""A caller of an extension: just enough HTTP to see when an answer has come, byte by byte."""

import socket
import time

from bench.processes import PATIENCE_SECONDS, Child, NotMeasuredError
from bench.setting import PORT

POLL_SECONDS = 0.0002


def request(path: str, *headers: str) -> bytes:
    """Return a request of this path."""
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost:8080", *headers, "", ""]).encode()


REQUEST = request("/cache/secret-1")


def connected(child: Child, port: int = PORT) -> tuple[int, socket.socket]:
    """Connect as soon as somebody listens; return the moment, and the connection."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        connection = socket.socket()
        try:
            connection.connect(("127.0.0.1", port))
        except ConnectionRefusedError:
            connection.close()
            time.sleep(POLL_SECONDS)
        else:
            return time.monotonic_ns(), connection
    raise NotMeasuredError(f"nobody listens on port {port}: {child.said()}")


def read_whole(connection: socket.socket) -> bytes:
    """Return the whole answer that comes on a connection."""
    received = b""
    connection.settimeout(PATIENCE_SECONDS)
    while not is_whole(received):
        part = connection.recv(65536)
        if not part:
            raise NotMeasuredError("a caller's connection ended without an answer")
        received += part
    return received


def is_whole(received: bytes) -> bool:
    """Return whether a response with a Content-Length has come completely; raise if it is not a good one."""
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return False
    if not head.startswith(b"HTTP/1.1 200 "):
        raise NotMeasuredError(f"the answer is {head[:60]!r}")
    length = int(head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
    return len(body) >= length


def ask_once(port: int, content: bytes = REQUEST) -> bytes:
    """Return the answer to one request on a connection of its own."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(content)
        return read_whole(connection)
