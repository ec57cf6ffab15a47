"""
The Lambda Extensions API, over plain sockets.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html

Its calls are generators, like those of `http1.exchange`: their callers choose how to wait.

Rules
-----
1. Nothing slow is imported: the function's own start waits for the registration.
2. `/event/next` has no time-out and is open at most once: Lambda refuses a second one while the first is open, and an
   event sent to an abandoned one is lost.
3. No proxy, whatever HTTP_PROXY says: the address is the platform's.
"""

from __future__ import annotations

import os
import time

from secrets_cache.errors import ExtensionsApiError
from secrets_cache.http1.exchange import exchange, sleep_until

# Not from typing, whose import takes longer than the registration itself.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from secrets_cache.http1.exchange import Wait
    from secrets_cache.http1.response import Response

VERSION = "2020-01-01"
RETRY_SECONDS = 1.0
MAX_RETRY_SECONDS = 60.0
SUCCESS = range(200, 300)
NEXT = "/extension/event/next"
# Of an answer that is an error, this much is shown.
MAX_BODY = 300


class ExtensionsApi:
    """
    One extension's side of the API.

    Args:
        address: `AWS_LAMBDA_RUNTIME_API`, host and port.
        name: The file name of the extension's executable, which Lambda requires.
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
        Register for SHUTDOWN only: then no invocation waits for the extension, and Managed Instances accept it.

        Raises:
            ExtensionsApiError: The API refused, or did not answer.
        """
        response = yield from self._call(
            "POST", "/extension/register", {"Lambda-Extension-Name": self._name}, b'{"events":["SHUTDOWN"]}'
        )
        self._identifier = response.headers.get("lambda-extension-identifier", "")
        if not self._identifier:
            raise ExtensionsApiError("POST /extension/register", "the answer has no Lambda-Extension-Identifier")

    def report_init_error(self, error_type: str, message: str) -> Generator[Wait, None, None]:
        """
        Report that the init failed; Lambda expects the process to exit then.

        Raises:
            ExtensionsApiError: The API refused, or did not answer.
        """
        import json  # noqa: PLC0415 - only a failed init needs it

        body = json.dumps({"errorType": error_type, "errorMessage": message, "stackTrace": []}).encode()
        headers = {**self._identity(), "Lambda-Extension-Function-Error-Type": error_type}
        yield from self._call("POST", "/extension/init/error", headers, body)

    def wait_for_shutdown(
        self, report: Callable[[ExtensionsApiError], None], first_pause: float = RETRY_SECONDS
    ) -> Generator[Wait, None, str]:
        """
        Keep `/event/next` open until the process should exit; return the reason.

        Registers first if that has failed. After any failure, and any event but SHUTDOWN, it pauses and asks again.

        Args:
            report: Called with each failure.
            first_pause: Seconds of the first pause; doubled each time, up to `MAX_RETRY_SECONDS`.
        """
        parent, pause = os.getppid(), first_pause
        while True:
            began = time.monotonic()
            try:
                yield from self._receive_shutdown()
            except ExtensionsApiError as error:
                if os.getppid() != parent:
                    return "the parent process has ended"
                report(error)
            else:
                return "SHUTDOWN"
            now = time.monotonic()
            if now - began > MAX_RETRY_SECONDS:
                pause = first_pause
            yield from sleep_until(now + pause)
            pause = min(pause * 2, MAX_RETRY_SECONDS)

    def _receive_shutdown(self) -> Generator[Wait, None, None]:
        if not self.is_registered:
            yield from self.register()
        event = _parse_event_type((yield from self._call("GET", NEXT, self._identity())).body)
        if event != "SHUTDOWN":
            raise ExtensionsApiError(
                f"GET {NEXT}",
                f"Lambda sent the event {_shorten(event)!r}, but the extension registered only for SHUTDOWN",
            )

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
                _build_request(method, path, self._address, headers, body),
                is_answered_in_time=path != NEXT,
            )
        except (OSError, ValueError) as error:
            raise ExtensionsApiError(call, _explain(error)) from None
        if response.status not in SUCCESS:
            told = _shorten(response.body.decode("utf-8", "replace"), MAX_BODY)
            raise ExtensionsApiError(call, f"status {response.status}: {told}")
        return response


def _shorten(text: str, length: int = 40) -> str:
    try:
        from secrets_cache.core.text import shorten  # noqa: PLC0415 - only a failure needs it
    except Exception:  # noqa: BLE001 - there may not be the memory for an import
        return text[:length]
    return shorten(text, length)


def _explain(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _parse_event_type(body: bytes) -> str:
    try:
        import json  # noqa: PLC0415 - not needed before the event, the last of the process

        return str(json.loads(body)["eventType"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    except Exception:  # noqa: BLE001 - there may not be the memory for an import
        return "SHUTDOWN" if b'"SHUTDOWN"' in body else ""


def _build_request(method: str, path: str, address: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    lines = [
        f"{method} /{VERSION}{path} HTTP/1.1",
        f"Host: {address}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    if method == "POST":
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body
