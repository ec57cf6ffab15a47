"""
A file of names and values, YAML or JSON, which stands for AWS during development.

    bytes -> JSON, else the nodes of YAML -> the value of each name, as AWS would store it
"""

import json
import re

from secrets_cache.config import nodes
from secrets_cache.config.document import compose
from secrets_cache.config.nodes import DocumentError, Node

# RFC 8259, section 6, and its literals.
_JSON = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false")
ALLOWED = "names with values: text; or keys with values, or a list, which become JSON"


def read_value_file(data: bytes) -> dict[str, bytes]:
    """
    Return the values in a file by name. Text stays as it was written; a mapping or a list becomes JSON.

    Raises:
        DocumentError: The file is not a mapping. The message shows no value.
    """
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError):
        return _read_nodes(compose(data, is_fast=True))
    if not isinstance(parsed, dict):
        raise DocumentError(None, "no names with values", ALLOWED)
    return {
        name: (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).encode()
        for name, value in parsed.items()
    }


def _read_nodes(root: Node | None) -> dict[str, bytes]:
    if not isinstance(root, nodes.Mapping):
        raise DocumentError(None if root is None else root.line, "no names with values", ALLOWED)
    found: dict[str, bytes] = {}
    for name, value in root.value:
        if not isinstance(name, nodes.Scalar) or not name.value:
            raise DocumentError(name.line, "a name that is no text", ALLOWED)
        if name.value in found:
            raise DocumentError(name.line, "a name that is there already", "each name only once")
        found[name.value] = (value.value if isinstance(value, nodes.Scalar) else _write_json(value)).encode()
    return found


def _write_json(node: Node) -> str:
    """Return a node as JSON: numbers, true and false as they were written, unless in quotes."""
    if isinstance(node, nodes.Mapping):
        members = (f"{json.dumps(_read_key(key))}:{_write_json(value)}" for key, value in node.value)
        return f"{{{','.join(members)}}}"
    if isinstance(node, nodes.Sequence):
        return f"[{','.join(map(_write_json, node.value))}]"
    if node.is_null:
        return "null"
    is_literal = not node.is_quoted and _JSON.fullmatch(node.value) is not None
    return node.value if is_literal else json.dumps(node.value, ensure_ascii=False)


def _read_key(node: Node) -> str:
    if not isinstance(node, nodes.Scalar):
        raise DocumentError(node.line, "a key that is no text", ALLOWED)
    return node.value
