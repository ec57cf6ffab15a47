"""
YAML bytes to YAML nodes. Nodes keep what the values lose: the text as written, and its line.

Rules
-----
1. Published examples are accepted as meant: an en or em dash, or a no-break space, where a list's dash or its
   indentation belongs.
2. No message shows the text around an error: it might hold the token.
"""

import re

from secrets_cache.config import plain_yaml
from secrets_cache.config.nodes import DocumentError, Node, Scalar, Sequence

SHOWN_LENGTH = 60

# One to one, so that columns stay: a run of dashes and blanks at the start of a line, each dash before a blank.
_INDENT = re.compile(r"^[ \u00a0]*(?:[-\u2013\u2014](?:[ \u00a0]+|$))*", re.MULTILINE)
_MEANT = {"\u2013": "-", "\u2014": "-", "\u00a0": " "}


def compose(data: bytes, *, has_lane: bool) -> Node | None:
    """
    Return the root node of the one YAML document in `data`, None if it is empty.

    Args:
        data: The bytes of the file.
        has_lane: Whether PyYAML may be passed by for what is plain.

    Raises:
        DocumentError: It is not UTF-8, or not one YAML document.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DocumentError(line, f"byte 0x{data[error.start]:02x}, which is not UTF-8", "UTF-8") from None
    if not text.isascii():
        text = _INDENT.sub(lambda match: "".join(_MEANT.get(char, char) for char in match[0]), text)
    if has_lane:
        try:
            return plain_yaml.compose(text)
        except plain_yaml.Unsure:
            pass
    from secrets_cache.config import pyyaml  # noqa: PLC0415 - slow to import

    return pyyaml.compose(text)


def describe(node: Node) -> str:
    """Return what a node is, shortened, in words for a problem."""
    if isinstance(node, Scalar):
        text = shortened(node.value)
        return repr(text) if text else "nothing"
    return "a list" if isinstance(node, Sequence) else "a mapping"


def shown(name: str) -> str:
    """Return a key's name as part of a problem's key: shortened, and printable, so that a problem is one line."""
    text = shortened(name)
    return text if text.isprintable() else repr(text)[1:-1]


def shortened(text: str) -> str:
    """Return the beginning of a text, for a problem."""
    return text if len(text) <= SHOWN_LENGTH else text[:SHOWN_LENGTH] + "..."


def is_empty_text(node: Node) -> bool:
    """Return whether the node is a quoted empty text. Nothing at all, or a comment in its place, is not."""
    return isinstance(node, Scalar) and node.value == "" and node.is_quoted


def is_null(node: Node) -> bool:
    """Return whether the node is YAML's null."""
    return isinstance(node, Scalar) and node.is_null
