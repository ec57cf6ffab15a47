"""
The parameters of a request in our own protocol: `/cache/<name>` and its query.

Rules
-----
1. A name is everything after `/cache/`, slashes and colons raw or percent-encoded. It is then found or not found.
2. An unknown parameter is an error, never ignored: it is a typing mistake.
"""

import re

from secrets_cache.core.named_tuple import NamedTuple
from secrets_cache.core.text import shorten
from secrets_cache.errors import InvalidRequest
from secrets_cache.server.target import BOOLEANS, decode, is_version, parse_boolean, split_query

PREFIX = "/cache/"
PARAMETERS = ("key", "version_stage", "version_id", "refresh")
_BAD_POINTER = r"~(?![01])"


class NativeRequest(NamedTuple):
    """
    The secret that a caller asks for.

    Attributes:
        name: Name, ARN or alias.
        key: Top-level key or JSON pointer; None for the whole value.
        version_id: A version's id; None for the version that `version_stage` names.
        version_stage: A staging label; None for the configured one.
        refresh: Whether to fetch the secret first.
    """

    name: str
    key: str | None = None
    version_id: str | None = None
    version_stage: str | None = None
    refresh: bool = False


def parse_native_request(path: str, query: str) -> NativeRequest:
    """
    Return what a path under `/cache/` and its query ask for.

    Raises:
        InvalidRequest: A parameter is unknown, repeated or of the wrong form, or an escape is broken.
    """
    parameters: dict[str, str] = {}
    for name, value in split_query(query, plus_is_space=True):
        if name not in PARAMETERS:
            raise InvalidRequest(f"unknown parameter {shorten(name)!r}; allowed: {', '.join(PARAMETERS)}")
        if name in parameters:
            raise InvalidRequest(f"parameter {name!r} is given more than once; give it once")
        parameters[name] = decode(value, plus_is_space=True)
    return NativeRequest(
        name=decode(path.removeprefix(PREFIX)),
        key=_check_key(parameters.get("key")),
        version_id=_check_version("version_id", parameters.get("version_id")),
        version_stage=_check_version("version_stage", parameters.get("version_stage")),
        refresh=parse_boolean(
            parameters.get("refresh", "false"), f"parameter 'refresh' must be one of {', '.join(BOOLEANS)}"
        ),
    )


def _check_key(key: str | None) -> str | None:
    if key == "":
        raise InvalidRequest("parameter 'key' is empty; allowed: a key of the JSON secret, or a JSON pointer")
    if key is not None and key.startswith("/") and re.search(_BAD_POINTER, key):
        raise InvalidRequest("parameter 'key' is not a JSON pointer: ~ must be followed by 0 or 1 (RFC 6901)")
    return key


def _check_version(name: str, value: str | None) -> str | None:
    if value is not None and not is_version(value):
        raise InvalidRequest(f"parameter {name!r} must be 1 to 256 printable ASCII characters without spaces")
    return value
