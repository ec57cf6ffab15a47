"""The client of a running server: which addresses it takes, and to which servers it sends the token."""

import pytest

from secrets_cache.cli.client import Answer
from tests.support.command_line import VALUE, command
from tests.support.fakes import CANARY
from tests.support.stub_server import HttpServer, Request
from tools.emulator import free_port


@pytest.mark.parametrize(
    "url", ["https://localhost:1", "localhost:8080", "http://localhost:1/cache/", "http://:x", "http://"]
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

    assert (1, f"secrets-cache: 127.0.0.1:{port} is used by another program\n") == (code, err)
    assert VALUE.encode() == out
    assert [("/ping", None)] * 2 == seen


def test_an_answer_shows_no_body():
    """The body may be the value of a secret."""
    answer = Answer(200, CANARY.encode())

    assert CANARY not in f"{answer} {answer!r}"
