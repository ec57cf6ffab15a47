"""
YAML bytes to YAML nodes. Nodes keep what the values lose: the text as written, and its line.

Rules
-----
1. Published examples are accepted as meant: an en or em dash, or a no-break space, where a list's dash or its
   indentation belongs.
2. No message shows the text around an error: it might hold the token.
"""

import re

import yaml

Node = yaml.Node
Scalar = yaml.ScalarNode
Sequence = yaml.SequenceNode
Mapping = yaml.MappingNode

SHOWN_LENGTH = 60

# One to one, so that columns stay: a run of dashes and blanks at the start of a line, each dash before a blank.
_INDENT = re.compile(r"^[ \u00a0]*(?:[-\u2013\u2014](?:[ \u00a0]+|$))*", re.MULTILINE)
# What the parser quotes from the text in its messages: names of anchors, aliases and tags, but not its own <tokens>.
_QUOTED = re.compile(r"""'(?!<)[^']{2,}'|"(?!<)[^"]{2,}\"""")
_MEANT = {"\u2013": "-", "\u2014": "-", "\u00a0": " "}


class DocumentError(Exception):
    """
    The bytes are no YAML document.

    Attributes:
        line: Where, from 1; None if it cannot be said.
        found: What stands there.
        allowed: What would be right.
    """

    def __init__(self, line: int | None, found: str, allowed: str) -> None:
        super().__init__(line, found, allowed)
        self.line = line
        self.found = found
        self.allowed = allowed


def compose(data: bytes) -> Node | None:
    """
    Return the root node of the one YAML document in `data`, None if it is empty.

    Raises:
        DocumentError: It is not UTF-8, or not one YAML document.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DocumentError(line, f"byte 0x{data[error.start]:02x}, which is not UTF-8", "UTF-8") from None
    text = _INDENT.sub(lambda match: "".join(_MEANT.get(char, char) for char in match[0]), text)
    try:
        # Composing runs no constructor: nothing in the text can create an object.
        node: Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise DocumentError(line, f"character U+{ord(text[error.position]):04X}", "printable characters") from None
    except yaml.MarkedYAMLError as error:
        where = error.problem_mark.line + 1 if error.problem_mark else None
        what = _QUOTED.sub("'...'", error.problem or error.context or "")
        raise DocumentError(where, f"broken YAML ({what})", "one YAML document") from None
    except RecursionError:
        raise DocumentError(None, "YAML nested too deeply", "one YAML document") from None
    return node


def describe(node: Node) -> str:
    """Return what a node is, shortened, in words for a problem."""
    if isinstance(node, Scalar):
        text = shortened(node.value)
        return repr(text) if text else "nothing"
    return "a list" if isinstance(node, Sequence) else "a mapping"


def shortened(text: str) -> str:
    """Return the beginning of a text, for a problem."""
    return text if len(text) <= SHOWN_LENGTH else text[:SHOWN_LENGTH] + "..."


def line_of(node: Node) -> int:
    """Return the line a node starts in, from 1."""
    return int(node.start_mark.line) + 1


def is_empty_text(node: Node) -> bool:
    """Return whether the node is a quoted empty text. Nothing at all, or a comment in its place, is not."""
    return isinstance(node, Scalar) and node.value == "" and node.style is not None


def is_null(node: Node) -> bool:
    """Return whether the node is YAML's null."""
    return isinstance(node, Scalar) and node.tag == "tag:yaml.org,2002:null"
