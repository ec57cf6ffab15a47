"""Time and randomness, as the machine gives them."""

import os
import time

from secrets_cache.core.clock import Instant


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> Instant:
        """Read both clocks."""
        return Instant(time.time(), time.monotonic())


def random_fraction() -> float:
    """Return a random number from 0 to 1. Not by `random`, whose import takes as long as a fetch."""
    return int.from_bytes(os.urandom(6), "big") / (1 << 48)
