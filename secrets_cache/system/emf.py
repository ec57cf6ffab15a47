"""
Metrics for CloudWatch in its Embedded Metric Format: log lines that CloudWatch Logs turns into metrics.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

Rules
-----
1. A line counts what has happened since the line before: CloudWatch adds them up.
2. There is no timer, and a request costs nothing. A line is written when the last fetch in flight has ended, at most
   once a minute; when a line is full; and at the end, with what is left.
3. Names of secrets are written only if the configuration asks for them, and only of listed secrets: callers may make
   up any number of names.
4. Lines are written at any log level.
"""

import logging
from collections.abc import Iterator, Mapping

from secrets_cache.core.clock import Clock, Instant, elapsed
from secrets_cache.core.stats import FetchEvent, Stats

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 60.0
# CloudWatch allows this many values per metric in one line.
MAX_VALUES = 100
MAX_DIMENSION_LENGTH = 1024
# Each counter of the cache, and the name of its metric.
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
        counts: The counters of the cache.
        clock: Dates the lines, and measures the minute between them.
        namespace: The namespace of the metrics in CloudWatch.
        environ: The environment variables; in Lambda, the function's name is a dimension.
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
        self._written = dict.fromkeys(NAMES, 0)
        self._fetches: list[FetchEvent] = []
        self._last: Instant | None = None

    def note_fetch(self, event: FetchEvent) -> None:
        """Note a fetch that has ended, and write a line if one is due."""
        self._fetches.append(event)
        if len(self._fetches) >= MAX_VALUES or (not event.others and self._is_due()):
            self.write()

    def _is_due(self) -> bool:
        if self._last is None:
            return True
        since = elapsed(self._last, self._clock.now())
        return since.backwards or since.seconds >= INTERVAL_SECONDS

    def write(self) -> None:
        """Write what has happened since the last line, if anything."""
        now = self._counts.numbers()
        new = {name: number - self._written[name] for name, number in now.items()}
        if not any(new.values()) and not self._fetches:
            return
        at = self._clock.now()
        self._write_line(at, self._dimensions, new, self._fetches)
        if self._by_secret:
            for name, fetches in _by_name(self._fetches):
                failures = sum(one.has_failed for one in fetches)
                numbers = {"refreshes": len(fetches), "failures": failures}
                self._write_line(at, {**self._dimensions, "Secret": name[:MAX_DIMENSION_LENGTH]}, numbers, fetches)
        self._written, self._fetches, self._last = now, [], at

    def _write_line(
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
        # Past the configured level (rule 4).
        logger.handle(logger.makeRecord(__name__, logging.INFO, __file__, 0, "metrics.counted", (fields,), None))


def _by_name(fetches: list[FetchEvent]) -> Iterator[tuple[str, list[FetchEvent]]]:
    """Yield each listed secret that was fetched, with its fetches."""
    names = dict.fromkeys(one.name for one in fetches if one.is_listed)
    for name in names:
        yield name, [one for one in fetches if one.is_listed and one.name == name]
