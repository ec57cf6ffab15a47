"""The pages of the documentation, taken apart: blocks, prose, sections, tables."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
README = ROOT / "README.md"
CONFIGURATION = ROOT / "docs" / "configuration.md"
HTTP = ROOT / "docs" / "http.md"
VARIABLES = ROOT / "docs" / "environment-variables.md"
OPERATIONS = ROOT / "docs" / "operations.md"
COMMAND_LINE = ROOT / "docs" / "command-line.md"
MIGRATING = ROOT / "docs" / "migrating.md"
PAGES = (README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, its text with the last line's end, and the line it begins in."""

    page: Path
    language: str
    text: str
    line: int

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """The commands of a block of `sh`, one a line."""
        return self.text.splitlines()


def blocks_of(page: Path, language: str | None = None) -> list[Block]:
    """Return a page's fenced blocks, of one language or of all."""
    text = page.read_text(encoding="utf-8")
    found = [
        Block(page, match[1], match[2], text.count("\n", 0, match.start()) + 1)
        for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]
    assert 2 * len(found) == len(re.findall(r"^```", text, re.MULTILINE)), f"{page.name}: a fence without a language"
    return [block for block in found if language in {None, block.language}]


def prose_of(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def sections_of(page: Path) -> dict[str, str]:
    """Return the text under each heading, up to the next one of any level; headings without their backticks."""
    _, *parts = re.split(r"^#+ (.+)$", prose_of(page), flags=re.MULTILINE)
    sections = zip(parts[::2], parts[1::2], strict=True)
    return {heading.replace("`", ""): " ".join(text.split()) for heading, text in sections}


def rows_of(page: Path, heading: str) -> list[list[str]]:
    """Return the cells of the table whose first column has this heading, without the heading's own row."""
    tables = re.split(r"\n(?!\|)", prose_of(page))
    (table,) = (rows for rows in tables if rows.lstrip().startswith(f"| {heading} |"))
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table.strip().splitlines()]
    return rows[2:]


def table(*rows: Sequence[str]) -> str:
    """Return a table in Markdown, the first row its head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "| " + " | ".join("---" for _ in rows[0]) + " |", *lines[1:], ""])


def with_tables(text: str, module: str, tables: Mapping[str, str]) -> str:
    """Return a page's text with the tables that a module of tests.support writes, each between its marks."""
    for name, made in tables.items():
        begin, end = f"<!-- by tests.support.{module}: {name} -->\n", "<!-- end -->\n"
        before, mark, rest = text.partition(begin)
        _, has_end, after = rest.partition(end)
        assert mark, f"the page has no place for {name}"
        assert has_end
        text = f"{before}{begin}\n{made}\n{end}{after}"
    return text


def codes_in(text: str) -> list[str]:
    """Return what a text has in backticks."""
    return re.findall(r"`([^`]+)`", text)
