"""What is left when the engine cannot run."""

import json
import threading
import urllib.error
import urllib.request

import pytest

from secrets_cache import last_resort
from secrets_cache.extensions_api import ExtensionsApi
from secrets_cache.listeners import bind
from tests.conftest import PATIENCE_SECONDS
from tests.lambda_api import LambdaApi


@pytest.fixture(name="stub")
def _stub():
    with LambdaApi() as stub:
        yield stub


class Staying:
    """`stay` in a thread of its own."""

    def __init__(self, stub: LambdaApi, *, listen: bool = True) -> None:
        self.sockets = bind(0)[0] if listen else []
        self.reported: list[str] = []
        api = ExtensionsApi(stub.address, "secrets-cache")
        self.thread = threading.Thread(
            target=last_resort.stay, args=(api, self.sockets, lambda error: self.reported.append(str(error)))
        )
        self.thread.start()

    def ended(self) -> bool:
        """Wait for the end; return whether it came."""
        self.thread.join(PATIENCE_SECONDS)
        for listener in self.sockets:
            listener.close()
        return not self.thread.is_alive()


def test_every_request_is_answered_at_once_with_the_reason(stub):
    """503 as problem details; a caller that says nothing is not waited for, and SHUTDOWN ends it."""
    staying = Staying(stub)
    url = f"http://127.0.0.1:{staying.sockets[0].getsockname()[1]}/cache/db"

    for _ in range(2):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(url, timeout=PATIENCE_SECONDS)
        with caught.value as answer:
            details = json.loads(answer.read())
        assert (503, "upstream-unavailable", 503) == (answer.code, details["code"], details["status"])
        assert "application/problem+json" == answer.headers["Content-Type"]
    stub.release.set()

    assert staying.ended()
    assert [] == staying.reported


def test_without_sockets_it_only_stays(stub):
    """Staying is what keeps the function alive."""
    staying = Staying(stub, listen=False)
    assert stub.wait_until(lambda: "/event/next" in stub.paths(), PATIENCE_SECONDS)
    assert staying.thread.is_alive()
    stub.release.set()

    assert staying.ended()


def test_an_api_that_fails_is_asked_again_and_each_failure_reported(stub, monkeypatch):
    """Ever more slowly; another event than SHUTDOWN is passed over."""
    monkeypatch.setattr(last_resort, "RETRY_SECONDS", 0.01)
    stub.answers["/register"] = [(403, {}, b"no")]
    stub.answers["/event/next"] = [(500, {}, b"no"), None, (200, {}, b'{"eventType":"INVOKE"}')]
    stub.release.set()
    staying = Staying(stub)

    assert staying.ended()
    assert 3 == len(staying.reported)
    assert ["/register", "/register", "/event/next", "/event/next", "/event/next", "/event/next"] == stub.paths()


def test_it_ends_when_whoever_started_us_is_gone(stub, monkeypatch):
    """An orphan would only hold the port."""
    parents = iter([1, 2])
    monkeypatch.setattr("os.getppid", lambda: next(parents))
    stub.answers["/register"] = [None]

    assert Staying(stub).ended()
