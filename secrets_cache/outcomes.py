"""What the cache gives and tells: an answer and how it came about, a report on each secret, and counts."""

from dataclasses import dataclass
from enum import Enum

from secrets_cache.freshness import Held, State
from secrets_cache.secret import Secret


class Served(Enum):
    """How an answer came about; the values are RFC 9211 parameters."""

    HIT = "hit"
    MISS = "fwd=miss"
    EXPIRED = "fwd=stale"
    FORCED = "fwd=request"
    STALE = "hit; detail=stale"


@dataclass(frozen=True, slots=True)
class Answer:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
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


@dataclass(slots=True)
class Counts:
    """How often what happened."""

    hits: int = 0
    misses: int = 0
    stale: int = 0
    refreshes: int = 0
    failures: int = 0
