"""The machine's randomness; its clocks are tested with those of the core."""

from secrets_cache.system.clock import random_fraction


def test_a_random_fraction_is_below_one_and_never_twice_the_same():
    """Jitter is made of it."""
    found = {random_fraction() for _ in range(1000)}

    assert 1000 == len(found)
    assert 0 <= min(found) < 0.1
    assert 0.9 < max(found) < 1
