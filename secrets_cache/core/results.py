"""What the cache gives and tells: an answer and how it came about, a report on each secret, and counts."""

from enum import Enum
from typing import NamedTuple

from secrets_cache.core.freshness import CachedValue, State
from secrets_cache.core.secret import Ref, Secret


class CacheStatus(Enum):
    """How an answer came about; the values are RFC 9211 parameters."""

    HIT = "hit"
    MISS = "fwd=miss"
    EXPIRED = "fwd=stale"
    FORCED = "fwd=request"
    STALE = "hit; detail=stale"


class CacheResult(NamedTuple):
    """
    A secret as it is held, and how the answer came about.

    Attributes:
        good_for: Up to which age of what is held, in seconds, the cache would give this answer again and do nothing
            else; 0 for not at all. Until its `generation` changes.
    """

    held: CachedValue
    served: CacheStatus
    good_for: float = 0.0

    @property
    def secret(self) -> Secret:
        """The secret."""
        return self.held.secret


class EntryKind(Enum):
    """What can be listed, as `/health` names it."""

    SECRET = "secret"  # noqa: S105 - the word for one
    PARAMETER = "parameter"
    PATH = "path"

    @classmethod
    def of(cls, ref: Ref) -> "EntryKind":
        """Return the kind of what AWS is asked for."""
        if ref.is_path:
            return cls.PATH
        return cls.PARAMETER if ref.is_parameter else cls.SECRET


class FetchEvent(NamedTuple):
    """
    A fetch that has ended.

    Attributes:
        name: What the entry is called in logs and reports.
        is_listed: Whether it is kept at hand; else it is one of those that callers name.
        seconds: How long it took, by the monotonic clock: time frozen, as far as that stood still, is not in it.
        has_failed: Whether it brought no value.
        others: How many are still under way.
    """

    name: str
    is_listed: bool
    seconds: float
    has_failed: bool
    others: int


class EntryReport(NamedTuple):
    """
    What `/health` says of one listed secret; never its value.

    Attributes:
        kind: What is listed: a secret, a parameter, or a path of parameters.
        age: Seconds since the fetch of the held value was sent; None if none is held.
        error: The code of the last fetch's failure; None if it succeeded.
        reason: The same in words.
        refreshes: How many fetches have ended, well or not.
        failures: How many of them failed.
    """

    name: str
    kind: EntryKind
    state: State
    age: float | None
    version_id: str | None
    error: str | None
    reason: str | None
    refreshes: int
    failures: int

    @property
    def is_servable(self) -> bool:
        """Whether a request would be answered with a value, as far as is known."""
        return self.state in {State.FRESH, State.STALE}


class Latency:
    """
    How long fetches took, well ended or not. Seconds.

    Attributes:
        count: How many have ended.
        total: How long they took together.
        longest: How long the slowest took.
        up_to: How many took longer than the bound before, and at most this one; last, those above all of `BOUNDS`.
    """

    # From a call within the region to the longest `fetch_timeout` there may be.
    BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)

    __slots__ = ("count", "longest", "total", "up_to")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.longest = 0.0
        self.up_to = [0] * (len(self.BOUNDS) + 1)

    def add(self, seconds: float) -> None:
        """Count one fetch."""
        self.count += 1
        self.total += seconds
        self.longest = max(self.longest, seconds)
        self.up_to[sum(seconds > bound for bound in self.BOUNDS)] += 1


class Stats:
    """
    How often what happened.

    Attributes:
        hits: Answers from memory, fresh.
        misses: Answers after a fetch.
        stale: Answers from memory, past the ttl.
        refreshes: Fetches begun.
        failures: Fetches that brought no value.
        latency: How long they took.
    """

    __slots__ = ("failures", "hits", "latency", "misses", "refreshes", "stale")

    def __init__(self) -> None:
        self.hits = 0
        self.misses = 0
        self.stale = 0
        self.refreshes = 0
        self.failures = 0
        self.latency = Latency()

    def numbers(self) -> dict[str, int]:
        """Return what is counted, by name."""
        return {name: getattr(self, name) for name in ("hits", "misses", "stale", "refreshes", "failures")}

    def as_fields(self) -> dict[str, int]:
        """Return all by name, for a line of the log; of the latency nothing if no fetch has ended."""
        took = {}
        if self.latency.count:
            mean = self.latency.total / self.latency.count
            took = {"fetch_mean_ms": round(mean * 1000), "fetch_max_ms": round(self.latency.longest * 1000)}
        return {**self.numbers(), **took}
