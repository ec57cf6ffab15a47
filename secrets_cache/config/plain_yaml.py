"""
The fast path for plain YAML, without PyYAML, whose import takes longer than all of this package.

Rules
-----
1. Not a second grammar: what it reads, PyYAML reads alike, down to the line. Tests compare the two.
2. It leaves to PyYAML everything else: tabs, characters beyond ASCII, anchors, tags, blocks of text, escapes, spaces in
   text without quotes, text of several lines, and everything that is wrong.
"""

import re

from secrets_cache.config.nodes import Mapping, Node, Scalar, Sequence

# A simple key must end within 1,024 characters; nothing here is near it.
MAX_LINE = 1000
# More than any configuration needs.
MAX_DEPTH = 20

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
# Characters without a meaning in YAML, anywhere in a scalar; colons only between two of them.
_SCALAR = re.compile(
    r"""(?P<plain>[A-Za-z0-9/_.+=~](?:[A-Za-z0-9/_.+=@!*%~-]|:(?=[A-Za-z0-9/_.+=@!*%~:-]))*)"""
    r"""|'(?P<single>[^']*)'(?!')|"(?P<double>[^"\\]*)\""""
)
_END = re.compile(r" *(?: #.*)?$")
_KEY_END = re.compile(r":(?= |$) *")
_BLANKS = re.compile(r" *")


class NotPlain(Exception):
    """The text is not plain: PyYAML must read it."""


def compose(text: str) -> Node | None:
    """Return the root node of the document in `text`, None if it is empty. Raises `NotPlain`."""
    printable = text.replace("\n", "")
    if not (printable.isascii() and printable.isprintable()):
        raise NotPlain
    lines = []
    for number, line in enumerate(text.split("\n"), 1):
        content = line.lstrip(" ")
        if len(line) > MAX_LINE or content.startswith(("---", "...", "%")):
            raise NotPlain
        if content and not content.startswith("#"):
            lines.append(_Line(number, len(line) - len(content), content))
    if not lines:
        return None
    document = _Document(lines)
    root = document.read_collection(-1, 0)
    if document.lines:
        raise NotPlain
    return root


class _Line:
    """The unread rest of a line, and the column that it starts in."""

    __slots__ = ("column", "content", "number")

    def __init__(self, number: int, column: int, content: str) -> None:
        self.number = number
        self.column = column
        self.content = content

    @property
    def is_item(self) -> bool:
        return self.content == "-" or self.content.startswith("- ")


class _Document:
    """The unread lines. Each method reads one node, and leaves the lines after it."""

    def __init__(self, lines: list[_Line]) -> None:
        self.lines = lines[::-1]

    def read_collection(self, outside: int, depth: int) -> Sequence | Mapping:
        """Read a list or a mapping that is indented more than `outside`."""
        first = self.lines[-1]
        if first.column <= outside or depth > MAX_DEPTH:
            raise NotPlain
        return self.read_sequence(first, depth) if first.is_item else self.read_mapping(first, depth)

    def read_sequence(self, first: _Line, depth: int) -> Sequence:
        items: list[Node] = []
        while self._goes_on(first.column) and self.lines[-1].is_item:
            line = self.lines.pop()
            rest = line.content[1:].lstrip(" ")
            if not rest or rest.startswith("#"):
                items.append(self.read_below(line, first.column, depth))
            elif _begins_mapping(rest):
                # A mapping that begins after the dash: all its keys are in the column of the first one.
                self.lines.append(_Line(line.number, line.column + len(line.content) - len(rest), rest))
                items.append(self.read_collection(first.column, depth + 1))
            else:
                items.append(_read_value(rest, line.number))
        return Sequence(items, first.number)

    def read_mapping(self, first: _Line, depth: int) -> Mapping:
        pairs: list[tuple[Node, Node]] = []
        while self._goes_on(first.column) and not self.lines[-1].is_item:
            line = self.lines.pop()
            key, end = _read_scalar(line.content, 0, line.number)
            colon = _KEY_END.match(line.content, end)
            if colon is None:
                raise NotPlain
            rest = line.content[colon.end() :]
            if not rest or rest.startswith("#"):
                # A list may follow its key without indentation.
                below = self.lines[-1] if self.lines else None
                outside = first.column - bool(below and below.is_item)
                pairs.append((key, self.read_below(line, outside, depth)))
            else:
                pairs.append((key, _read_value(rest, line.number)))
        return Mapping(pairs, first.number)

    def read_below(self, line: _Line, outside: int, depth: int) -> Node:
        """Read the lines below a dash or a key: nothing, or a collection."""
        if self.lines and self.lines[-1].column > outside:
            return self.read_collection(outside, depth + 1)
        return Scalar("", line.number, is_quoted=False, is_null=True)

    def _goes_on(self, column: int) -> bool:
        if self.lines and self.lines[-1].column > column:
            # The next line of a text, or a wrong indentation.
            raise NotPlain
        return bool(self.lines) and self.lines[-1].column == column


def _begins_mapping(text: str) -> bool:
    match = _SCALAR.match(text)
    return match is not None and _KEY_END.match(text, match.end()) is not None


def _read_value(text: str, number: int) -> Node:
    """Read a scalar, or a collection in brackets, up to the line's end."""
    node, end = _read_flow(text, 0, number, 0)
    if not _END.match(text, end):
        raise NotPlain
    return node


def _read_scalar(text: str, at: int, number: int) -> tuple[Scalar, int]:
    match = _SCALAR.match(text, at)
    if match is None:
        raise NotPlain
    plain = match["plain"]
    if plain is not None:
        return Scalar(plain, number, is_quoted=False, is_null=plain in _NULLS), match.end()
    value = match["double"] if match["single"] is None else match["single"]
    return Scalar(value, number, is_quoted=True, is_null=False), match.end()


def _read_flow(text: str, at: int, number: int, depth: int) -> tuple[Node, int]:
    """Read the scalar, the [...] or the {...} that begins at `at`; return it and where it ends."""
    closing = {"[": "]", "{": "}"}.get(text[at : at + 1])
    if closing is None:
        return _read_scalar(text, at, number)
    if depth > MAX_DEPTH:
        raise NotPlain
    items: list[Node] = []
    pairs: list[tuple[Node, Node]] = []
    at = _skip_blanks(text, at + 1)
    while text[at : at + 1] != closing:
        if closing == "]":
            item, at = _read_flow(text, at, number, depth + 1)
            items.append(item)
        else:
            key, at = _read_scalar(text, at, number)
            if text[at : at + 2] != ": ":
                raise NotPlain
            value, at = _read_flow(text, _skip_blanks(text, at + 1), number, depth + 1)
            pairs.append((key, value))
        at = _skip_blanks(text, at)
        if text[at : at + 1] == ",":
            at = _skip_blanks(text, at + 1)
        elif text[at : at + 1] != closing:
            raise NotPlain
    return (Sequence(items, number) if closing == "]" else Mapping(pairs, number)), at + 1


def _skip_blanks(text: str, at: int) -> int:
    blanks = _BLANKS.match(text, at)
    return blanks.end() if blanks else at
