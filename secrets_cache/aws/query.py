"""
AWS's query protocol, which STS speaks: a form as the request, XML as the answer.

Rules
-----
1. Only the XML that AWS sends is understood: elements with text or elements in them, no attributes but namespaces, no
   comments, sections, or entities of its own. Anything else is `Unexpected`, and a parser of XML may understand it.
2. An element that comes twice is such a thing: one of the two would be lost.
"""

import re
from collections.abc import Mapping
from typing import Any

from secrets_cache.aws.operations import Unexpected

API_VERSION = "2011-06-15"
_UNRESERVED = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-~")
_DECLARATION = re.compile(r"<\?xml version=\"1\.0\"( encoding=\"(UTF|utf)-8\")?\s*\?>\s*")
_TOKEN = re.compile(r"<([A-Za-z]\w*)(?:\s+xmlns=\"[^\"<&]*\")?\s*(/?)>|</([A-Za-z]\w*)\s*>|([^<]+)", re.ASCII)
_REFERENCE = re.compile(r"&(\w*;)?", re.ASCII)
_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'"}
# XML allows none of these, or has them read as another one.
_NOT_PLAIN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]|]]>")
_BLANKS = " \t\n"
MAX_DEPTH = 10


def encode(action: str, arguments: Mapping[str, str]) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of a request."""
    form = {"Action": action, "Version": API_VERSION, **arguments}
    body = "&".join(f"{name}={_quote(value)}" for name, value in form.items())
    return {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, body.encode()


def _quote(value: str) -> str:
    return "".join(
        chr(byte) if byte in _UNRESERVED else "+" if byte == ord(" ") else f"%{byte:02X}" for byte in value.encode()
    )


def decode(body: bytes, action: str) -> Any:  # noqa: ANN401 - an element
    """Return the result of an answer: an object of its elements. Raises `Unexpected`."""
    answer = parse_xml(body)
    result = answer.get(f"{action}Result") if isinstance(answer, dict) else None
    if not isinstance(result, dict):
        raise Unexpected
    return result


def decode_error(body: bytes) -> tuple[str, str]:
    """Return code and message of an error answer; empty where it has none. Raises `Unexpected`."""
    answer = parse_xml(body)
    error = answer.get("Error") if isinstance(answer, dict) else None
    code, message = (error.get(key, "") if isinstance(error, dict) else None for key in ("Code", "Message"))
    if not isinstance(code, str) or not isinstance(message, str):
        raise Unexpected
    return code, message


def parse_xml(body: bytes) -> Any:  # noqa: ANN401 - an element
    """Return what the outermost element holds: its text, or an object of its elements by name. Raises `Unexpected`."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Unexpected from None
    declaration = _DECLARATION.match(text)
    position = declaration.end() if declaration else 0
    # Each open element: its name, its text so far, and its elements so far. The first holds the document.
    path: list[tuple[str, list[str], dict[str, Any]]] = [("", [], {})]
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise Unexpected
        position = token.end()
        begun, slash, ended, content = token.groups()
        if content is not None:
            path[-1][1].append(_read_text(content))
        elif begun:
            path.append((begun, [], {}))
        if ended or slash:
            _close(path, ended or begun)
        if len(path) > MAX_DEPTH:
            raise Unexpected
    (_, around, document), *unclosed = path
    if unclosed or len(document) != 1 or "".join(around).strip(_BLANKS):
        raise Unexpected
    return next(iter(document.values()))


def _close(path: list[tuple[str, list[str], dict[str, Any]]], ended: str) -> None:
    name, pieces, elements = path.pop()
    if name != ended or not path or name in path[-1][2]:
        raise Unexpected
    text = "".join(pieces)
    if elements and text.strip(_BLANKS):
        raise Unexpected
    path[-1][2][name] = elements or text


def _read_text(content: str) -> str:
    if _NOT_PLAIN.search(content):
        raise Unexpected
    try:
        return _REFERENCE.sub(lambda found: _ENTITIES[found[0]], content)
    except KeyError:
        raise Unexpected from None
