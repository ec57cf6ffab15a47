"""The page `/metrics`, and whether the library that writes it is installed."""

import importlib.util
import logging
from collections.abc import Sequence

from secrets_cache.core.cache import Cache
from secrets_cache.core.named_tuple import NamedTuple
from secrets_cache.server.message import Response

logger = logging.getLogger(__name__)

LIBRARY = "prometheus_client"


class MetricsPage(NamedTuple):
    """
    The page `/metrics`.

    Attributes:
        started_at: When the process started to serve, in seconds since the epoch.
        by_secret: Whether the names of secrets may be labels.
    """

    started_at: float
    by_secret: bool

    def render(self, cache: Cache, accept: Sequence[str]) -> Response:
        """
        Return the page about a cache.

        Args:
            cache: The cache whose counts and states are shown.
            accept: The values of the request's Accept headers.
        """
        # Imported for the first request: most servers are never asked for metrics.
        from secrets_cache.server import prometheus  # noqa: PLC0415

        collector = prometheus.CacheCollector(
            cache.counts, cache.report(), started_at=self.started_at, by_secret=self.by_secret
        )
        content_type, body = prometheus.encode(collector, accept)
        return Response(200, {"Content-Type": content_type, "Cache-Control": "no-store"}, body)


def build_metrics_page(*, started_at: float, by_secret: bool) -> MetricsPage | None:
    """Return the page; None, and a line in the log, where the library that writes it is not installed."""
    if importlib.util.find_spec(LIBRARY) is None:
        logger.warning("metrics.unavailable", {"missing": LIBRARY})
        return None
    return MetricsPage(started_at, by_secret)
