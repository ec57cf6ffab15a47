"""
The client of a running server, for `get` and `health`.

Rules
-----
1. The token is sent only to a server whose answer to `/ping`, which needs no token, names secrets-cache.
2. The server is asked as an application asks it: over HTTP, on loopback unless `--url` names another host.
"""

import http.client
from typing import Final
from urllib.parse import urlsplit

from secrets_cache.cli.arguments import Usage
from secrets_cache.config import Config
from secrets_cache.core.secret import Confidential

OK = 200

# More than twice the largest `fetch_timeout`: a request may wait for two fetches, one after the other.
TIMEOUT_SECONDS = 130.0
SERVER = "secrets-cache"
TOKEN_HEADER = "X-Aws-Parameters-Secrets-Token"  # noqa: S105 - a header's name


class Answer(Confidential):
    """The server's answer: its status, and its content, which may be a secret's value."""

    __slots__ = ("body", "status")
    HIDDEN = "body"

    def __init__(self, status: int, body: bytes) -> None:
        self.status: Final = status
        self.body: Final = body


class NoServer(Exception):
    """No secrets-cache answers at that address; the text says why."""


def ask(url: str, target: str, config: Config) -> Answer:
    """
    Send a GET to a server; return its answer.

    Args:
        url: http://HOST:PORT; empty for this machine and the configured port.
        target: Path and query, encoded.
        config: The configuration; the first of its tokens is sent.

    Raises:
        NoServer: Nothing answers there, or another program does.
        Usage: `url` has another form.
    """
    try:
        parts = urlsplit(url or f"http://127.0.0.1:{config.port}")
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        host, port = None, 0
    if host is None or parts.scheme != "http" or parts.path not in {"", "/"} or parts.query:
        raise Usage(f"--url: found {url!r}; allowed: a URL such as http://localhost:8080")
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/ping")
        greeting = connection.getresponse()
        greeting.read()
        if greeting.headers.get("Server") != SERVER:
            raise NoServer(f"{host}:{port} is used by another program")
        connection.request("GET", target, headers={TOKEN_HEADER: config.tokens[0].text} if config.tokens else {})
        response = connection.getresponse()
        return Answer(response.status, response.read())
    except OSError as error:
        raise NoServer(f"no server at {host}:{port}: {error.strerror or error}") from None
    except http.client.HTTPException as error:
        raise NoServer(f"no server at {host}:{port}: {type(error).__name__}") from None
    finally:
        connection.close()
