"""What every parser of HTTP responses owes, and what the standard library makes of the same bytes."""

import http.client
import io
from collections.abc import Callable, Iterable
from typing import TypeVar

from secrets_cache.http1.connections import MAX_BODY, MAX_HEAD
from secrets_cache.http1.response import BadResponse, Response, ResponseParser

T = TypeVar("T")

MAX_SPLITS = 24


def splits(data: bytes) -> Iterable[int]:
    """Give some places to cut `data` at: around each line's end, and spread evenly."""
    ends = [at + more for at in range(len(data)) if data[at : at + 1] == b"\n" for more in (0, 1, 2)]
    step = len(data) // MAX_SPLITS + 1
    return sorted({at for at in (*ends[:MAX_SPLITS], *range(0, len(data), step)) if at < len(data)})


def check_splits(outcome: Callable[[bytes], T | None], data: bytes) -> T | None:
    """
    Return the outcome of `data`, having checked that it does not depend on how `data` came.

    Args:
        outcome: What has been understood of some bytes; None if more is to come.
        data: All of it.
    """
    whole = outcome(data)
    for end in splits(data):
        part = outcome(data[:end])
        assert part is None or part == whole, end
    return whole


def new_parser() -> ResponseParser:
    """Return a parser for a response of AWS's."""
    return ResponseParser(max_head_bytes=MAX_HEAD, max_body_bytes=MAX_BODY)


def parse(received: bytes) -> Response | None:
    """
    Return the response that has been received; None if it is not all there yet.

    Raises:
        BadResponse: It is none.
    """
    return new_parser().feed(received)


def until_close(received: bytes) -> Response | None:
    """Return the response that has been received where its connection has ended; None if it is none, or not whole."""
    parser = new_parser()
    try:
        return parser.feed(received) or parser.end()
    except BadResponse:
        return None


class _Socket:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def standard(data: bytes) -> tuple[int, bytes] | None:
    """Return status and body as the standard library reads them up to the connection's end; None if it cannot."""
    response = http.client.HTTPResponse(_Socket(data), method="POST")  # type: ignore[arg-type]
    try:
        response.begin()
        return response.status, response.read()
    except (http.client.HTTPException, ValueError, OSError):
        return None
    finally:
        response.close()
