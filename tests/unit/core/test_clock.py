"""Time passed, judged on two clocks."""

import time

import pytest

from secrets_cache.core.clock import Elapsed, Instant, elapsed
from secrets_cache.system.clock import SystemClock


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        (Instant(110, 10), Elapsed(10, backwards=False)),
        (Instant(110, 2), Elapsed(10, backwards=False)),
        (Instant(103, 10), Elapsed(10, backwards=False)),
        (Instant(90, 10), Elapsed(10, backwards=True)),
        (Instant(90, -5), Elapsed(0, backwards=True)),
        (Instant(100, 0), Elapsed(0, backwards=False)),
    ],
)
def test_elapsed_is_the_larger_of_both_clocks_and_tells_a_step_back(later, expected):
    """The larger elapsed time counts, and a wall clock that went back is told."""
    assert expected == elapsed(Instant(100, 0), later)


def test_system_clock_reads_the_machines_clocks():
    """Both readings are the machine's."""
    before = time.time(), time.monotonic()
    now = SystemClock().now()

    assert before[0] <= now.wall <= time.time()
    assert before[1] <= now.monotonic <= time.monotonic()
