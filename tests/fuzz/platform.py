"""Any bytes as what the Extensions API answers."""

from collections.abc import Callable

from secrets_cache.http1.connections import BadResponse
from secrets_cache.http1.exchange import Response, response_in
from tests.fuzz.framing import check_splits, parse, until_close


def platform(data: bytes, read: Callable[..., Response | None] = response_in) -> None:
    """
    Any bytes from the platform are a response, the same however they were cut, or none, or a ValueError.

    What the stricter parser of AWS's answers reads, this one reads alike. The body is never longer than what came.
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
    assert response is None or len(response.body) <= len(data)
    assert found is None or found == "bad" or response is not None
    try:
        strict = parse(data) or until_close(data)
    except BadResponse:
        return
    if strict is not None:
        assert response is not None
        assert (strict.status, strict.body) == (response.status, response.body)
