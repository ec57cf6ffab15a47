"""
Text for a reader: tables, colours, and the progress of what takes long.

Rules
-----
1. Colour and progress only on a terminal that can: not with TERM=dumb, and no colour with NO_COLOR (no-color.org).
2. What is not for a terminal is whole: only there a table is cut to the width.
3. What AWS or a file said cannot steer the terminal: whatever is not printable is shown as such.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import NamedTuple, TextIO

MIN_COLUMN = 8
GAP = "  "
ELLIPSIS = "\u2026"


class Style(Enum):
    """How a text looks where there are colours; the values are SGR parameters (ECMA-48)."""

    PLAIN = ""
    HEADING = "1"
    GOOD = "32"
    BAD = "31"
    FAINT = "2"


class Cell(NamedTuple):
    """What stands in one column of one row."""

    text: str
    style: Style = Style.PLAIN


class Screen:
    """
    Where text is written, and what can be done there.

    Args:
        stream: Where to.
        environ: The environment variables: NO_COLOR, TERM, COLUMNS.
    """

    def __init__(self, stream: TextIO, environ: Mapping[str, str]) -> None:
        self._stream = stream
        self.is_terminal = stream.isatty() and environ.get("TERM") != "dumb"
        self._has_colour = self.is_terminal and not environ.get("NO_COLOR")
        self._width = shutil.get_terminal_size().columns if stream.isatty() else None

    def line(self, text: str = "", style: Style = Style.PLAIN) -> None:
        """Write one line, whole."""
        self._stream.write(f"{self._painted(printable(text), style)}\n")

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
        """Write a table without the columns in which nothing stands."""
        lines = [[Cell(heading, Style.HEADING) for heading in headings], *rows]
        lines = [[Cell(printable(cell.text), cell.style) for cell in line] for line in lines]
        used = [number for number in range(len(headings)) if any(line[number].text for line in lines[1:])]
        widths = _fitting([max(len(line[number].text) for line in lines) for number in used], self._width)
        for line in lines:
            cells = [self._cell(line[number], width) for number, width in zip(used, widths, strict=True)]
            self._stream.write(GAP.join(cells).rstrip() + "\n")

    def progress(self, text: str) -> None:
        """Show a text in place of the one before; an empty one ends that. Nothing, if this is no terminal."""
        if self.is_terminal:
            self._stream.write(f"\r\x1b[K{text}")
            self._stream.flush()

    def _cell(self, cell: Cell, width: int) -> str:
        text = cell.text if len(cell.text) <= width else cell.text[: width - 1] + ELLIPSIS
        return self._painted(text, cell.style) + " " * (width - len(text))

    def _painted(self, text: str, style: Style) -> str:
        return f"\x1b[{style.value}m{text}\x1b[0m" if self._has_colour and style.value and text else text


def printable(text: str) -> str:
    """Return a text in which everything that could steer a terminal is replaced."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def _fitting(widths: list[int], room: int | None) -> list[int]:
    """Return the widths of columns, the widest cut until all have room."""
    while room is not None and widths and sum(widths) + len(GAP) * (len(widths) - 1) > room:
        widest = max(widths)
        if widest <= MIN_COLUMN:
            break
        widths[widths.index(widest)] -= 1
    return widths
