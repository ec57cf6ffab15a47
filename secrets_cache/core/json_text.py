"""
JSON texts, taken apart without changing what is in them.

Rules
-----
1. A number comes out with the digits it was written with: no float in between.
2. What is not strictly JSON (RFC 8259) is not JSON here: no NaN, no Infinity.
3. Nothing in a text can raise anything but the two errors below, however deep or long it is.
"""

import json
from collections.abc import Callable


class NotJson(ValueError):
    """The text is not JSON, or not of the form that was asked for. Says nothing of what it holds."""


class NoSuchKey(LookupError):
    """The JSON text has no such key."""


class _Number(str):
    """A JSON number as it was written."""

    __slots__ = ()


def _no_constant(_: str) -> None:
    raise NotJson


def _parse(text: str) -> object:
    try:
        return json.loads(text, parse_float=_Number, parse_int=_Number, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        # From None: the original error holds the text, which is a secret.
        raise NotJson from None


def is_document(text: str) -> bool:
    """
    Return whether `text` is a JSON object or array.

    A bare scalar does not count, though RFC 8259 calls it a JSON text: a password such as `0123` or `1e5`
    must not be announced as JSON to clients that would turn it into a number.
    """
    if not text.lstrip(" \t\r\n").startswith(("{", "[")):
        return False
    try:
        _parse(text)
    except NotJson:
        return False
    return True


def select(text: str, key: str) -> tuple[str, bool]:
    """
    Return what `key` names in the JSON `text`, a string bare, everything else as compact JSON; and whether it is JSON.

    A key that starts with a slash is a JSON pointer (RFC 6901), any other one a key of the top-level object.

    Raises:
        NotJson: `text` is not JSON; or `key` is no pointer and `text` is not an object.
        NoSuchKey: There is nothing at `key`.
    """
    value = _parse(text)
    if key.startswith("/"):
        for step in key[1:].split("/"):
            value = _step(value, step.replace("~1", "/").replace("~0", "~"))
    elif not isinstance(value, dict):
        raise NotJson
    else:
        value = _step(value, key)
    try:
        return _shown(value)
    except RecursionError:
        raise NotJson from None


def members(text: str) -> dict[str, str | None]:
    """
    Return what each key of the JSON object `text` holds: a string bare, None for null, everything else as compact JSON.

    Raises:
        NotJson: `text` is not JSON, or not an object.
    """
    value = _parse(text)
    if not isinstance(value, dict):
        raise NotJson
    try:
        return {key: None if item is None else _shown(item)[0] for key, item in value.items()}
    except RecursionError:
        raise NotJson from None


def _shown(value: object) -> tuple[str, bool]:
    is_string = isinstance(value, str) and not isinstance(value, _Number)
    return (str(value), False) if is_string else (_compact(value), True)


def _step(value: object, step: str) -> object:
    if isinstance(value, dict) and step in value:
        return value[step]
    # RFC 6901 section 4: an index is digits without a leading zero.
    is_index = step.isascii() and step.isdigit() and (step == "0" or step[0] != "0")
    if isinstance(value, list) and is_index and len(step) <= len(str(len(value))) and int(step) < len(value):
        return value[int(step)]
    raise NoSuchKey


_SCALARS: dict[object, str] = {None: "null", True: "true", False: "false"}
_quote: Callable[[str], str] = json.JSONEncoder(ensure_ascii=False).encode


def _compact(value: object) -> str:
    if isinstance(value, _Number):
        return value
    if isinstance(value, str):
        return _quote(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quote(key)}:{_compact(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_compact, value)) + "]"
    return _SCALARS[value]
