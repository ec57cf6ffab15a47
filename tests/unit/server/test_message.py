"""Requests and responses: what they hold is not shown."""

from secrets_cache.server.message import Request, Response
from tests.support.fakes import CANARY


def test_a_request_does_not_show_its_token():
    """Neither in its repr nor in formatted text; two of them are compared by identity, which shows nothing either."""
    request, other = (Request(method="GET", target="/ping", hosts=["localhost"], tokens=[CANARY]) for _ in range(2))

    assert CANARY not in f"{request} {request!r} {[request]}"
    assert "<Request 'GET' '/ping'>" == repr(request)
    assert request != other
    assert not hasattr(request, "__dict__")


def test_a_response_does_not_show_its_body():
    """Only its status, and how long the body is."""
    response, other = (Response(200, {"Content-Type": "text/plain"}, CANARY.encode()) for _ in range(2))

    assert CANARY not in f"{response} {response!r} {[response]}"
    assert f"<Response 200, {len(CANARY)} bytes>" == repr(response)
    assert response != other
    assert not hasattr(response, "__dict__")
