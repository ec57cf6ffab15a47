"""
The request target (RFC 9112 section 3.2), taken apart as both protocols need it.

Rules
-----
1. Nothing is normalised: `..` and `//` are part of a path like any other characters.
2. An escape that cannot be decoded is an error, never ignored.
"""

import re
from collections.abc import Iterator

from secrets_cache.errors import InvalidRequest

BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_ESCAPE = rb"%([0-9A-Fa-f]{2})"
_BAD_ESCAPE = r"%(?![0-9A-Fa-f]{2})"
_VERSION = r"[!-~]{1,256}"


def split_target(target: str) -> tuple[str, str]:
    """Return the path and the query of a target, in origin or absolute form; both still encoded."""
    path, _, query = target.partition("?")
    if not path.startswith("/"):
        _, scheme, rest = path.partition("://")
        path = "/" + rest.partition("/")[2] if scheme else path
    return path, query


def find_authority(target: str) -> str | None:
    """Return the host of a target in absolute form, with the port if it has one; None for any other form."""
    path = target.partition("?")[0]
    _, scheme, rest = path.partition("://")
    return rest.partition("/")[0] if scheme and not path.startswith("/") else None


def split_query(query: str, *, plus_is_space: bool) -> Iterator[tuple[str, str]]:
    """
    Yield each parameter of a query: its name decoded, its value as it was sent.

    Raises:
        InvalidRequest: A name cannot be decoded.
    """
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        yield decode(name, plus_is_space=plus_is_space), value


def decode(text: str, *, plus_is_space: bool = False) -> str:
    """
    Return a percent-encoded part of a target as text.

    Args:
        text: The part, as it was sent.
        plus_is_space: Whether a plus stands for a space, as in a form (WHATWG URL, application/x-www-form-urlencoded).

    Raises:
        InvalidRequest: An escape is broken, or the bytes are not UTF-8.
    """
    if text.isalnum() and text.isascii():
        # The common name, without a pattern.
        return text
    if re.search(_BAD_ESCAPE, text):
        raise InvalidRequest("a percent sign must be followed by two hexadecimal digits; write %25 for a percent sign")
    try:
        raw = (text.replace("+", " ") if plus_is_space else text).encode("utf-8", "surrogateescape")
        return re.sub(_ESCAPE, lambda escape: bytes.fromhex(escape[1].decode("ascii")), raw).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequest("the request target must be UTF-8 text after percent-decoding") from None


def parse_boolean(text: str, refusal: str) -> bool:
    """Return whether a flag in a query is set. Raises `InvalidRequest` with `refusal` for what is not in `BOOLEANS`."""
    try:
        return BOOLEANS[text.lower()]
    except KeyError:
        raise InvalidRequest(refusal) from None


def is_version(text: str) -> bool:
    """Return whether a text may be a version id or a staging label."""
    return re.fullmatch(_VERSION, text) is not None
