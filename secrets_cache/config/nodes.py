"""
The nodes of a YAML document: scalars, sequences and mappings, each with its line.

Each also has the tag that was written in front of it, such as "!Ref" or "!!str"; empty if there was none.
"""


class Scalar:
    """
    A single value, as the text that was written.

    Attributes:
        value: The text, without quotes.
        line: The line it starts in, from 1.
        is_quoted: Whether it was written in quotes or as a block of text.
        is_null: Whether it is YAML's null.
    """

    __slots__ = ("is_null", "is_quoted", "line", "tag", "value")

    def __init__(self, value: str, line: int, *, is_quoted: bool, is_null: bool, tag: str = "") -> None:
        self.value = value
        self.line = line
        self.is_quoted = is_quoted
        self.is_null = is_null
        self.tag = tag


class Sequence:
    """A list: its items, and the line it starts in."""

    __slots__ = ("line", "tag", "value")
    is_null = False

    def __init__(self, value: "list[Node]", line: int, tag: str = "") -> None:
        self.value = value
        self.line = line
        self.tag = tag


class Mapping:
    """A mapping: its keys and values in the order written, and the line it starts in."""

    __slots__ = ("line", "tag", "value")
    is_null = False

    def __init__(self, value: "list[tuple[Node, Node]]", line: int, tag: str = "") -> None:
        self.value = value
        self.line = line
        self.tag = tag


Node = Scalar | Sequence | Mapping


class DocumentError(Exception):
    """
    The bytes are not a YAML document.

    Attributes:
        line: The line of the error, from 1; None if it is unknown.
        found: What is there.
        allowed: What would be right.
    """

    def __init__(self, line: int | None, found: str, allowed: str) -> None:
        super().__init__(line, found, allowed)
        self.line = line
        self.found = found
        self.allowed = allowed
