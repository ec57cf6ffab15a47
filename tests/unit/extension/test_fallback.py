"""What is left when the library cannot run."""

import contextlib
import json
import socket
import threading
import time
import urllib.error
import urllib.request

import pytest

from secrets_cache.errors import ExtensionsApiError
from secrets_cache.extension.extensions_api import ExtensionsApi
from secrets_cache.extension.fallback import MAX_CALLERS, answer_until_shutdown
from secrets_cache.system.sockets import bind, open_sockets
from tests.conftest import PATIENCE_SECONDS
from tests.support.lambda_api import LambdaApi

REQUEST = b"GET /cache/db HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Staying:
    """`answer_until_shutdown` in a thread of its own."""

    def __init__(self, api: LambdaApi, *, listen: bool = True, **options: float) -> None:
        self.sockets = open_sockets(bind(0)[0]) if listen else []
        self.reported: list[str] = []
        self.has_reported = threading.Event()
        client = ExtensionsApi(api.address, "secrets-cache")
        self.thread = threading.Thread(
            target=answer_until_shutdown, args=(client, self.sockets, self._report), kwargs=options, daemon=True
        )
        self.thread.start()

    def _report(self, error: ExtensionsApiError) -> None:
        self.reported.append(str(error))
        self.has_reported.set()

    def connect(self) -> socket.socket:
        """Return a new connection."""
        return socket.create_connection(self.sockets[0].getsockname(), PATIENCE_SECONDS)

    def answer(self, *parts: bytes) -> bytes:
        """Send a request in parts; return all of the answer."""
        with self.connect() as connection:
            for part in parts:
                connection.sendall(part)
            connection.shutdown(socket.SHUT_WR)
            with connection.makefile("rb") as stream:
                return stream.read()

    def ended(self) -> bool:
        """Wait for the end; return whether it came."""
        self.thread.join(PATIENCE_SECONDS)
        for listener in self.sockets:
            listener.close()
        return not self.thread.is_alive()


def test_every_request_is_answered_at_once_with_the_reason(api):
    """503 as problem details; a caller that says nothing is not waited for, and SHUTDOWN ends it."""
    staying = Staying(api)
    url = f"http://127.0.0.1:{staying.sockets[0].getsockname()[1]}/cache/db"

    for _ in range(2):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(url, timeout=PATIENCE_SECONDS)
        with caught.value as answer:
            details = json.loads(answer.read())
        assert (503, "upstream-unavailable", 503) == (answer.code, details["code"], details["status"])
        assert "application/problem+json" == answer.headers["Content-Type"]
    api.release.set()

    assert staying.ended()
    assert [] == staying.reported


def test_without_sockets_it_only_stays(api):
    """Staying is what keeps the function alive."""
    staying = Staying(api, listen=False)
    assert api.wait_until(lambda: "/event/next" in api.paths(), PATIENCE_SECONDS)
    assert staying.thread.is_alive()
    api.release.set()

    assert staying.ended()


def test_an_api_that_fails_is_asked_again_and_each_failure_reported(api):
    """Ever more slowly; another event than SHUTDOWN is one of them."""
    api.answers["/register"] = [(403, {}, b"no")]
    api.answers["/event/next"] = [(500, {}, b"no"), None, (200, {}, b'{"eventType":"INVOKE"}')]
    api.release.set()
    staying = Staying(api, first_pause=0.01)

    assert staying.ended()
    assert 4 == len(staying.reported)
    assert ["/register", "/register", "/event/next", "/event/next", "/event/next", "/event/next"] == api.paths()


def test_callers_are_answered_while_the_api_is_not_to_be_asked(api):
    """A pause is the API's, not theirs."""
    api.answers["/register"] = [None]
    staying = Staying(api, first_pause=PATIENCE_SECONDS)
    assert staying.has_reported.wait(PATIENCE_SECONDS)

    assert staying.answer(REQUEST).startswith(b"HTTP/1.1 503")
    assert ["/register"] == api.paths()


def test_callers_that_say_nothing_delay_no_other_and_are_given_up(api):
    """Each has its own time."""
    staying = Staying(api, caller_seconds=0.5)
    began = time.monotonic()
    silent = [staying.connect() for _ in range(20)]

    assert staying.answer(REQUEST).startswith(b"HTTP/1.1 503")
    assert 5 > time.monotonic() - began
    for connection in silent:
        with connection:
            assert b"" == connection.recv(1)
    api.release.set()
    assert staying.ended()


def test_more_callers_than_there_is_room_for_wait(api):
    """They are answered when others have been given up."""
    staying = Staying(api, caller_seconds=0.3)
    with contextlib.ExitStack() as stack:
        for _ in range(MAX_CALLERS + 10):
            stack.enter_context(staying.connect())

        assert staying.answer(REQUEST).startswith(b"HTTP/1.1 503")
    api.release.set()
    assert staying.ended()


def test_head_gets_no_body(api):
    """The same head, and nothing after it."""
    staying = Staying(api)

    head, _, body = staying.answer(REQUEST).partition(b"\r\n\r\n")
    assert head + b"\r\n\r\n" == staying.answer(REQUEST.replace(b"GET", b"HEAD"))
    assert f"Content-Length: {len(body)}".encode() in head
    api.release.set()
    assert staying.ended()


def test_a_request_may_come_in_parts_and_what_is_none_gets_no_answer(api):
    """The answer comes after the end of the head, and only then."""
    staying = Staying(api)

    assert staying.answer(REQUEST[:9], REQUEST[9:]).startswith(b"HTTP/1.1 503")
    assert b"" == staying.answer(b"nonsense")
    api.release.set()
    assert staying.ended()


def test_it_ends_when_its_parent_has_ended(api, monkeypatch):
    """An orphan would only hold the port."""
    parents = iter([1, 2])
    monkeypatch.setattr("os.getppid", lambda: next(parents))
    api.answers["/register"] = [None]

    assert Staying(api).ended()
