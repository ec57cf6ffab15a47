"""Counts, and how long fetches took."""

import pytest

from secrets_cache.core.stats import Latency, Stats


def test_without_a_fetch_there_is_no_latency():
    """A mean of nothing would be a lie."""
    assert {"hits", "misses", "stale", "refreshes", "failures"} == set(Stats().as_fields())


def test_the_fields_of_a_log_line_have_the_mean_and_the_longest():
    """In milliseconds, beside what is counted."""
    stats = Stats()
    stats.hits = 7
    for seconds in (0.01, 0.03):
        stats.latency.add(seconds)

    assert {"hits": 7, "fetch_mean_ms": 20, "fetch_max_ms": 30}.items() <= stats.as_fields().items()


@pytest.mark.parametrize(
    ("seconds", "place"), [(0.0, 0), (0.01, 0), (0.011, 1), (60.0, 10), (60.1, 11), (1e9, len(Latency.BOUNDS))]
)
def test_a_time_counts_up_to_the_bound_that_it_does_not_exceed(seconds, place):
    """A bound belongs to what is below it; what exceeds all has a place of its own."""
    latency = Latency()
    latency.add(seconds)

    assert [place] == [at for at, count in enumerate(latency.up_to) if count]
