"""
aiohttp's request parser for any method.

The fast parser knows a list of methods, and rejects others as malformed. A method outside the list is still a request,
which gets 405 (RFC 9110 section 9.1). So the parser in Python takes over at the first such method.
"""

import asyncio
import re
from typing import Any

from aiohttp import HttpVersion10, HttpVersion11, web
from aiohttp.http_exceptions import BadHttpMessage, BadHttpMethod
from aiohttp.http_parser import HttpRequestParserPy, RawRequestMessage

# The first bytes of what may become a request.
_METHOD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?: |\Z)")
# Of the methods that the fast parser knows.
_LONGEST_METHOD = 32
_VERSIONS = frozenset({HttpVersion10, HttpVersion11})


class AnyMethodParser:
    """
    aiohttp's fast parser, and from the first method that it does not know the parser in Python.

    Args:
        connection: The protocol that the parser belongs to.
        fast_parser: The parser that aiohttp made for it.
    """

    def __init__(self, connection: web.RequestHandler, fast_parser: Any) -> None:  # noqa: ANN401 - in C or in Python
        self._connection = connection
        self._parser = fast_parser
        self._is_fast = True
        # The part of a method that has come; a space once it is whole, because the rest does not begin a request.
        self._begun = b""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the interface is aiohttp's
        return getattr(self._parser, name)

    def feed_data(self, data: bytes) -> Any:  # noqa: ANN401 - the interface is aiohttp's
        """Parse more of what was sent."""
        since = self._begun + data
        try:
            found = self._parser.feed_data(data)
        except BadHttpMethod:
            if not self._is_fast or not _METHOD.match(since):
                raise
            self._is_fast = False
            self._parser = _build_python_parser(self._connection)
            found = self._parser.feed_data(since)
        if any(message.version not in _VERSIONS for message, _ in found[0]):
            raise BadHttpMessage("unsupported protocol version")
        since = since.rpartition(b"\r\n\r\n")[2].lstrip(b"\r\n")
        self._begun = since if b" " not in since and len(since) < _LONGEST_METHOD else b" "
        return found


def _build_python_parser(connection: web.RequestHandler) -> "_PythonParser":
    return _PythonParser(
        connection,
        asyncio.get_running_loop(),
        max_line_size=connection.max_line_size,
        max_headers=connection.max_headers,
        max_field_size=connection.max_field_size,
        payload_exception=web.RequestPayloadError,
        auto_decompress=False,
    )


class _PythonParser(HttpRequestParserPy):
    """aiohttp's parser in Python, which accepts any method, but changes it to upper case."""

    def parse_message(self, lines: list[bytes]) -> RawRequestMessage:
        """Return a request, with the method as it was sent: methods are case-sensitive."""
        message = super().parse_message(lines)
        return message._replace(method=lines[0].partition(b" ")[0].decode("latin-1"))
