"""
Asking a running server, as `get` and `health` do.

Rules
-----
1. The token is sent only where `/ping`, which needs none, was answered by a server of ours.
2. The server is asked as an application would: over HTTP, on loopback unless `--url` says otherwise.
"""

import http.client
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from secrets_cache.cli.arguments import Usage
from secrets_cache.core.secret import repr_without

# More than `fetch_timeout` can be, twice: a request may wait for a fetch, and that for the first one.
TIMEOUT_SECONDS = 130.0
SERVER = "secrets-cache"
TOKEN_HEADER = "X-Aws-Parameters-Secrets-Token"  # noqa: S105 - a header's name


class Answered(NamedTuple):
    """What the server said."""

    status: int
    body: bytes

    def __repr__(self) -> str:
        """Return everything but the body, which may be a value."""
        return repr_without("body", self)


class NotThere(Exception):
    """There is no server of ours at that address; the text says why."""


def ask(url: str, target: str, tokens: Sequence[str] | None) -> Answered:
    """
    Return what the server at `url` answers to a GET.

    Args:
        url: http://HOST:PORT.
        target: Path and query, encoded.
        tokens: Those that the configuration knows; None or empty for none.

    Raises:
        NotThere: Nobody answers there, or somebody else does.
        Usage: `url` is no such URL.
    """
    try:
        parts = urlsplit(url)
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
            raise NotThere(f"{host}:{port} is somebody else's")
        connection.request("GET", target, headers={TOKEN_HEADER: tokens[0]} if tokens else {})
        response = connection.getresponse()
        return Answered(response.status, response.read())
    except OSError as error:
        raise NotThere(f"{host}:{port}: {error.strerror or error}") from None
    except http.client.HTTPException as error:
        raise NotThere(f"{host}:{port}: {type(error).__name__}") from None
    finally:
        connection.close()
