"""
The Lambda Extensions API, over plain sockets.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html

Its calls are generators, as `exchange` has them: whoever makes one waits for it in his own way.

Rules
-----
1. Nothing slow is imported: registering is what the function's own start waits for.
2. `/event/next` has no time-out and is open at most once: a second one is refused while the first is open, and an
   event that comes to an abandoned one is lost.
3. No proxy: whatever HTTP_PROXY says, this address is the platform's.
"""

from __future__ import annotations

import os
import time

from secrets_cache.errors import ExtensionsApiError
from secrets_cache.http1.exchange import Response, Wait, exchange, sleep_until

# Not from typing, whose import takes longer than the registration itself.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator

VERSION = "2020-01-01"
RETRY_SECONDS = 1.0
MAX_RETRY_SECONDS = 60.0
SUCCESS = range(200, 300)
NEXT = "/extension/event/next"


class ExtensionsApi:
    """
    One extension's side of the API.

    Args:
        address: `AWS_LAMBDA_RUNTIME_API`, host and port.
        name: The file name of the extension's executable; Lambda insists on it.
    """

    def __init__(self, address: str, name: str) -> None:
        self._address = address
        self._name = name
        self._identifier = ""

    @property
    def is_registered(self) -> bool:
        """Whether a registration has succeeded."""
        return self._identifier != ""

    def register(self) -> Generator[Wait, None, None]:
        """
        Register for SHUTDOWN only: no invocation ever waits for us, and Managed Instances admit nothing else.

        Raises:
            ExtensionsApiError: It was refused, or nobody answered.
        """
        response = yield from self._call(
            "POST", "/extension/register", {"Lambda-Extension-Name": self._name}, b'{"events":["SHUTDOWN"]}'
        )
        self._identifier = response.headers.get("lambda-extension-identifier", "")
        if not self._identifier:
            raise ExtensionsApiError("POST /extension/register", "the answer has no Lambda-Extension-Identifier")

    def init_error(self, error_type: str, message: str) -> Generator[Wait, None, None]:
        """
        Report that the init failed; Lambda expects the process to end after it.

        Raises:
            ExtensionsApiError: It was refused, or nobody answered.
        """
        # Imported here: only a failed init needs it.
        import json  # noqa: PLC0415

        body = json.dumps({"errorType": error_type, "errorMessage": message, "stackTrace": []}).encode()
        headers = {**self._identity(), "Lambda-Extension-Function-Error-Type": error_type}
        yield from self._call("POST", "/extension/init/error", headers, body)

    def until_shutdown(
        self, report: Callable[[ExtensionsApiError], None], first_pause: float = RETRY_SECONDS
    ) -> Generator[Wait, None, str]:
        """
        Keep `/event/next` open until it is time to go; return why it is.

        Registers first where that has failed. After whatever is not SHUTDOWN it asks again, ever more slowly.

        Args:
            report: Told of each failure.
            first_pause: Seconds; doubled each time, up to `MAX_RETRY_SECONDS`.
        """
        parent, pause = os.getppid(), first_pause
        while True:
            began = time.monotonic()
            try:
                yield from self._shutdown()
            except ExtensionsApiError as error:
                if os.getppid() != parent:
                    return "the process that started us is gone"
                report(error)
            else:
                return "SHUTDOWN"
            now = time.monotonic()
            if now - began > MAX_RETRY_SECONDS:
                pause = first_pause
            yield from sleep_until(now + pause)
            pause = min(pause * 2, MAX_RETRY_SECONDS)

    def _shutdown(self) -> Generator[Wait, None, None]:
        if not self.is_registered:
            yield from self.register()
        event = _event_type((yield from self._call("GET", NEXT, self._identity())).body)
        if event != "SHUTDOWN":
            raise ExtensionsApiError(f"GET {NEXT}", f"the event is {event[:40]!r}, and only SHUTDOWN was asked for")

    def _identity(self) -> dict[str, str]:
        return {"Lambda-Extension-Identifier": self._identifier}

    def _call(
        self, method: str, path: str, headers: dict[str, str], body: bytes = b""
    ) -> Generator[Wait, None, Response]:
        call = f"{method} {path}"
        host, _, port = self._address.rpartition(":")
        if not host or not port.isdigit():
            raise ExtensionsApiError(call, f"AWS_LAMBDA_RUNTIME_API is {self._address!r}, not host:port")
        try:
            response = yield from exchange(
                host.strip("[]"),
                int(port),
                _request(method, path, self._address, headers, body),
                is_answered_in_time=path != NEXT,
            )
        except (OSError, ValueError) as error:
            raise ExtensionsApiError(call, _reason(error)) from None
        if response.status not in SUCCESS:
            said = response.body[:300].decode("utf-8", "replace")
            raise ExtensionsApiError(call, f"status {response.status}: {said}")
        return response


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _event_type(body: bytes) -> str:
    try:
        import json  # noqa: PLC0415 - the event comes at the end of our life

        return str(json.loads(body)["eventType"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    except Exception:  # noqa: BLE001 - there may not be the memory for an import
        return "SHUTDOWN" if b'"SHUTDOWN"' in body else ""


def _request(method: str, path: str, address: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    lines = [
        f"{method} /{VERSION}{path} HTTP/1.1",
        f"Host: {address}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    if method == "POST":
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body
