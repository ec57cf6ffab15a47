"""
The Lambda Extensions API, over a plain socket.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html

Rules
-----
1. Standard library's `socket` only: registering is what the function's own start waits for.
2. `/event/next` has no time-out and is open at most once: a second one is refused while the first is open, and an
   event that comes to an abandoned one is lost.
3. No proxy: whatever HTTP_PROXY says, this address is the platform's.
"""

import socket

from secrets_cache.errors import ExtensionsApiError

VERSION = "2020-01-01"
TIMEOUT_SECONDS = 10.0
SUCCESS = range(200, 300)


class Response:
    """What a call answered: the status, the headers by lower-case name, and the body."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


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
        self._next: socket.socket | None = None

    def register(self) -> None:
        """
        Register for SHUTDOWN only: no invocation ever waits for us, and Managed Instances admit nothing else.

        Raises:
            ExtensionsApiError: It was refused, or nobody answered.
        """
        response = self._call(
            "POST", "/extension/register", {"Lambda-Extension-Name": self._name}, b'{"events":["SHUTDOWN"]}'
        )
        self._identifier = response.headers.get("lambda-extension-identifier", "")
        if not self._identifier:
            raise ExtensionsApiError("POST /extension/register", "the answer has no Lambda-Extension-Identifier")

    def init_error(self, error_type: str, message: str) -> None:
        """
        Report that the init failed; Lambda expects the process to end after it.

        Raises:
            ExtensionsApiError: It was refused, or nobody answered.
        """
        # Imported here: only a failed init needs it.
        import json  # noqa: PLC0415

        body = json.dumps({"errorType": error_type, "errorMessage": message, "stackTrace": []}).encode()
        headers = {**self._identity(), "Lambda-Extension-Function-Error-Type": error_type}
        self._call("POST", "/extension/init/error", headers, body)

    def open_next(self) -> int:
        """
        Ask for the next event unless that is under way; return the descriptor that turns readable when it is there.

        Registers first where that has not been done.

        Raises:
            ExtensionsApiError: Nobody answers at the address.
        """
        if self._next is None:
            if not self._identifier:
                self.register()
            request = _request("GET", "/extension/event/next", self._address, self._identity())
            try:
                connection = self._connect()
                connection.sendall(request)
                connection.settimeout(None)
            except OSError as error:
                raise ExtensionsApiError("GET /extension/event/next", _reason(error)) from None
            self._next = connection
        return self._next.fileno()

    def read_next(self) -> str:
        """
        Return the type of the event that `open_next` asked for, waiting for it as long as it takes.

        Raises:
            ExtensionsApiError: The connection ended, or the answer was not 200. None is open any more.
        """
        self.open_next()
        connection, self._next = self._next, None
        if connection is None:
            raise ExtensionsApiError("GET /extension/event/next", "it is not open")
        call = "GET /extension/event/next"
        with connection:
            try:
                response = _read(connection)
            except (OSError, ValueError) as error:
                raise ExtensionsApiError(call, _reason(error)) from None
        return _event_type(_checked(call, response).body)

    def _identity(self) -> dict[str, str]:
        return {"Lambda-Extension-Identifier": self._identifier}

    def _connect(self) -> socket.socket:
        host, _, port = self._address.rpartition(":")
        if not host or not port.isdigit():
            raise OSError(f"AWS_LAMBDA_RUNTIME_API is {self._address!r}, not host:port")
        return socket.create_connection((host.strip("[]"), int(port)), TIMEOUT_SECONDS)

    def _call(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Response:
        call = f"{method} {path}"
        try:
            with self._connect() as connection:
                connection.sendall(_request(method, path, self._address, headers, body))
                response = _read(connection)
        except (OSError, ValueError) as error:
            raise ExtensionsApiError(call, _reason(error)) from None
        return _checked(call, response)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _checked(call: str, response: Response) -> Response:
    if response.status not in SUCCESS:
        said = response.body[:300].decode("utf-8", "replace")
        raise ExtensionsApiError(call, f"status {response.status}: {said}")
    return response


def _event_type(body: bytes) -> str:
    import json  # noqa: PLC0415 - the event comes at the end of our life

    try:
        return str(json.loads(body)["eventType"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


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


def _read(connection: socket.socket) -> Response:
    """Read one response. Raises ValueError if it is no HTTP response, or ends early."""
    with connection.makefile("rb") as stream:
        version, status, *_ = [*stream.readline().decode("latin-1").split(None, 2), "", ""]
        if not version.startswith("HTTP/1.") or not status.isdigit():
            raise ValueError("the connection ended without an answer")
        headers: dict[str, str] = {}
        while (line := stream.readline().decode("latin-1").strip()) != "":
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        if headers.get("transfer-encoding", "").lower() == "chunked":
            chunks = []
            while size := int(stream.readline().split(b";")[0], 16):
                chunks.append(stream.read(size))
                stream.readline()
            return Response(int(status), headers, b"".join(chunks))
        length = headers.get("content-length", "")
        return Response(int(status), headers, stream.read(int(length)) if length else stream.read())
