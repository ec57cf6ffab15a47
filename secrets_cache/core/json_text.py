"""
Parts of JSON texts, exactly as they were written.

Rules
-----
1. A number keeps its digits: it never becomes a float.
2. Only strict JSON (RFC 8259) counts: no NaN, no Infinity.
3. A text raises nothing but the two errors below, however deep or long it is.
"""

import json
from collections.abc import Callable


class NotJson(ValueError):
    """The text is not JSON, or not of the required form. The error holds nothing of the text."""


class NoSuchKey(LookupError):
    """The JSON text does not have the key."""


class _Number(str):
    """A JSON number as it was written."""

    __slots__ = ()


def _refuse_constant(_: str) -> None:
    raise NotJson


def _parse(text: str) -> object:
    try:
        return json.loads(text, parse_float=_Number, parse_int=_Number, parse_constant=_refuse_constant)
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
    Return one value of the JSON `text`, and whether it is written as JSON: a string is not, everything else is.

    Args:
        text: A JSON text.
        key: A JSON pointer (RFC 6901) if it starts with a slash; else a key of the top-level object.

    Raises:
        NotJson: `text` is not JSON; or `key` is not a pointer, and `text` not an object.
        NoSuchKey: `text` has no value at `key`.
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
        return _write(value)
    except RecursionError:
        raise NotJson from None


def read_members(text: str) -> dict[str, str | None]:
    """
    Return the values of the JSON object `text` by key: a string as it is, null as None, all else as compact JSON.

    Raises:
        NotJson: `text` is not JSON, or not an object.
    """
    value = _parse(text)
    if not isinstance(value, dict):
        raise NotJson
    try:
        return {key: None if item is None else _write(item)[0] for key, item in value.items()}
    except RecursionError:
        raise NotJson from None


def _write(value: object) -> tuple[str, bool]:
    is_string = isinstance(value, str) and not isinstance(value, _Number)
    return (str(value), False) if is_string else (_write_json(value), True)


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


def _write_json(value: object) -> str:
    if isinstance(value, _Number):
        return value
    if isinstance(value, str):
        return _quote(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quote(key)}:{_write_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_write_json, value)) + "]"
    return _SCALARS[value]
