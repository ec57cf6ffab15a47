"""
Statistics of repeated measurements. Pure.

Rules
-----
1. The middle is the median and the spread is from the 10th to the 90th percentile: one disturbed repetition changes
   neither.
2. Nothing is made up: of no samples there is no summary, and of a baseline of 0 no ratio.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Summary:
    """What many samples of one quantity say: the median, the 10th and the 90th percentile, and how many there were."""

    median: float
    p10: float
    p90: float
    count: int


def summarize(samples: Sequence[float]) -> Summary:
    """
    Return the summary of `samples`.

    Raises:
        ValueError: There are none, or one of them is not a finite number.
    """
    if not samples or not all(math.isfinite(sample) for sample in samples):
        raise ValueError(f"a summary needs finite samples, not {list(samples)}")
    return Summary(statistics.median(samples), percentile(samples, 10), percentile(samples, 90), len(samples))


def percentile(samples: Sequence[float], percent: float) -> float:
    """Return the value below which `percent` of the samples lie, interpolated between the two nearest."""
    ordered = sorted(samples)
    place = (len(ordered) - 1) * percent / 100
    lower, upper = ordered[math.floor(place)], ordered[math.ceil(place)]
    return lower + (upper - lower) * (place - math.floor(place))


def ratio(ours: Summary, baseline: Summary) -> float | None:
    """Return the ratio of the medians; None where the baseline's is not above 0."""
    return ours.median / baseline.median if baseline.median > 0 else None


def added(with_it: Sequence[float], without: Sequence[float]) -> list[float]:
    """Return what is added in each round: both were measured one after the other in it."""
    return [more - less for more, less in zip(with_it, without, strict=True)]
