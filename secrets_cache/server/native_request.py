"""
What a request asks for: its target, taken apart.

Rules
-----
1. A name is whatever follows `/cache/`, slashes and colons raw or percent-encoded. Nothing is normalised: `..` and
   `//` are part of a name like any other, and then found or not.
2. Whatever cannot be meant is said to be wrong, never ignored: an unknown parameter is a typing error.
"""

import re
from typing import NamedTuple

from secrets_cache.errors import InvalidRequest

PREFIX = "/cache/"
PARAMETERS = ("key", "version_stage", "version_id", "refresh")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_BAD_POINTER = re.compile(r"~(?![01])")
_VERSION = re.compile(r"[!-~]{1,256}")


class Target(NamedTuple):
    """
    A secret as a caller asks for it.

    Attributes:
        name: Name, ARN or alias.
        key: Top-level key or JSON pointer; None for the whole value.
        version_id: A version's id; None for whatever `version_stage` names.
        version_stage: A staging label; None for the configured one.
        refresh: Whether a new fetch is asked for.
    """

    name: str
    key: str | None = None
    version_id: str | None = None
    version_stage: str | None = None
    refresh: bool = False


def path_of(raw_target: str) -> tuple[str, str]:
    """Return the path and the query of a request target, still encoded; of the absolute form too."""
    path, _, query = raw_target.partition("?")
    if not path.startswith("/"):
        _, scheme, rest = path.partition("://")
        path = "/" + rest.partition("/")[2] if scheme else path
    return path, query


def authority_of(raw_target: str) -> str | None:
    """Return the host, and the port if there is one, of a target in absolute form; None for any other form."""
    path = raw_target.partition("?")[0]
    _, scheme, rest = path.partition("://")
    return rest.partition("/")[0] if scheme and not path.startswith("/") else None


def parse(path: str, query: str) -> Target:
    """
    Return what is asked for under `/cache/`.

    Raises:
        InvalidRequest: A parameter is unknown, repeated or of the wrong form, or an escape is broken.
    """
    parameters: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        name = decoded(name, plus=True)
        if name not in PARAMETERS:
            raise InvalidRequest(f"unknown parameter {name[:60]!r}; allowed: {', '.join(PARAMETERS)}")
        if name in parameters:
            raise InvalidRequest(f"parameter {name!r} is given twice")
        parameters[name] = decoded(value, plus=True)
    return Target(
        name=decoded(path.removeprefix(PREFIX)),
        key=_key(parameters.get("key")),
        version_id=_version("version_id", parameters.get("version_id")),
        version_stage=_version("version_stage", parameters.get("version_stage")),
        refresh=_boolean("refresh", parameters.get("refresh", "false")),
    )


def decoded(text: str, *, plus: bool = False) -> str:
    """
    Return what a part of a target stands for; with `plus`, a plus stands for a blank.

    Raises:
        InvalidRequest: An escape is broken, or it is not UTF-8.
    """
    if _BAD_ESCAPE.search(text):
        raise InvalidRequest("a percent sign must be followed by two hexadecimal digits")
    try:
        # A key may hold a plus; in a query it is a blank (WHATWG URL, application/x-www-form-urlencoded).
        raw = (text.replace("+", " ") if plus else text).encode("utf-8", "surrogateescape")
        return _ESCAPE.sub(lambda escape: bytes.fromhex(escape[1].decode("ascii")), raw).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequest("the request target must be UTF-8 once its percent signs are decoded") from None


def _key(key: str | None) -> str | None:
    if key == "":
        raise InvalidRequest("parameter 'key' is empty; allowed: a key of the JSON secret, or a JSON pointer")
    if key is not None and key.startswith("/") and _BAD_POINTER.search(key):
        raise InvalidRequest("parameter 'key' is no JSON pointer: ~ must be followed by 0 or 1 (RFC 6901)")
    return key


def _version(name: str, value: str | None) -> str | None:
    if value is not None and not _VERSION.fullmatch(value):
        raise InvalidRequest(f"parameter {name!r} must be 1 to 256 printable characters without blanks")
    return value


def _boolean(name: str, value: str) -> bool:
    try:
        return _BOOLEANS[value.lower()]
    except KeyError:
        raise InvalidRequest(f"parameter {name!r} must be one of {', '.join(_BOOLEANS)}") from None
