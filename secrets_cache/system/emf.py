"""
Counts for CloudWatch, in its Embedded Metric Format: lines of the log that CloudWatch Logs makes metrics of.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

Rules
-----
1. A line says what has happened since the one before: CloudWatch adds them up.
2. No timer, and nothing to do for a request: a line is written when the last fetch under way has ended, at most once a
   minute, or when it could hold no more fetches; and at the end, with what is left.
3. No name of a secret, unless asked for; and then only of those that are listed, as callers may make up any number.
4. What is asked for is written at any log level.
"""

import logging
from collections.abc import Iterator, Mapping

from secrets_cache.core.clock import Clock, Instant, elapsed
from secrets_cache.core.results import FetchEvent, Stats

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 60.0
# What one metric of one line may hold.
MAX_VALUES = 100
MAX_DIMENSION_LENGTH = 1024
# By what is counted: what CloudWatch calls it.
NAMES = {
    "hits": "Hits",
    "misses": "Misses",
    "stale": "StaleServed",
    "refreshes": "Refreshes",
    "failures": "Failures",
}
LATENCY = "FetchLatency"


class Emf:
    """
    Writes the lines.

    Args:
        counts: What has happened so far.
        clock: What time it is.
        namespace: What CloudWatch finds the metrics under.
        environ: The environment variables: in Lambda the function's name is a dimension.
        by_secret: Whether the names of listed secrets are dimensions too.
    """

    def __init__(
        self, *, counts: Stats, clock: Clock, namespace: str, environ: Mapping[str, str], by_secret: bool
    ) -> None:
        self._counts = counts
        self._clock = clock
        self._namespace = namespace
        function = environ.get("AWS_LAMBDA_FUNCTION_NAME", "")
        self._dimensions = {"FunctionName": function} if function else {}
        self._by_secret = by_secret
        self._told = dict.fromkeys(NAMES, 0)
        self._fetches: list[FetchEvent] = []
        self._last: Instant | None = None

    def fetched(self, fetched: FetchEvent) -> None:
        """Note a fetch that has ended, and write what is due. Raises nothing."""
        self._fetches.append(fetched)
        if len(self._fetches) >= MAX_VALUES or (not fetched.others and self._is_due()):
            self.write()

    def _is_due(self) -> bool:
        if self._last is None:
            return True
        since = elapsed(self._last, self._clock.now())
        return since.backwards or since.seconds >= INTERVAL_SECONDS

    def write(self) -> None:
        """Write what has happened since the last line, if anything has."""
        now = self._counts.numbers()
        new = {name: number - self._told[name] for name, number in now.items()}
        if not any(new.values()) and not self._fetches:
            return
        at = self._clock.now()
        self._say(at, self._dimensions, new, self._fetches)
        if self._by_secret:
            for name, fetches in _by_name(self._fetches):
                failures = sum(one.has_failed for one in fetches)
                numbers = {"refreshes": len(fetches), "failures": failures}
                self._say(at, {**self._dimensions, "Secret": name[:MAX_DIMENSION_LENGTH]}, numbers, fetches)
        self._told, self._fetches, self._last = now, [], at

    def _say(
        self, at: Instant, dimensions: Mapping[str, str], numbers: Mapping[str, int], fetches: list[FetchEvent]
    ) -> None:
        metrics: dict[str, object] = {NAMES[name]: number for name, number in numbers.items()}
        units = [{"Name": name, "Unit": "Count"} for name in metrics]
        if fetches:
            metrics[LATENCY] = [round(one.seconds * 1000, 3) for one in fetches]
            units.append({"Name": LATENCY, "Unit": "Milliseconds"})
        directive = {"Namespace": self._namespace, "Dimensions": [list(dimensions)], "Metrics": units}
        fields = {
            "_aws": {"Timestamp": round(at.wall * 1000), "CloudWatchMetrics": [directive]},
            **dimensions,
            **metrics,
        }
        # Past the level that is set (rule 4).
        logger.handle(logger.makeRecord(__name__, logging.INFO, __file__, 0, "metrics.counted", (fields,), None))


def _by_name(fetches: list[FetchEvent]) -> Iterator[tuple[str, list[FetchEvent]]]:
    """Return the fetches of each listed secret."""
    names = dict.fromkeys(one.name for one in fetches if one.is_listed)
    for name in names:
        yield name, [one for one in fetches if one.is_listed and one.name == name]
