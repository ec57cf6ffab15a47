"""
The rows of the table: one measured thing each, what it is compared with, and the budget.

Rules
-----
1. A row that could not be measured says why, and has no number.
2. A verdict is derived from the numbers, never set.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from bench.stats import Summary, ratio, summarize


class Bound(Enum):
    """Which number a budget bounds, and from which side."""

    RATIO_AT_MOST = auto()
    RATIO_AT_LEAST = auto()
    VALUE_AT_MOST = auto()


@dataclass(frozen=True, slots=True)
class Budget:
    """A promise of the project."""

    bound: Bound
    limit: float


class Verdict(Enum):
    """What became of a promise; the values are shown."""

    MET = "met"
    MISSED = "MISSED"
    NOT_MEASURED = "not measured"
    NO_BUDGET = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    One line of the table.

    Attributes:
        key: What the row is called in the results.
        what: What was measured, in words.
        unit: Of both summaries; empty for a count.
        ours: None where it could not be measured.
        baseline: What it is compared with; None where there is nothing to compare, or it could not be measured.
        against: What the baseline is, in words.
        note: What has to be known to read the numbers, or why there are none.
    """

    key: str
    what: str
    unit: str = "ms"
    ours: Summary | None = None
    baseline: Summary | None = None
    against: str = ""
    budget: Budget | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours over the baseline's, of the medians; None where one of them is missing."""
        return ratio(self.ours, self.baseline) if self.ours and self.baseline else None

    @property
    def verdict(self) -> Verdict:
        """Whether the budget is met."""
        if self.ours is None:
            return Verdict.NOT_MEASURED
        if self.budget is None:
            return Verdict.NO_BUDGET
        bounded = self.ours.median if self.budget.bound is Bound.VALUE_AT_MOST else self.ratio
        if bounded is None:
            return Verdict.NOT_MEASURED
        if self.budget.bound is Bound.RATIO_AT_LEAST:
            return Verdict.MET if bounded >= self.budget.limit else Verdict.MISSED
        return Verdict.MET if bounded <= self.budget.limit else Verdict.MISSED


def measured(  # noqa: PLR0913 - a row has that many columns
    key: str,
    what: str,
    ours: Sequence[float],
    baseline: Sequence[float] = (),
    *,
    unit: str = "ms",
    against: str = "",
    budget: Budget | None = None,
    note: str = "",
) -> Row:
    """Return the row of these samples; without samples of a baseline it stands alone."""
    return Row(
        key=key,
        what=what,
        unit=unit,
        ours=summarize(ours),
        baseline=summarize(baseline) if baseline else None,
        against=against,
        budget=budget,
        note=note,
    )


def at_most(times: float) -> Budget:
    """Return the budget of at most so many times the baseline."""
    return Budget(Bound.RATIO_AT_MOST, times)


def at_least(times: float) -> Budget:
    """Return the budget of at least so many times the baseline."""
    return Budget(Bound.RATIO_AT_LEAST, times)


def no_more_than(value: float) -> Budget:
    """Return the budget of at most this value, in the unit of the row."""
    return Budget(Bound.VALUE_AT_MOST, value)
