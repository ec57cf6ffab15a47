"""
What "now" is, and how much time has passed.

Rules
-----
1. Two clocks are read together. The monotonic one may stand still while an execution environment is
   frozen or lies in a SnapStart snapshot; the wall clock may be set. Elapsed time is the larger of the two.
2. A wall clock that went backwards makes the elapsed time untrustworthy, and the answer says so.
3. Nothing here waits. See docs/adr/0003-two-clocks.md.
"""

from typing import NamedTuple, Protocol


class Instant(NamedTuple):
    """One reading of both clocks, in seconds: since the Unix epoch, and since some fixed point."""

    wall: float
    monotonic: float


class Elapsed(NamedTuple):
    """Seconds between two instants, never negative; `backwards` if the wall clock went back between them."""

    seconds: float
    backwards: bool


class Clock(Protocol):
    """Whatever can say what time it is."""

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
