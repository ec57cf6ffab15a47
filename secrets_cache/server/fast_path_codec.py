"""
The bytes of the fast path: a common request to a `Request`, a `Response` to bytes.

Rules
-----
1. Only bytes that are exactly one simple request are parsed. Everything else is for aiohttp, down to a request that
   came in two pieces.
2. The bytes of a response have the status, headers and body that aiohttp would send.
"""

import re

from secrets_cache.server.access import TOKEN_HEADER
from secrets_cache.server.message import Request, Response

MAX_REQUEST_BYTES = 4096
# Besides Host, the token, Connection and Accept: headers that change no response, but are sent by common clients and
# by tracing libraries.
_NAMES = (
    f"Host|{TOKEN_HEADER}|User-Agent|Accept|Accept-Encoding|Accept-Language|Sec-Fetch-Mode"
    r"|Traceparent|Tracestate|Baggage|X-Amzn-Trace-Id|X-Datadog-[\w-]+"
)
_HEADER = rf"(?i:{_NAMES}): [!-~](?:[ -~]*[!-~])?\r\n|(?i:Connection: (?:keep-alive|close))\r\n"
# One request, whole, and nothing after it.
_REQUEST = re.compile(rf"GET (/(?!/)[\w/.~:@!$&'()*+,;=%?-]*) HTTP/1\.1\r\n((?:{_HEADER})+)\r\n".encode())


def parse_simple_request(data: bytes) -> tuple[Request, bool] | None:
    """
    Return the request that these bytes are, and whether it is the last one of its connection.

    None if the bytes are not exactly one simple request.
    """
    match = _REQUEST.fullmatch(data) if len(data) <= MAX_REQUEST_BYTES else None
    if match is None:
        return None
    headers: dict[str, list[str]] = {}
    for line in match[2].decode("ascii").splitlines():
        name, _, value = line.partition(": ")
        if name.lower() in headers:
            return None
        headers[name.lower()] = [value]
    if "host" not in headers:
        return None
    request = Request(
        method="GET",
        target=match[1].decode("ascii"),
        hosts=headers["host"],
        tokens=headers.get(TOKEN_HEADER.lower(), []),
        accept=headers.get("accept", []),
    )
    return request, headers.get("connection", [""])[0].lower() == "close"


def serialize(response: Response, *, is_last: bool) -> bytes:
    """Return the bytes of a response; with `is_last`, a header says that the connection is then closed."""
    lines = [f"HTTP/1.1 {response.status} {_find_phrase(response.status)}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    if is_last:
        lines.append("Connection: close")
    lines += [f"Content-Length: {len(response.body)}", "", ""]
    return "\r\n".join(lines).encode("utf-8") + response.body


def _find_phrase(status: int) -> str:
    if status == 200:  # noqa: PLR2004 - the common one, without the import
        return "OK"
    from http import HTTPStatus  # noqa: PLC0415 - only an error needs it

    try:
        return HTTPStatus(status).phrase
    except ValueError:
        # AWS, or a server in its place, has sent a status that nobody has registered.
        return ""
