"""The client of a running server: which addresses it takes, and to which servers it sends the token."""

import contextlib
import socket
import threading
from typing import Self

import pytest

from secrets_cache.cli.client import Answer, NoServer, ask
from secrets_cache.config import Config
from tests.conftest import PATIENCE_SECONDS
from tests.support.command_line import VALUE, command
from tests.support.fakes import CANARY
from tests.support.stub_server import HttpServer, Request
from tools.emulator import free_port


@pytest.mark.parametrize(
    "url",
    [
        "https://localhost:1",
        "localhost:8080",
        "http://localhost:1/cache/",
        "http://localhost:0",
        "http://:x",
        "http://",
    ],
)
@pytest.mark.parametrize("name", ["get", "health"])
def test_a_url_is_that_of_a_server(name, url):
    """Every other text is wrong usage."""
    code, _, err = command(name, *(["db"] if name == "get" else []), "--url", url, port=free_port())

    assert 2 == code
    assert "allowed: a URL such as http://localhost:8080" in err


def test_the_token_is_sent_only_to_secrets_cache(filled, config_file):
    """Another program on that port gets a request for /ping and no other; the secret is then fetched from AWS."""
    seen: list[tuple[str, str | None]] = []

    class Other(HttpServer):
        def handle(self, request: Request) -> None:
            seen.append((request.path, request.headers["X-Aws-Parameters-Secrets-Token"]))
            request.answer(200)

    with Other() as other:
        port = int(other.address.partition(":")[2])
        _, out, _ = command("get", "--config", str(config_file), "db", port=port, SECRETS_CACHE_TOKEN="t")
        code, _, err = command("health", "--config", str(config_file), port=port)

    said = f"secrets-cache: another program answers at 127.0.0.1:{port}, not secrets-cache; start `secrets-cache"
    assert (1, True) == (code, err.startswith(said))
    assert VALUE.encode() == out
    assert [("/ping", None)] * 2 == seen


PING = b"HTTP/1.1 200 OK\r\nServer: secrets-cache\r\nContent-Length: 0\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nServer: secrets-cache\r\n"


class Bytes:
    """A server that says the given bytes, one piece for each request, and then drips or is silent."""

    def __init__(self, *pieces: bytes, drip: bytes = b"") -> None:
        self._pieces = pieces
        self._drip = drip
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection, contextlib.suppress(OSError):
            for piece in self._pieces:
                connection.recv(65536)
                connection.sendall(piece)
            while not self._end.wait(0.02):
                connection.sendall(self._drip)


@pytest.mark.parametrize(
    ("pieces", "drip"),
    [
        ((), b""),
        ((), b"H"),
        ((b"HTTP/1.1 200 OK\r\n",), b"a: b\r\n"),
        ((PING,), b""),
        ((PING, HEAD + b"Content-Length: 1000000\r\n\r\n"), b"x"),
        ((PING, HEAD + b"Transfer-Encoding: chunked\r\n\r\n"), b"1\r\nx\r\n"),
    ],
    ids=["silent", "drips", "endless head", "silent after the greeting", "dripping body", "dripping chunks"],
)
def test_a_server_that_never_ends_its_answer_is_not_waited_for(pieces, drip):
    """The bound is that of the whole, and the message has it."""
    with Bytes(*pieces, drip=drip) as server, pytest.raises(NoServer) as caught:
        ask(server.url, "/health", Config(fetch_timeout=0.1), seconds=0.3)

    assert str(caught.value).endswith("did not answer within 0.4 s (0.3 s and fetch_timeout)")


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"Content-Length: 99999999999999999999", "larger than any of secrets-cache's"),
        (b"Content-Length: 1000000000000000", "larger than any of secrets-cache's"),
        (b"Transfer-Encoding: chunked\r\n\r\nzz", "no server at"),
    ],
)
@pytest.mark.parametrize("at", ["greeting", "answer"])
def test_an_answer_that_cannot_be_is_a_sentence(head, said, at):
    """A length beyond all memory is no traceback."""
    answer = HEAD + head + b"\r\n\r\n"
    with Bytes(*([answer] if at == "greeting" else [PING, answer])) as server, pytest.raises(NoServer, match=said):
        ask(server.url, "/health", Config(), seconds=PATIENCE_SECONDS)


def test_a_program_that_speaks_no_http_is_another_one():
    """Its first line is not shown: it may be anything."""
    with Bytes(b"SSH-2.0-OpenSSH\r\n") as server:
        code, _, err = command("health", "--url", server.url, port=1)

    assert 1 == code
    assert err.endswith(f"another program answers at {server.url[7:]}, and not over HTTP; check --url\n")


def test_an_answer_that_is_cut_is_no_answer():
    """Half a value is worse than none."""

    class Cutting(HttpServer):
        def handle(self, request: Request) -> None:
            is_greeting = request.path == "/ping"
            request.send_response = request.send_response_only  # type: ignore[method-assign]
            request.answer(200, b"half", {"Server": "secrets-cache"}, length=4 if is_greeting else 8)
            request.close_connection = not is_greeting

    with Cutting() as server, pytest.raises(NoServer, match="IncompleteRead"):
        ask(server.url, "/health", Config(), seconds=PATIENCE_SECONDS)


@pytest.mark.parametrize("url", ["http://a..b:1", f"http://{'a' * 70}.test:1"])
def test_a_name_that_cannot_be_is_a_sentence(url):
    """Whatever the library raises for it."""
    with pytest.raises(NoServer, match="no server at"):
        ask(url, "/health", Config(), seconds=PATIENCE_SECONDS)


def test_an_answer_shows_no_body():
    """The body may be the value of a secret."""
    answer = Answer(200, CANARY.encode())

    assert CANARY not in f"{answer} {answer!r}"
