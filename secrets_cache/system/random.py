"""Chance, as the machine has it."""

import os


def chance() -> float:
    """Return a number from 0 to 1, by chance; not through `random`, whose import takes as long as a fetch."""
    return int.from_bytes(os.urandom(6), "big") / (1 << 48)
