"""Any bytes as what the Extensions API answers."""

from collections.abc import Callable

from secrets_cache.http1.exchange import MAX_RESPONSE_BYTES
from secrets_cache.http1.response import Response, ResponseParser
from tests.fuzz.framing import check_splits, standard


def read(received: bytes, *, is_all: bool) -> Response | None:
    """Return the response in what has been received, as an exchange reads it; None if it is incomplete."""
    parser = ResponseParser(max_head_bytes=MAX_RESPONSE_BYTES, max_body_bytes=MAX_RESPONSE_BYTES)
    return parser.feed(received) or (parser.end() if is_all else None)


def platform(data: bytes, read: Callable[..., Response | None] = read) -> None:
    """
    Any bytes from the platform are a response, the same however they were cut, or none, or a ValueError.

    Where the standard library reads a response too, it is the same. The body is never longer than what came.
    """

    def understood(received: bytes) -> object:
        try:
            response = read(received, is_all=False)
        except ValueError:
            return "bad"
        return None if response is None else (response.status, response.headers, response.body)

    found = check_splits(understood, data)
    try:
        response = read(data, is_all=True)
    except ValueError:
        response = None
    assert found is None or found == "bad" or response is not None
    if response is None:
        return
    assert len(response.body) <= len(data)
    expected = standard(data)
    if expected is not None and response.status not in {*range(100, 200), 204, 304}:
        assert expected == (response.status, response.body)
