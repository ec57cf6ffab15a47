"""
The counts and states of the cache as metrics that Prometheus and compatible collectors read.

Rules
-----
1. No value of a secret. The names of listed secrets only where the configuration allows them as labels.
2. The names of metrics and labels never change: alarms and dashboards depend on them.
3. The registry of the library is not used: its collectors of the process and of Python are not part of this interface.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from secrets_cache import __version__
from secrets_cache.core.freshness import State
from secrets_cache.core.results import EntryReport
from secrets_cache.core.stats import Stats

COUNTERS = {
    "hits": "Answers from memory, fresh.",
    "misses": "Answers that waited for a fetch.",
    "stale": "Answers from memory, past the ttl.",
    "refreshes": "Fetches begun.",
    "failures": "Fetches that brought no value.",
}
# The library raises an error for a version that is no number, and repeats any other version in Content-Type.
_MEDIA_RANGE = re.compile(
    r"\s*(?:application/openmetrics-text|text/plain)"
    r"(?:\s*;\s*(?:version=(?:0\.0\.1|0\.0\.4|1\.0\.0)|escaping=[a-z0-9-]+|charset=utf-8|q=[0-9.]+))*\s*",
    re.ASCII,
)


class CacheCollector(Collector):
    """
    The metrics of a cache, as the library's encoders collect them.

    Args:
        stats: The counts so far.
        reports: The state of each listed secret.
        started_at: When the process started to serve, in seconds since the epoch.
        by_secret: Whether the names of secrets may be labels.
    """

    def __init__(self, stats: Stats, reports: Sequence[EntryReport], *, started_at: float, by_secret: bool) -> None:
        self._stats = stats
        self._reports = reports
        self._started_at = started_at
        self._by_secret = by_secret

    def collect(self) -> Iterable[Metric]:
        """Return all metric families."""
        families = [*self._counters(), self._fetch_duration(), self._states()]
        families.append(InfoMetricFamily("secrets_cache_build", "Version of secrets-cache.", {"version": __version__}))
        help_text = "When the process was started."
        families.append(GaugeMetricFamily("process_start_time_seconds", help_text, self._started_at, unit="seconds"))
        return [*families, *self._per_secret()] if self._by_secret else families

    def _counters(self) -> Iterator[Metric]:
        numbers = self._stats.numbers()
        for name, help_text in COUNTERS.items():
            yield CounterMetricFamily(f"secrets_cache_{name}", help_text, numbers[name])

    def _fetch_duration(self) -> Metric:
        latency = self._stats.latency
        bounds = [*map(str, latency.BOUNDS), "+Inf"]
        return HistogramMetricFamily(
            "secrets_cache_fetch_duration_seconds",
            "How long fetches took, failed ones too.",
            buckets=list(zip(bounds, accumulate(latency.up_to), strict=True)),
            sum_value=latency.total,
            unit="seconds",
        )

    def _states(self) -> Metric:
        states = [report.state for report in self._reports]
        family = GaugeMetricFamily("secrets_cache_secrets", "Listed secrets and parameters by state.", labels=["state"])
        for state in State:
            family.add_metric([state.value], states.count(state))
        return family

    def _per_secret(self) -> Iterator[Metric]:
        prefix, labels = "secrets_cache_secret_", ["secret"]
        refreshes = CounterMetricFamily(f"{prefix}refreshes", "Fetches that have ended.", labels=labels)
        failures = CounterMetricFamily(f"{prefix}failures", "Fetches that brought no value.", labels=labels)
        servable = GaugeMetricFamily(f"{prefix}servable", "Whether a request would get a value.", labels=labels)
        age = GaugeMetricFamily(f"{prefix}age_seconds", "Age of the cached value.", labels=labels, unit="seconds")
        for report in self._reports:
            # A name from an environment variable may hold bytes that are not UTF-8.
            label = [report.name.encode("utf-8", "backslashreplace").decode()]
            refreshes.add_metric(label, report.fetches_ended)
            failures.add_metric(label, report.failures)
            servable.add_metric(label, report.is_servable)
            if report.age is not None:
                age.add_metric(label, report.age)
        yield from (refreshes, failures, servable, age)


def encode(collector: Collector, accept: Sequence[str]) -> tuple[str, bytes]:
    """
    Return the content type and the text of metrics.

    Args:
        collector: What is collected.
        accept: The values of the request's Accept headers. Together one list (RFC 9110 section 5.3): OpenMetrics if it
            names that, else the text format of Prometheus.
    """
    ranges = [one.strip() for one in ", ".join(accept).lower().split(",") if _MEDIA_RANGE.fullmatch(one)]
    encoder, content_type = choose_encoder(",".join(ranges))
    return content_type, encoder(collector)
