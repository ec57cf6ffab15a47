"""A key in the first line, and the text that it is looked for in, in all that follows: what `?key=` and `#` mean."""

import contextlib
import json
import re
from collections.abc import Callable
from typing import Any

from secrets_cache.core.json_text import NoSuchKey, NotJson, is_document, read_members, select
from tests.support.fakes import CANARY

Select = Callable[[str, str], tuple[str, bool]]
MAX_DEPTH = 200
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_INDEX = re.compile("0|[1-9][0-9]{0,8}", re.ASCII)


class Number(str):
    """A number as it was written: equal to no text that looks like it."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and str(self) == str(other)

    __hash__ = str.__hash__


def selection(data: bytes, choose: Select = select) -> None:
    """
    Of any text, any key gives what the standard library finds there, or is refused without a word of the text.

    What is given means the same to a parser: a string is bare, everything else is compact JSON with the digits that
    were written. What is no JSON (RFC 8259) is none here, and an object or array is announced as a document only if it
    is one. Nothing is raised but the two errors, which say nothing.
    """
    head, _, body = data.partition(b"\n")
    key, text = head.decode("utf-8", "replace"), body.decode("utf-8", "replace")
    if is_deep(body):
        with contextlib.suppress(NotJson, NoSuchKey):
            choose(text, key)
        return
    document = parsed(text.encode())
    assert is_document(text) == isinstance(document, (dict, list))
    try:
        found, is_json = choose(text, key)
    except (NotJson, NoSuchKey) as error:
        assert error.__cause__ is None
        assert not error.args
        assert CANARY not in repr(error)
        is_pointer = key.startswith("/")
        is_wrong = document is NotImplemented or not (is_pointer or isinstance(document, dict))
        assert isinstance(error, NotJson) == is_wrong
        assert is_wrong or picked(document, key) is NotImplemented
        return
    expected = picked(document, key)
    assert expected is not NotImplemented
    assert is_json == (not isinstance(expected, str) or isinstance(expected, Number))
    assert expected == (parsed_text(found) if is_json else found)
    assert not is_json or is_compact(found)
    if isinstance(document, dict):
        assert read_members(text).keys() == document.keys()


def is_deep(value: bytes) -> bool:
    """Return whether a value may be nested so deeply that whether it is read is for the interpreter to say."""
    return value.count(b"[") + value.count(b"{") > MAX_DEPTH


def is_compact(text: str) -> bool:
    """Return whether a JSON text has no blank outside its strings."""
    return not re.search(r"\s", _STRING.sub("", text))


def parsed(value: bytes) -> Any:
    """Return what the standard library makes of JSON, numbers as they were written; NotImplemented for no JSON."""
    try:
        return parsed_text(value.decode())
    except UnicodeDecodeError:
        return NotImplemented


def parsed_text(text: str) -> Any:
    """Return the same for text."""
    try:
        return json.loads(text, parse_int=Number, parse_float=Number, parse_constant=lambda _: 1 / 0)
    except (ValueError, RecursionError, ZeroDivisionError):
        return NotImplemented


def picked(document: Any, key: str) -> Any:
    """Return what stands at a key, or at a JSON pointer (RFC 6901) if it starts with a slash; else NotImplemented."""
    steps = [key]
    if key.startswith("/"):
        steps = [step.replace("~1", "/").replace("~0", "~") for step in key.split("/")[1:]]
    for step in steps:
        if isinstance(document, dict):
            document = document.get(step, NotImplemented)
        elif isinstance(document, list) and _INDEX.fullmatch(step) and int(step) < len(document):
            document = document[int(step)]
        else:
            return NotImplemented
    return document
