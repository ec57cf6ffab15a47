"""
The time now, and the time that has passed.

Rules
-----
1. Two clocks are read together. The monotonic clock may stand still while an execution environment is frozen, or kept
   in a SnapStart snapshot; the wall clock may be set. Elapsed time is the larger of the two.
2. A wall clock that went backwards makes the elapsed time unreliable, which the result shows.
3. Nothing here waits. See docs/adr/0003-two-clocks.md.
"""

from typing import Protocol

from secrets_cache.core.named_tuple import NamedTuple


class Instant(NamedTuple):
    """One reading of both clocks, in seconds: `wall` since the Unix epoch, `monotonic` since some fixed point."""

    wall: float
    monotonic: float


class Elapsed(NamedTuple):
    """The seconds between two instants, never negative; `backwards` if the wall clock went back in between."""

    seconds: float
    backwards: bool


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> Instant:
        """Read both clocks."""
        ...


def elapsed(since: Instant, now: Instant) -> Elapsed:
    """
    Return how much time passed between two instants.

    Seconds are the larger of wall and monotonic time, and 0 if both went backwards.
    """
    wall = now.wall - since.wall
    return Elapsed(max(wall, now.monotonic - since.monotonic, 0.0), backwards=wall < 0)
