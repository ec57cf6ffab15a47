"""Text for people: plain where there is no terminal or no rich, and safe everywhere."""

import io
import sys

import pytest

from secrets_cache.cli.terminal import Cell, Screen, Style, fit_columns, print_error

WHOLE = "long/" * 100
ROWS = [
    {"A": Cell("a", Style.GOOD), "B": Cell(""), "C": Cell(WHOLE)},
    {"A": Cell("bcd"), "B": Cell(""), "C": Cell("[red]e[/red]", Style.BAD)},
]


class Terminal(io.StringIO):
    """A terminal that remembers what it showed."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")


def write_everything(stream: io.StringIO) -> str:
    """Return everything that a screen writes, once."""
    screen = Screen(stream)
    screen.line("all [bold]well[/bold]", Style.GOOD)
    screen.table(ROWS)
    with screen.progress("Fetching") as show:
        show(1, 2)
    return stream.getvalue()


PLAIN = f"all [bold]well[/bold]\nA    C\na    {WHOLE}\nbcd  [red]e[/red]\n"


def test_without_a_terminal_the_text_is_plain_and_whole():
    """Columns are aligned, and left out where every row is empty; nothing is cut, wrapped or framed."""
    assert PLAIN == write_everything(io.StringIO())


def test_a_dumb_terminal_gets_plain_text(monkeypatch):
    """It can do no more."""
    monkeypatch.setenv("TERM", "dumb")

    assert PLAIN == write_everything(Terminal())


def test_a_terminal_without_rich_gets_plain_text(monkeypatch):
    """As in the image, which has only the layer."""
    monkeypatch.setitem(sys.modules, "rich.console", None)

    assert PLAIN == write_everything(Terminal())


def test_a_terminal_gets_styles_and_progress_and_rows_that_fit():
    """Markup in a text is only text."""
    text = write_everything(Terminal())

    assert "\x1b[32ma" in text
    assert "\x1b[31m[red]e[/red]" in text
    assert "\x1b[32mall [bold]well[/bold]\x1b[0m" in text
    assert WHOLE not in text
    assert "1/2" in text


def test_a_terminal_that_is_far_too_narrow_wraps_whole_rows(monkeypatch):
    """Cells of a few characters in many lines are not readable, and one column shows nothing."""
    monkeypatch.setenv("COLUMNS", "12")
    terminal = Terminal()
    Screen(terminal).table([{"NAME": Cell("prod/database"), "ERROR": Cell("AccessDenied", Style.BAD)}])

    assert "NAME           ERROR\nprod/database  AccessDenied\n" == terminal.getvalue()


def test_no_color_leaves_no_style(monkeypatch):
    """Neither colours nor bold."""
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    Screen(terminal).table(ROWS)

    assert "\x1b" not in terminal.getvalue()


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_a_text_cannot_control_the_terminal(stream, monkeypatch, capfd):
    """Whatever AWS or a file said."""
    monkeypatch.setenv("NO_COLOR", "1")
    out = stream()
    screen = Screen(out)
    screen.line("a\x1b]0;x\x07b\rc")
    screen.table([{"A": Cell("x\x1b[2J\u202e", Style.BAD)}])
    print_error("y\x1b[2J\nz")

    written = out.getvalue() + "".join(capfd.readouterr())
    assert not [char for char in written if not char.isprintable() and char != "\n"]
    assert 4 == written.count("\n")


COLUMNS = {
    "NAME": ["prod/orders/database/primary", "prod/orders/database/replica"],
    "TTL": ["10m", "10m"],
    "STATE": ["failed", "fresh"],
    "VERSION": ["", "00000001-0000-4000-8000-000000000000"],
    "TOOK": ["31 ms", "12 ms"],
    "ERROR": ["ResourceNotFoundException", ""],
}


@pytest.mark.parametrize(
    ("width", "headings"),
    [
        (200, ["NAME", "TTL", "STATE", "VERSION", "TOOK", "ERROR"]),
        (80, ["NAME", "TTL", "STATE", "TOOK", "ERROR"]),
        (72, ["NAME", "TTL", "STATE", "ERROR"]),
        (66, ["NAME", "STATE", "ERROR"]),
    ],
)
def test_a_narrow_terminal_loses_whole_columns_first(width, headings):
    """Those that matter least; what is left is whole."""
    found = fit_columns(COLUMNS, width)

    assert headings == list(found)
    assert all(COLUMNS[name] == found[name] for name in headings)


def test_then_names_lose_their_middle_and_errors_nothing():
    """Their ends tell them apart."""
    found = fit_columns(COLUMNS, 56)

    assert ["prod/order…se/primary", "prod/order…se/replica"] == found["NAME"]
    assert COLUMNS["ERROR"] == found["ERROR"]


@pytest.mark.parametrize("width", range(1, 120))
def test_what_can_fit_does(width):
    """And a terminal that is far too narrow gets what cannot be cut any more."""
    found = fit_columns(COLUMNS, width)
    taken = sum(max(map(len, (name, *texts))) for name, texts in found.items()) + 2 * (len(found) - 1)

    assert taken <= max(width, 8 + 2 + 6 + 2 + 25)
