"""
A file of names and values, YAML or JSON, which stands for AWS during development.

    bytes -> JSON, else the nodes of YAML -> the value of each name, as AWS would store it

Rules
-----
1. A value is what was written, numbers with their digits, or the file is refused: nothing is guessed.
2. The work is bounded, however much a few aliases repeat in a small file.
3. No message shows a value.
"""

import json
import re
from collections.abc import Sequence

from secrets_cache.config import nodes
from secrets_cache.config.document import compose
from secrets_cache.config.nodes import DocumentError, Node
from secrets_cache.core.json_text import read_members
from secrets_cache.core.text import shorten

# RFC 8259, section 6, and its literals.
_JSON = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false")
# What begins so is meant as JSON, which allows tabs, and not as YAML in braces.
_JSON_BEGINNING = re.compile(rb'\s*\{\s*"')
ALLOWED = "names with values: text; or keys with values, or a list, which become JSON"
ONCE = "each name only once"
# No file of this size has more without aliases.
MAX_CHARACTERS = 1024 * 1024


def read_value_file(data: bytes) -> dict[str, bytes]:
    """
    Return the values in a file by name. Text stays as it was written; a mapping or a list becomes JSON.

    Raises:
        DocumentError: The file is not a mapping, or has something that gives no value. The message shows no value.
    """
    try:
        values = _read_json(data)
    except (ValueError, RecursionError) as error:
        try:
            values = _YamlReader().read(compose(data, is_fast=True))
        except DocumentError:
            if isinstance(error, json.JSONDecodeError) and _JSON_BEGINNING.match(data):
                raise DocumentError(error.lineno, f"broken JSON ({error.msg})", "JSON or YAML") from None
            raise
    return {name: _encode(name, value) for name, value in values.items()}


def _read_json(data: bytes) -> dict[str, str]:
    text = data.decode(json.detect_encoding(data))
    if not isinstance(json.loads(text, parse_int=str, parse_float=str, object_pairs_hook=_check_names), dict):
        raise DocumentError(None, "no names with values", ALLOWED)
    return {name: "null" if value is None else value for name, value in read_members(text).items()}


def _check_names(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise DocumentError(None, f"the name {shorten(twice)!r} twice", ONCE)
    return found


def _encode(name: str, value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:
        found = f"a value that is not valid Unicode, of {shorten(name)!r}: it contains an unpaired surrogate"
        raise DocumentError(None, found, "Unicode") from None


class _YamlReader:
    """Reads the nodes of one file. Its methods raise `DocumentError`."""

    def __init__(self) -> None:
        self._characters_left = MAX_CHARACTERS

    def read(self, root: Node | None) -> dict[str, str]:
        """Return the values by name."""
        if not isinstance(root, nodes.Mapping):
            raise DocumentError(None if root is None else root.line, "no names with values", ALLOWED)
        found: dict[str, str] = {}
        for name_node, value in root.value:
            name = self._read_key(name_node, "a name that is no text")
            if not name:
                raise DocumentError(name_node.line, "a name that is no text", ALLOWED)
            if name in found:
                raise DocumentError(name_node.line, "a name that is there already", ONCE)
            try:
                found[name] = self._read_text(value) if isinstance(value, nodes.Scalar) else self._write_json(value)
            except RecursionError:
                # A node with an alias may contain itself.
                raise DocumentError(value.line, "YAML nested too deeply", ALLOWED) from None
        return found

    def _write_json(self, node: Node) -> str:
        """Return a node as JSON: numbers, true and false as they were written, unless in quotes."""
        if isinstance(node, nodes.Scalar):
            text = self._read_text(node)
            is_literal = not node.is_quoted and _JSON.fullmatch(text) is not None
            if node.is_null:
                return "null"
            return text if is_literal else json.dumps(text, ensure_ascii=False)
        self._note(node)
        if isinstance(node, nodes.Sequence):
            return f"[{','.join(map(self._write_json, node.value))}]"
        members: dict[str, str] = {}
        for key_node, value in node.value:
            key = self._read_key(key_node, "a key that is no text")
            if key in members:
                raise DocumentError(key_node.line, "a key that is there already", "each key only once")
            members[key] = self._write_json(value)
        return f"{{{','.join(f'{json.dumps(key)}:{value}' for key, value in members.items())}}}"

    def _read_key(self, node: Node, other: str) -> str:
        if not isinstance(node, nodes.Scalar):
            raise DocumentError(node.line, other, ALLOWED)
        if node.value == "<<" and not node.is_quoted:
            raise DocumentError(node.line, "a merge key (<<)", "the keys that it would merge, written out")
        return self._read_text(node)

    def _read_text(self, node: nodes.Scalar) -> str:
        self._note(node, len(node.value))
        return node.value

    def _note(self, node: Node, length: int = 0) -> None:
        """Refuse a tag, which would give the node another meaning than its text has; and too many characters."""
        if node.tag:
            raise DocumentError(node.line, "a YAML tag", "no tag; text that begins with ! needs quotes")
        self._characters_left -= length + 1
        if self._characters_left < 0:
            raise DocumentError(node.line, f"more than {MAX_CHARACTERS} characters, by references with *", "less")
