"""The machine's time and randomness."""

import os
import time

from secrets_cache.core.clock import Instant


class SystemClock:
    """The wall clock and the monotonic clock of the machine."""

    def now(self) -> Instant:
        """Read both clocks."""
        return Instant(time.time(), time.monotonic())


def random_fraction() -> float:
    """Return a random number from 0 up to, but not including, 1. Importing `random` would take as long as a fetch."""
    return int.from_bytes(os.urandom(6), "big") / (1 << 48)
