"""What happened, counted: answers, fetches, and how long fetches took."""

from secrets_cache.core.named_tuple import NamedTuple


class FetchEvent(NamedTuple):
    """
    A fetch that has ended.

    Attributes:
        name: The entry's name in logs and reports.
        is_listed: Whether the configuration lists the entry; else a caller named it.
        seconds: How long the fetch took by the monotonic clock, which may stand still while the process is frozen.
        has_failed: Whether the fetch brought no value.
        others: How many fetches are still under way.
    """

    name: str
    is_listed: bool
    seconds: float
    has_failed: bool
    others: int


class Latency:
    """
    How long fetches took, in seconds, failed ones included.

    Attributes:
        count: How many fetches have ended.
        total: The sum of their times.
        longest: The time of the slowest.
        up_to: For each of `BOUNDS`, how many took at most this long, and longer than the bound before; last, how
            many took longer than all bounds.
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
    Counts of answers and fetches since the start.

    Attributes:
        hits: Answers from memory, fresh.
        misses: Answers after a fetch.
        stale: Answers from memory, past the ttl.
        fetches_started: Fetches that were begun, first ones and refreshes.
        failures: Fetches that brought no value.
        latency: How long fetches took.
    """

    __slots__ = ("failures", "fetches_started", "hits", "latency", "misses", "stale")

    def __init__(self) -> None:
        self.hits = 0
        self.misses = 0
        self.stale = 0
        self.fetches_started = 0
        self.failures = 0
        self.latency = Latency()

    def numbers(self) -> dict[str, int]:
        """Return the counts by their names in logs and metrics, where a fetch is a refresh."""
        return {
            "hits": self.hits,
            "misses": self.misses,
            "stale": self.stale,
            "refreshes": self.fetches_started,
            "failures": self.failures,
        }

    def as_fields(self) -> dict[str, int]:
        """Return the counts by name, and the mean and longest time of a fetch unless none has ended: a log's fields."""
        took = {}
        if self.latency.count:
            mean = self.latency.total / self.latency.count
            took = {"fetch_mean_ms": round(mean * 1000), "fetch_max_ms": round(self.latency.longest * 1000)}
        return {**self.numbers(), **took}
