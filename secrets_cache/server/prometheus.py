"""
The counts and states of the cache as text that Prometheus and its like read.

As https://prometheus.io/docs/specs/om/open_metrics_spec/ says; and, for those who like that better, in the older form:
https://prometheus.io/docs/instrumenting/exposition_formats/

Rules
-----
1. No value of a secret; no name of one, unless asked for; and then only of those that are listed.
2. Names, once given, stay: somebody's alarm asks for them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from secrets_cache import __version__
from secrets_cache.core.freshness import State
from secrets_cache.core.results import EntryReport, Latency, Stats

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
COUNTERS = {
    "hits": "Answers from memory, fresh.",
    "misses": "Answers that waited for a fetch.",
    "stale": "Answers from memory, past the ttl.",
    "refreshes": "Fetches begun.",
    "failures": "Fetches that brought no value.",
}
_QUALITY = re.compile(r";[ \t]*q=([01](?:\.[0-9]{0,3})?)")
_ESCAPES = {"\\": r"\\", '"': r"\"", "\n": r"\n"}

Sample = tuple[str, Mapping[str, str], float]


class _Family(NamedTuple):
    """A metric family: its name without the suffix that its type asks for, its samples' suffixes, labels and values."""

    name: str
    type: str
    help: str
    samples: Iterable[Sample]
    unit: str = ""


def exposition(
    counts: Stats, reports: Sequence[EntryReport], *, started: float, by_secret: bool, is_openmetrics: bool
) -> bytes:
    """
    Return the text.

    Args:
        counts: What has happened so far.
        reports: The state of each listed secret.
        started: When the process was started, in seconds since the epoch.
        by_secret: Whether the names of secrets may be labels.
        is_openmetrics: Whether in OpenMetrics; else, in the older form.
    """
    families = [*_families(counts, reports, started), *(_families_by_secret(reports) if by_secret else ())]
    lines = [line for family in families for line in _lines(family, is_openmetrics=is_openmetrics)]
    if is_openmetrics:
        lines.append("# EOF")
    return ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace")


def prefers_openmetrics(accept: Sequence[str]) -> bool:
    """Return whether Accept headers, together one list (RFC 9110 section 12.5.1), like the older form no better."""
    ranges = [one.strip().lower() for one in ", ".join(accept).split(",") if one.strip()]
    return not ranges or _quality(ranges, "application/openmetrics-text") >= _quality(ranges, "text/plain")


def _quality(ranges: Sequence[str], media_type: str) -> float:
    """Return how much a type is liked: what is said of it most exactly counts, and of that the best."""
    for pattern in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
        found = [one for one in ranges if one.partition(";")[0].strip() == pattern]
        if found:
            return max(float(match[1]) if (match := _QUALITY.search(one)) else 1.0 for one in found)
    return 0.0


def _families(counts: Stats, reports: Sequence[EntryReport], started: float) -> Iterator[_Family]:
    numbers = counts.numbers()
    for name, text in COUNTERS.items():
        yield _Family(f"secrets_cache_{name}", "counter", text, [("_total", {}, numbers[name])])
    yield _Family(
        "secrets_cache_fetch_duration_seconds",
        "histogram",
        "How long fetches took, failed ones too.",
        _buckets(counts.latency),
        unit="seconds",
    )
    states = [report.state for report in reports]
    yield _Family(
        "secrets_cache_secrets",
        "gauge",
        "Listed secrets and parameters by state.",
        [("", {"state": state.value}, states.count(state)) for state in State],
    )
    yield _Family("secrets_cache_build", "info", "The version.", [("_info", {"version": __version__}, 1)])
    yield _Family(
        "process_start_time_seconds", "gauge", "When the process was started.", [("", {}, started)], unit="seconds"
    )


def _families_by_secret(reports: Sequence[EntryReport]) -> Iterator[_Family]:
    def of_each(name: str, kind: str, text: str, values: Iterable[float | None], unit: str = "") -> _Family:
        suffix = "_total" if kind == "counter" else ""
        named = zip(reports, values, strict=True)
        samples = [(suffix, {"secret": one.name}, value) for one, value in named if value is not None]
        return _Family(f"secrets_cache_secret_{name}", kind, text, samples, unit)

    yield of_each("refreshes", "counter", "Fetches that have ended.", (one.refreshes for one in reports))
    yield of_each("failures", "counter", "Fetches that brought no value.", (one.failures for one in reports))
    yield of_each("servable", "gauge", "Whether a request would get a value.", (one.is_servable for one in reports))
    yield of_each("age_seconds", "gauge", "The age of what is held.", (one.age for one in reports), unit="seconds")


def _buckets(latency: Latency) -> Iterator[Sample]:
    bounds = [*map(str, latency.BOUNDS), "+Inf"]
    for bound, number in zip(bounds, accumulate(latency.up_to), strict=True):
        yield "_bucket", {"le": bound}, number
    yield "_count", {}, latency.count
    yield "_sum", {}, latency.total


def _lines(family: _Family, *, is_openmetrics: bool) -> Iterator[str]:
    # The older form names a family as its samples are named, and knows no type for what does not change.
    is_renamed = not is_openmetrics and family.type in {"counter", "info"}
    name = family.name + {"counter": "_total", "info": "_info"}[family.type] if is_renamed else family.name
    kind = "gauge" if is_renamed and family.type == "info" else family.type
    yield f"# HELP {name} {family.help}"
    yield f"# TYPE {name} {kind}"
    if is_openmetrics and family.unit:
        yield f"# UNIT {name} {family.unit}"
    for suffix, labels, value in family.samples:
        inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        yield (
            f"{family.name}{suffix}{{{inside}}} {_number(value)}"
            if inside
            else (f"{family.name}{suffix} {_number(value)}")
        )


def _escaped(text: str) -> str:
    return "".join(_ESCAPES.get(char, char) for char in text)


def _number(value: float) -> str:
    return repr(int(value)) if value == int(value) else repr(round(value, 6))
