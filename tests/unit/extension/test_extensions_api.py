"""The Extensions API's client, against a stub that can misbehave. AWS's own emulator is in test_emulator."""

import socket
import threading
import time

import pytest

from secrets_cache.errors import ExtensionsApiError
from secrets_cache.extension.extensions_api import ExtensionsApi
from secrets_cache.http1.exchange import run_exchange
from tests.conftest import PATIENCE_SECONDS
from tests.support.lambda_api import IDENTIFIER


def test_registering_is_for_shutdown_only_under_the_files_name(api, client):
    """Lambda insists on the name; Managed Instances admit no other event."""
    run_exchange(client.register())
    (call,) = api.calls

    assert ("POST", "/2020-01-01/extension/register") == (call.method, call.path)
    assert "secrets-cache" == call.headers["lambda-extension-name"]
    assert ["SHUTDOWN"] == call.events
    assert api.address == call.headers["host"]


def test_no_proxy_is_asked(api, client, monkeypatch):
    """Whatever the function's environment says: this address is the platform's."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    run_exchange(client.register())

    assert ["/register"] == api.paths()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((403, {}, b'{"errorType":"Extension.InvalidExtensionName"}'), "status 403: .*InvalidExtensionName"),
        ((500, {}, b"oops"), "status 500: oops"),
        ((200, {}, b"{}"), "the answer has no Lambda-Extension-Identifier"),
        (None, "the connection ended before the response was complete"),
    ],
)
def test_a_registration_that_fails_says_why(api, client, answer, reason):
    """One error, with the call and what came back."""
    api.answers["/register"] = [answer]

    with pytest.raises(ExtensionsApiError, match=f"POST /extension/register: {reason}"):
        run_exchange(client.register())


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1:9", "Connection refused"),
        ("", "AWS_LAMBDA_RUNTIME_API is '', not host:port"),
        ("nonsense", "not host:port"),
        ("127.0.0.1:http", "not host:port"),
    ],
)
def test_an_address_where_nobody_is(address, reason):
    """A refused connection, or no address at all."""
    client = ExtensionsApi(address, "secrets-cache")

    for call in (client.register(), client.report_init_error("a", "b")):
        with pytest.raises(ExtensionsApiError, match=reason):
            run_exchange(call)


@pytest.mark.parametrize(
    "noise",
    [b"nonsense\r\n\r\n", b"", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
)
def test_what_does_not_speak_http(noise):
    """It ends in the same error as everything else."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(noise)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ExtensionsApiError):
            run_exchange(ExtensionsApi(f"127.0.0.1:{server.getsockname()[1]}", "x").register())
        thread.join()


def test_the_next_event_has_no_time_out(api, client):
    """An event that comes to an abandoned request is lost: AWS says not to set one."""
    run_exchange(client.register())
    steps = client.wait_for_shutdown(lambda _: None)
    wait = next(steps)
    while wait.is_writing or not api.wait_until(lambda: "/event/next" in api.paths(), 0):
        wait = next(steps)

    assert (None, True) == (wait.until, wait.descriptor is not None)
    steps.close()


def stay(client: ExtensionsApi) -> tuple[str, list[str]]:
    """Return why it is time to go, and the failures until then."""
    failures: list[str] = []
    reason = run_exchange(client.wait_for_shutdown(lambda error: failures.append(str(error)), 0.01))
    return reason, failures


def test_the_next_event_is_asked_for_once_and_waited_for(api, client):
    """One request, however long it takes, and however often the generator is resumed."""
    run_exchange(client.register())
    steps = client.wait_for_shutdown(lambda error: None)
    for _ in range(5):
        wait = next(steps)
    assert api.wait_until(lambda: "/event/next" in api.paths(), PATIENCE_SECONDS)
    assert wait.until is None
    api.release.set()

    assert "SHUTDOWN" == run_exchange(steps)
    assert ["/register", "/event/next"] == api.paths()
    assert IDENTIFIER == api.calls[1].headers["lambda-extension-identifier"]


def test_asking_for_the_next_event_registers_first_where_that_failed(api, client):
    """A registration that failed is made up for."""
    api.release.set()

    assert ("SHUTDOWN", []) == stay(client)
    assert ["/register", "/event/next"] == api.paths()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((403, {}, b"no"), "status 403: no"),
        ((500, {}, b"no"), "status 500: no"),
        (None, "the connection ended before the response was complete"),
        (
            (200, {}, b'{"eventType":"INVOKE"}'),
            "Lambda sent the event 'INVOKE', but the extension registered only for SHUTDOWN",
        ),
        *(((200, {}, body), "Lambda sent the event '") for body in (b"", b"[]", b"{}", b"nonsense", b"[" * 60_000)),
    ],
)
def test_whatever_is_not_shutdown_is_reported_and_asked_again(api, client, answer, reason):
    """The following one is a new request."""
    api.answers["/event/next"] = [answer]
    api.release.set()

    ended, (failure,) = stay(client)

    assert "SHUTDOWN" == ended
    assert f"GET /extension/event/next: {reason}" in failure


@pytest.mark.parametrize("answer", [(500, {}, b"no"), (200, {}, b'{"eventType":"INVOKE"}')])
def test_the_pause_between_two_tries_doubles(api, client, answer):
    """An API that always fails, or always has another event, takes no CPU."""
    api.answers["/event/next"] = [answer] * 4
    api.release.set()
    began = time.monotonic()

    assert 4 == len(stay(client)[1])

    assert 0.01 * (1 + 2 + 4 + 8) <= time.monotonic() - began


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Transfer-Encoding": "chunked"}, b'9\r\n{"eventTy\r\nf;x=y\r\npe":"SHUTDOWN"}\r\n0\r\n\r\n'),
        ({"Connection": "close"}, b'{"eventType":"SHUTDOWN"}'),
    ],
)
def test_a_body_may_come_in_chunks_or_until_the_end(api, client, headers, body):
    """Every framing that HTTP/1.1 has is understood."""
    api.answers["/event/next"] = [(200, headers, body)]

    assert ("SHUTDOWN", []) == stay(client)


def test_a_failed_init_is_reported_with_its_type_and_text(api, client):
    """Both in the body and, the type, in the header that Lambda reads."""
    run_exchange(client.register())

    run_exchange(client.report_init_error("Extension.ConfigInvalid", 'ttl: found "x"'))

    call = api.calls[1]
    assert "/2020-01-01/extension/init/error" == call.path
    assert "Extension.ConfigInvalid" == call.headers["lambda-extension-function-error-type"]
    assert (
        b'{"errorType": "Extension.ConfigInvalid", "errorMessage": "ttl: found \\"x\\"", "stackTrace": []}' == call.body
    )
