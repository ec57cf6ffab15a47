"""
HTTP/1.1 responses, as their bytes arrive. No I/O.

Rules
-----
1. Strict, as RFC 9112 wants it of a recipient: what two readers might understand differently is refused.
2. Each byte is looked at once, in however small pieces a response arrives; head and body are bounded. A server that
   drips or floods must not hold up the rest of the process.
3. Nothing slow is imported: the registration, which the function's own start waits for, reads a response.
4. No text and no repr holds a body: it may be a secret.
"""

from __future__ import annotations

# Responses that precede the final one, and those without a body (RFC 9110 section 15.2, RFC 9112 section 6.3).
INTERIM = range(100, 200)
WITHOUT_BODY = frozenset({204, 304})
# More digits than any length that is allowed, and fewer than `int` refuses.
MAX_DIGITS = 10
HEXADECIMAL = b"0123456789abcdefABCDEF"
VERSION = b"HTTP/1."
FRAMING = frozenset({"content-length", "transfer-encoding"})


class BadResponse(ValueError):
    """What arrived is not an HTTP/1.1 response, or is larger than allowed. The text says which; it quotes nothing."""


class Response:
    """
    A final response.

    Attributes:
        status: The status code.
        headers: Values by lower-case name; of several fields with one name, the last.
        body: All of it, without the framing of chunks.
    """

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def __repr__(self) -> str:
        return f"<Response: status {self.status}, {len(self.headers)} headers, {len(self.body)} bytes>"


class ResponseParser:
    """
    Parses the response to one request.

    Args:
        max_head_bytes: How long the head may be, and each line between chunks, and the trailers.
        max_body_bytes: How long the body may be.
    """

    def __init__(self, *, max_head_bytes: int, max_body_bytes: int) -> None:
        self._max_head_bytes = max_head_bytes
        self._max_body_bytes = max_body_bytes
        # What has arrived and is not parsed yet, and how far it has been searched for the end of a line or a head.
        self._received = bytearray()
        self._searched = 0
        self._status = 0
        # None until the head of the final response has arrived.
        self._headers: dict[str, str] | None = None
        # What ends the body: chunks, a length, or, with neither, the connection's end.
        self._is_chunked = False
        self._length: int | None = None
        # The chunks so far, and the size of the current one; None before its size has arrived.
        self._body = bytearray()
        self._chunk_bytes: int | None = None

    def feed(self, data: bytes) -> Response | None:
        """
        Take bytes that have arrived; return the response once it is complete, else None.

        Bytes after the response are ignored. A parser that has returned a response, or raised, must not be fed again.

        Raises:
            BadResponse: This is not a response, or too large.
        """
        self._received += data
        while self._headers is None:
            if not self._parse_head():
                return None
        if self._is_chunked:
            return Response(self._status, self._headers, bytes(self._body)) if self._parse_chunks() else None
        if self._length is None:
            if len(self._received) > self._max_body_bytes:
                raise self._too_long()
            return None
        if len(self._received) < self._length:
            return None
        del self._received[self._length :]
        return Response(self._status, self._headers, bytes(self._received))

    def end(self) -> Response | None:
        """Return the response that the connection's end completes; None if more should have come."""
        if self._headers is None or self._is_chunked or self._length is not None:
            return None
        return Response(self._status, self._headers, bytes(self._received))

    def _parse_head(self) -> bool:
        """Parse one head; return whether all of it was there."""
        if not self._received.startswith(VERSION[: len(self._received)]):
            raise BadResponse("this is not an HTTP/1.1 response")
        head = self._take_until(b"\r\n\r\n")
        if head is None:
            return False
        status, headers = _parse_head(head)
        if status in INTERIM:
            return True
        self._status, self._headers = status, headers
        if status in WITHOUT_BODY:
            self._length = 0
        elif "transfer-encoding" in headers:
            if headers["transfer-encoding"].lower() != "chunked":
                raise BadResponse("the transfer encoding is not chunked")
            self._is_chunked = True
        elif "content-length" in headers:
            length = headers["content-length"]
            if not (length.isascii() and length.isdigit()):
                raise BadResponse("the content length is not a number")
            if len(length) > MAX_DIGITS or int(length) > self._max_body_bytes:
                raise self._too_long()
            self._length = int(length)
        return True

    def _parse_chunks(self) -> bool:
        """Move chunks that are complete to the body (RFC 9112 section 7.1); return whether the last one has come."""
        while True:
            if self._chunk_bytes is None:
                line = self._take_until(b"\r\n")
                if line is None:
                    return False
                self._chunk_bytes = _parse_chunk_size(line)
                if self._chunk_bytes + len(self._body) > self._max_body_bytes:
                    raise self._too_long()
                if self._chunk_bytes == 0:
                    # An empty line follows, or trailers and an empty line: with this, both end in the same bytes.
                    self._received[:0] = b"\r\n"
            size = self._chunk_bytes
            if size == 0:
                return self._take_until(b"\r\n\r\n") is not None
            if len(self._received) < size + 2:
                return False
            if not self._received.startswith(b"\r\n", size):
                raise BadResponse("a chunk is not followed by a line break")
            self._body += self._received[:size]
            del self._received[: size + 2]
            self._chunk_bytes = None

    def _take_until(self, mark: bytes) -> bytes | None:
        """Remove and return what precedes a mark, and remove the mark; None if the mark has not arrived."""
        # The mark may have begun in what was searched before.
        found = self._received.find(mark, max(0, self._searched - len(mark) + 1))
        if (len(self._received) - len(mark) + 1 if found < 0 else found) > self._max_head_bytes:
            raise BadResponse(f"the head or a line of the framing is longer than {self._max_head_bytes} bytes")
        if found < 0:
            self._searched = len(self._received)
            return None
        taken = bytes(self._received[:found])
        del self._received[: found + len(mark)]
        self._searched = 0
        return taken

    def _too_long(self) -> BadResponse:
        return BadResponse(f"the body is longer than {self._max_body_bytes} bytes")


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    """Return the status and the headers of a head, given without its empty line (RFC 9112 sections 4 and 5)."""
    first, *lines = head.decode("latin-1").split("\r\n")
    if head.count(b"\r") != len(lines) or head.count(b"\n") != len(lines) or b"\0" in head:
        raise BadResponse("the head has a line break or a NUL where none may be")
    # "HTTP/1.1 200 OK"; the reason may be missing, and the blank before it with it.
    status = first[9:12]
    is_number = status.isascii() and status.isdigit() and status[0] != "0" and len(status) == 3  # noqa: PLR2004
    if first[7:8] not in "0123456789" or first[8:9] != " " or not is_number or first[12:13] not in {"", " "}:
        raise BadResponse("this is not an HTTP/1.1 response: the status line is malformed")
    headers: dict[str, str] = {}
    framing = 0
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or not name.isascii() or not name.isprintable() or " " in name:
            raise BadResponse("a header line is malformed")
        name = name.lower()
        framing += name in FRAMING
        headers[name] = value.strip(" \t")
    if framing > 1:
        # If they disagree, or another reader prefers the other one, there are two bodies.
        raise BadResponse("the length of the body is given more than once")
    return int(status), headers


def _parse_chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].rstrip(b" \t")
    if not digits or len(digits) > MAX_DIGITS or digits.strip(HEXADECIMAL):
        raise BadResponse("a chunk has no valid size")
    return int(digits, 16)
