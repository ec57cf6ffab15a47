"""
Text for people: lines, tables and progress, by rich on a terminal and as plain text everywhere else.

Rules
-----
1. Plain text does not need rich, which the layer does not have. It is whole: nothing is cut, wrapped or framed.
2. A terminal with TERM=dumb gets plain text. NO_COLOR (no-color.org) switches off every style.
3. Text from AWS or from a file cannot control the terminal: what is not printable is replaced, rich's markup is off.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, TextIO

if TYPE_CHECKING:
    from rich.console import Console


# What a table goes without where the terminal is too narrow: at once, and before names become too short to be read.
LEAST_USEFUL = ("VERSION", "TOOK", "TTL")
LESS_USEFUL = ("REQUIRED", "ROLE", "REGION", "KIND")
# What is never cut; and what is wrapped between its words.
WHOLE = frozenset({"ERROR", "STATE", "KIND", "VARIABLES"})
WRAPPED = "VARIABLES"
READABLE_COLUMN = 20
MIN_COLUMN = 8


class Style(Enum):
    """How a text looks on a terminal; the values are rich's."""

    PLAIN = ""
    GOOD = "green"
    BAD = "red"
    FAINT = "dim"


class Cell(NamedTuple):
    """The text in one column of one row."""

    text: str
    style: Style = Style.PLAIN


class Screen:
    """Writes lines and tables to `stream`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._console = _open_console(stream)

    def line(self, text: str = "", style: Style = Style.PLAIN) -> None:
        """Write one line."""
        if self._console is None:
            self._stream.write(f"{make_printable(text)}\n")
        else:
            self._console.print(make_printable(text), style=style.value, soft_wrap=True)

    def table(self, rows: Sequence[Mapping[str, Cell]]) -> None:
        """
        Write a table of cells by heading, without the columns that are empty in every row.

        A terminal that is too narrow loses the least useful columns first; then long texts lose their middle. A list of
        variables is wrapped. An even narrower terminal gets plain text.
        """
        headings = [heading for heading in rows[0] if any(row[heading].text for row in rows)]
        texts = {name: [make_printable(row[name].text) for row in rows] for name in headings}
        fitted = {} if self._console is None else fit_columns(texts, self._console.width)
        if self._console is None or _measure(fitted) > self._console.width:
            self._write_columns([headings, *zip(*texts.values(), strict=True)])
            return
        texts, headings = fitted, list(fitted)
        lines = [[Cell(texts[name][i], row[name].style) for name in headings] for i, row in enumerate(rows)]
        from rich.table import Table  # noqa: PLC0415 - only on a terminal
        from rich.text import Text  # noqa: PLC0415

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for heading in headings:
            table.add_column(heading, overflow="fold", no_wrap=heading != WRAPPED)
        for line in lines:
            table.add_row(*(Text(cell.text, cell.style.value) for cell in line))
        self._console.print(table)

    def _write_columns(self, lines: Sequence[Sequence[str]]) -> None:
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            padded = [text.ljust(width) for text, width in zip(line, widths, strict=True)]
            self._stream.write("  ".join(padded).rstrip() + "\n")

    @contextlib.contextmanager
    def progress(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """Give a function that shows how many of how many are done; it shows nothing in plain text."""
        if self._console is None:
            yield lambda _done, _total: None
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress  # noqa: PLC0415 - only on a terminal

        with Progress(what, BarColumn(), MofNCompleteColumn(), console=self._console, transient=True) as progress:
            task = progress.add_task(what, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)


def fit_columns(texts: Mapping[str, Sequence[str]], width: int) -> dict[str, list[str]]:
    """
    Return the columns of a table, by heading, so that it fits a width if it can. The texts of ERROR stay whole.

    First the columns that repeat the names or matter least are left out, then the longest texts are cut in the
    middle: names often differ only at their ends. Where little would be left of them, further columns go first.
    """
    columns = {name: list(column) for name, column in texts.items()}
    repeated = ["ASKED FOR"] if columns.get("NAME") == columns.get("ASKED FOR") else []
    for name in (*repeated, *LEAST_USEFUL):
        if _measure(columns) > width:
            columns.pop(name, None)
    for name in LESS_USEFUL:
        cut = _cut_longest(columns, width, READABLE_COLUMN)
        if _measure(cut) <= width:
            return cut
        columns.pop(name, None)
    return _cut_longest(columns, width, MIN_COLUMN)


def _cut_longest(texts: Mapping[str, list[str]], width: int, least: int) -> dict[str, list[str]]:
    """Return columns whose longest texts are cut until the table fits, or `least` is left of each."""
    columns = dict(texts)
    limits = {name: max(map(len, column)) for name, column in columns.items() if name not in WHOLE}
    limits = {name: limit for name, limit in limits.items() if limit > max(least, len(name))}
    while (excess := _measure(columns) - width) > 0 and limits:
        longest = max(limits, key=lambda name: limits[name])
        # Down to the next longest, so that long columns share what is missing.
        others = [limit for name, limit in limits.items() if name != longest]
        step = min(excess, max(1, limits[longest] - max(others, default=0)))
        limits[longest] = limit = max(limits[longest] - step, least, len(longest))
        columns[longest] = [_cut_middle(text, limit) for text in texts[longest]]
        if limit == max(least, len(longest)):
            del limits[longest]
    return columns


def _measure(columns: Mapping[str, Sequence[str]]) -> int:
    """Return the least width of a table."""
    pieces = {name: [" ".join(column).split() if name == WRAPPED else column] for name, column in columns.items()}
    return sum(max(len(name), *map(len, *pieces[name])) for name in columns) + 2 * (len(columns) - 1)


def _cut_middle(text: str, length: int) -> str:
    head = length // 2
    return text if len(text) <= length else f"{text[:head]}…{text[len(text) - (length - head - 1) :]}"


def _open_console(stream: TextIO) -> "Console | None":
    """Return rich's console; None for plain text."""
    if not stream.isatty() or os.environ.get("TERM") == "dumb":
        return None
    try:
        from rich.console import Console  # noqa: PLC0415 - only on a terminal
    except ImportError:
        return None
    return Console(
        file=stream,
        force_terminal=True,
        # NO_COLOR alone would leave bold and dim.
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        highlight=False,
        markup=False,
        emoji=False,
    )


def print_error(text: str) -> None:
    """Write one line to standard error. That nobody can read it is no reason to fail."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"secrets-cache: {make_printable(text)}\n")
        sys.stderr.flush()


def make_printable(text: str) -> str:
    """Return `text` with every character that could control a terminal replaced."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)
