"""The Extensions API's client, against a stub that can misbehave. AWS's own emulator is in test_emulator."""

import socket
import threading

import pytest

from secrets_cache.errors import ExtensionsApiError
from secrets_cache.extensions_api import ExtensionsApi
from tests.lambda_api import IDENTIFIER, LambdaApi


@pytest.fixture(name="stub")
def _stub():
    with LambdaApi() as stub:
        yield stub


@pytest.fixture(name="api")
def _api(stub) -> ExtensionsApi:
    return ExtensionsApi(stub.address, "secrets-cache")


def test_registering_is_for_shutdown_only_under_the_files_name(stub, api):
    """Lambda insists on the name; Managed Instances admit no other event."""
    api.register()
    (call,) = stub.calls

    assert ("POST", "/2020-01-01/extension/register") == (call.method, call.path)
    assert "secrets-cache" == call.headers["lambda-extension-name"]
    assert ["SHUTDOWN"] == call.events
    assert stub.address == call.headers["host"]


def test_no_proxy_is_asked(stub, api, monkeypatch):
    """Whatever the function's environment says: this address is the platform's."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    api.register()

    assert ["/register"] == stub.paths()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((403, {}, b'{"errorType":"Extension.InvalidExtensionName"}'), "status 403: .*InvalidExtensionName"),
        ((500, {}, b"oops"), "status 500: oops"),
        ((200, {}, b"{}"), "the answer has no Lambda-Extension-Identifier"),
        (None, "the connection ended without an answer"),
    ],
)
def test_a_registration_that_fails_says_why(stub, api, answer, reason):
    """One error, with the call and what came back."""
    stub.answers["/register"] = [answer]

    with pytest.raises(ExtensionsApiError, match=f"POST /extension/register: {reason}"):
        api.register()


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
    api = ExtensionsApi(address, "secrets-cache")

    for call in (api.register, api.open_next, lambda: api.init_error("a", "b")):
        with pytest.raises(ExtensionsApiError, match=reason):
            call()


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
            ExtensionsApi(f"127.0.0.1:{server.getsockname()[1]}", "x").register()
        thread.join()


def test_the_next_event_is_asked_for_once_and_waited_for(stub, api):
    """However often it is opened, one request is under way."""
    api.register()
    assert api.open_next() == api.open_next()
    stub.release.set()

    assert "SHUTDOWN" == api.read_next()
    assert ["/register", "/event/next"] == stub.paths()
    assert IDENTIFIER == stub.calls[1].headers["lambda-extension-identifier"]


def test_asking_for_the_next_event_registers_first_where_that_failed(stub, api):
    """A registration that failed is made up for."""
    stub.release.set()

    assert "SHUTDOWN" == api.read_next()
    assert ["/register", "/event/next"] == stub.paths()


@pytest.mark.parametrize("answer", [(403, {}, b"no"), (500, {}, b"no"), None])
def test_a_next_that_fails_is_not_open_any_more(stub, api, answer):
    """The following one is a new request."""
    api.register()
    stub.answers["/event/next"] = [answer]
    stub.release.set()

    with pytest.raises(ExtensionsApiError, match="GET /extension/event/next"):
        api.read_next()
    assert "SHUTDOWN" == api.read_next()


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"nonsense", b"[" * 100_000])
def test_an_event_without_a_type_has_none(stub, api, body):
    """It is no SHUTDOWN, and no error either."""
    api.register()
    stub.answers["/event/next"] = [(200, {}, body)]

    assert api.read_next() in {"", "None"}


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Transfer-Encoding": "chunked"}, b'9\r\n{"eventTy\r\nf;x=y\r\npe":"SHUTDOWN"}\r\n0\r\n\r\n'),
        ({"Connection": "close"}, b'{"eventType":"SHUTDOWN"}'),
    ],
)
def test_a_body_may_come_in_chunks_or_until_the_end(stub, api, headers, body):
    """Every framing that HTTP/1.1 has is understood."""
    api.register()
    stub.answers["/event/next"] = [(200, headers, body)]

    assert "SHUTDOWN" == api.read_next()


def test_a_failed_init_is_reported_with_its_type_and_text(stub, api):
    """Both in the body and, the type, in the header that Lambda reads."""
    api.register()

    api.init_error("Extension.ConfigInvalid", 'ttl: found "x"')

    call = stub.calls[1]
    assert "/2020-01-01/extension/init/error" == call.path
    assert "Extension.ConfigInvalid" == call.headers["lambda-extension-function-error-type"]
    assert (
        b'{"errorType": "Extension.ConfigInvalid", "errorMessage": "ttl: found \\"x\\"", "stackTrace": []}' == call.body
    )
