"""The table on the terminal: ratios and verdicts first, then the numbers they come from. Pure."""

from collections.abc import Container, Sequence

from bench.rows import Bound, Row, Verdict
from bench.stats import Summary

HEADINGS = ("what", "ratio", "budget", "", "secrets-cache (p10..p90)", "compared with (p10..p90)", "which is")
NUMBERS = (1, 4, 5)


def render(rows: Sequence[Row]) -> str:
    """Return the table, and below it what has to be known to read it."""
    notes = list(dict.fromkeys(row.note for row in rows if row.note))
    cells = [HEADINGS, *(_cells(row, notes) for row in rows)]
    lines = align(cells, NUMBERS)
    lines.insert(1, "  ".join("-" * max(map(len, column)) for column in zip(*cells, strict=True)))
    numbered = [f"[{place}] {note}" for place, note in enumerate(notes, start=1)]
    return "\n".join([*lines, "", *numbered, *([""] if notes else []), summary(rows)])


def align(rows: Sequence[Sequence[str]], numbers: Container[int]) -> list[str]:
    """Return rows as lines whose columns stand below each other; those of these numbers end alike."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _cells(row: Row, notes: Sequence[str]) -> tuple[str, ...]:
    return (
        f"{row.what} [{notes.index(row.note) + 1}]" if row.note else row.what,
        f"{row.ratio:.2f}" if row.ratio is not None else "",
        budget_in_words(row),
        row.verdict.value,
        in_words(row.ours, row.unit),
        in_words(row.baseline, row.unit),
        row.against,
    )


def budget_in_words(row: Row) -> str:
    """Return the promise, short; empty if there is none."""
    if row.budget is None:
        return ""
    sign = ">=" if row.budget.bound is Bound.RATIO_AT_LEAST else "<="
    unit = row.unit if row.budget.bound is Bound.VALUE_AT_MOST else "x"
    return f"{sign} {row.budget.limit:g} {unit}".strip()


def in_words(summary: Summary | None, unit: str) -> str:
    """Return a median and its spread; only the median of a single sample, nothing of none."""
    if summary is None:
        return ""
    spread = f" ({number(summary.p10)}..{number(summary.p90)})" if summary.count > 1 else ""
    return f"{number(summary.median)} {unit}".strip() + spread


def number(value: float) -> str:
    """Return a number with three digits that mean something."""
    if value == int(value) or abs(value) >= 100:  # noqa: PLR2004 - three digits
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"  # noqa: PLR2004 - three digits


def summary(rows: Sequence[Row]) -> str:
    """Return how many promises are kept."""
    promised = [row.verdict for row in rows if row.budget is not None]
    counts = {verdict: promised.count(verdict) for verdict in (Verdict.MET, Verdict.MISSED, Verdict.NOT_MEASURED)}
    return f"Of {len(promised)} budgets: " + ", ".join(f"{count} {verdict.value}" for verdict, count in counts.items())
