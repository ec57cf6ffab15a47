"""The steps of the demo that ask the cache: a rotation, an outage and its end; and what a request takes."""

import http.client
import statistics
import time
from contextlib import closing

from tools.demo.screen import GREEN, YELLOW, paint, title
from tools.demo.upstream import SecretsManager
from tools.emulator import PATIENCE_SECONDS

PORT = 8080
TIMED_REQUESTS = 200
# Three seconds: long enough for everything up to the outage, with room for a slow machine.
TTL_SECONDS = PATIENCE_SECONDS / 10


class DemoError(Exception):
    """A step did not show what it is for; the text says which."""


def expect(is_so: bool, otherwise: str) -> None:  # noqa: FBT001 - what it is about
    """Raise DemoError with the text unless something is so."""
    if not is_so:
        raise DemoError(otherwise)


class Cache:
    """The cache that listens on `port`, as a function asks it."""

    def __init__(self, port: int) -> None:
        self._port = port

    def show(self, aws: SecretsManager) -> None:
        """Show what callers get through a rotation and an outage."""
        title("2. The password is rotated: the cache has the old one, ?refresh=true fetches the new one")
        aws.rotate("rotated-1")
        self._show("?key=password", "aDM4N3*!8TT", "secrets-cache; hit")
        self._show("?key=password&refresh=true", "rotated-1", "secrets-cache; fwd=request")

        title(
            f"3. AWS fails (503), and the ttl ends ({TTL_SECONDS:g} s here): the old value is served, marked as stale"
        )
        aws.is_down = True
        self._wait_for("secrets-cache; hit; detail=stale")
        self._show("?key=password", "rotated-1", "secrets-cache; hit; detail=stale")

        title("4. AWS is back, with a newer password: the cache fetches it by itself")
        aws.rotate("rotated-2")
        aws.is_down = False
        self._wait_for("secrets-cache; hit")
        self._show("?key=password", "rotated-2", "secrets-cache; hit")

    def median_request_ms(self) -> float:
        """Return what one cached request takes on a connection that is kept."""
        took = []
        with closing(self._connect()) as connection:
            for _ in range(TIMED_REQUESTS):
                began = time.perf_counter()
                _get(connection, "")
                took.append((time.perf_counter() - began) * 1000)
        return statistics.median(took)

    def _show(self, query: str, body: str, status: str) -> None:
        with closing(self._connect()) as connection:
            found = _get(connection, query)
        colour = YELLOW if "stale" in found[1] else GREEN
        print(f"  GET /cache/secret_now{query:<28} {found[0]:<12} {paint(f'Cache-Status: {found[1]}', colour)}")
        expect(found == (body, status), f"expected {body!r} and {status!r}")

    def _wait_for(self, status: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        with closing(self._connect()) as connection:
            while _get(connection, "")[1] != status:
                expect(time.monotonic() < deadline, f"no answer came with {status!r}")
                time.sleep(0.02)

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_SECONDS)


def _get(connection: http.client.HTTPConnection, query: str) -> tuple[str, str]:
    """Ask the cache; return the body and the Cache-Status."""
    connection.request("GET", f"/cache/secret_now{query}")
    response = connection.getresponse()
    return response.read().decode(), response.headers.get("Cache-Status", "")
