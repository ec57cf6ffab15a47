"""
The client of a running server, for `get` and `health`.

Rules
-----
1. The token is sent only to a server whose answer to `/ping`, which needs no token, names secrets-cache.
2. The server is asked as an application asks it: over HTTP, on loopback unless `--url` names another host.
3. Whatever the server does, or does not do, the command ends in time, and with a sentence.
"""

import http.client
import queue
import threading
from typing import Final
from urllib.parse import urlsplit

from secrets_cache.cli.arguments import Usage
from secrets_cache.config import Config
from secrets_cache.core.secret import Confidential

OK = 200

# In addition to `fetch_timeout`, which a request may wait for.
TIMEOUT_SECONDS = 10.0
# More than any answer of this server: a path of 2,000 parameters of 8 KiB, each character escaped.
MAX_BODY = 128 * 1024 * 1024
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


def ask(url: str, target: str, config: Config, *, seconds: float = TIMEOUT_SECONDS) -> Answer:
    """
    Send a GET to a server; return its answer.

    Args:
        url: http://HOST:PORT; empty for this machine and the configured port.
        target: Path and query, encoded.
        config: The configuration; the first of its tokens is sent.
        seconds: How long the answer may take in addition to the configured `fetch_timeout`.

    Raises:
        NoServer: Nothing answers there in time, or another program does.
        Usage: `url` has another form.
    """
    host, port = _parse_url(url or f"http://127.0.0.1:{config.port}")
    headers = {TOKEN_HEADER: config.tokens[0].text} if config.tokens else {}
    answers: queue.SimpleQueue[Answer | NoServer] = queue.SimpleQueue()
    # A time-out of the socket would begin anew with each byte, and does not cover a name server that hangs.
    threading.Thread(target=lambda: answers.put(_exchange(host, port, target, headers)), daemon=True).start()
    try:
        answer = answers.get(timeout=seconds + config.fetch_timeout)
    except queue.Empty:
        bound = f"{seconds + config.fetch_timeout:g} s ({seconds:g} s and fetch_timeout)"
        raise NoServer(f"{host}:{port} did not answer within {bound}") from None
    if isinstance(answer, NoServer):
        raise answer
    return answer


def _parse_url(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if host is None or port == 0 or parts.scheme != "http" or parts.path not in {"", "/"} or parts.query:
        raise Usage(f"--url: found {url!r}; allowed: a URL such as http://localhost:8080")
    return host, port or http.client.HTTP_PORT


def _exchange(host: str, port: int, target: str, headers: dict[str, str]) -> Answer | NoServer:
    connection = http.client.HTTPConnection(host, port)
    try:
        connection.request("GET", "/ping")
        greeting = connection.getresponse()
        _read(greeting)
        if greeting.headers.get("Server") != SERVER:
            return NoServer(f"another program answers at {host}:{port}, not secrets-cache")
        connection.request("GET", target, headers=headers)
        response = connection.getresponse()
        return Answer(response.status, _read(response))
    except NoServer as error:
        return NoServer(f"no server at {host}:{port}: {error}")
    except OSError as error:
        return NoServer(f"no server at {host}:{port}: {error.strerror or error}")
    except http.client.BadStatusLine:
        return NoServer(f"another program answers at {host}:{port}, and not over HTTP")
    except Exception as error:  # noqa: BLE001 - what the library raises for the bytes of another program, or a wrong name
        return NoServer(f"no server at {host}:{port}: {type(error).__name__}")
    finally:
        connection.close()


def _read(response: http.client.HTTPResponse) -> bytes:
    """Return the content. Raises `HTTPException` if it is not whole, `NoServer` if it is too large for this server."""
    has_length = response.length is not None
    body = b"" if (response.length or 0) > MAX_BODY else response.read(None if has_length else MAX_BODY + 1)
    if (response.length or len(body)) > MAX_BODY:
        raise NoServer("the answer is larger than any of secrets-cache's")
    return body
