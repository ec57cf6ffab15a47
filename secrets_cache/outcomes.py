"""What the cache gives and tells: an answer and how it came about, a report on each secret, and counts."""

from enum import Enum
from typing import NamedTuple

from secrets_cache.freshness import Held, State
from secrets_cache.secret import Secret


class Served(Enum):
    """How an answer came about; the values are RFC 9211 parameters."""

    HIT = "hit"
    MISS = "fwd=miss"
    EXPIRED = "fwd=stale"
    FORCED = "fwd=request"
    STALE = "hit; detail=stale"


class Answer(NamedTuple):
    """
    A secret as it is held, and how the answer came about.

    Attributes:
        good_for: Up to which age of what is held, in seconds, the cache would give this answer again and do nothing
            else; 0 for not at all. Until its `generation` changes.
    """

    held: Held
    served: Served
    good_for: float = 0.0

    @property
    def secret(self) -> Secret:
        """The secret."""
        return self.held.secret


class Report(NamedTuple):
    """
    What `/health` says of one listed secret; never its value.

    Attributes:
        age: Seconds since the fetch of the held value was sent; None if none is held.
        error: The code of the last fetch's failure; None if it succeeded.
        reason: The same in words.
    """

    name: str
    state: State
    age: float | None
    version_id: str | None
    error: str | None
    reason: str | None

    @property
    def is_servable(self) -> bool:
        """Whether a request would be answered with a value, as far as is known."""
        return self.state in {State.FRESH, State.STALE}


class Counts:
    """How often what happened."""

    __slots__ = ("failures", "hits", "misses", "refreshes", "stale")

    def __init__(self) -> None:
        self.hits = 0
        self.misses = 0
        self.stale = 0
        self.refreshes = 0
        self.failures = 0

    def as_fields(self) -> dict[str, int]:
        """Return them by name, for a line of the log."""
        return {name: getattr(self, name) for name in self.__slots__}
