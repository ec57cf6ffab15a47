"""What Prometheus reads, by the parsers of its own library, and who gets which form."""

import re
from typing import Any

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from secrets_cache import __version__
from secrets_cache.core.freshness import State
from secrets_cache.core.results import EntryKind, EntryReport
from secrets_cache.core.stats import Latency, Stats
from secrets_cache.server.prometheus import CacheCollector, encode

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parsed(text: str, *, is_openmetrics: bool = True) -> tuple[dict[str, str], Samples]:
    """Return the types by family and the values by sample, as the library's parser reads them."""
    parse = openmetrics.text_string_to_metric_families if is_openmetrics else text_string_to_metric_families
    samples: Samples = {}
    for sample in [sample for family in parse(text) for sample in family.samples]:
        key = (sample.name, tuple(sample.labels.items()))
        assert key not in samples
        samples[key] = sample.value
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)), samples


def report(name: str, state: State = State.FRESH, **changes: Any) -> EntryReport:
    """Return the report on a secret."""
    values: dict[str, Any] = {"kind": EntryKind.SECRET, "age": 1.5, "version_id": "v", "error": None, "reason": None}
    return EntryReport(name=name, state=state, fetches_ended=3, failures=1, **{**values, **changes})


def counts() -> Stats:
    """Return counts of which each is another number."""
    found = Stats()
    found.hits, found.misses, found.stale, found.fetches_started, found.failures = 10**12, 2, 3, 4, 5
    for seconds in (0.004, 0.01, 0.011, 0.3, 400):
        found.latency.add(seconds)
    return found


def write(*reports: EntryReport, by_secret: bool = False, is_openmetrics: bool = True) -> str:
    """Return the text for these."""
    collector = CacheCollector(counts(), reports, started_at=1_800_000_000.25, by_secret=by_secret)
    content_type, body = encode(collector, ["application/openmetrics-text" if is_openmetrics else "text/plain"])
    assert (OPENMETRICS if is_openmetrics else PROMETHEUS) == content_type
    return body.decode()


both_forms = pytest.mark.parametrize("is_openmetrics", [True, False], ids=["OpenMetrics", "text"])


@both_forms
def test_counts_and_states_are_samples(is_openmetrics):
    """Each count by its name, secrets by state, the version, and since when; nothing that the library adds."""
    text = write(report("a"), report("b"), report("c", State.FAILED), is_openmetrics=is_openmetrics)
    _, samples = parsed(text, is_openmetrics=is_openmetrics)

    assert {
        ("secrets_cache_hits_total", ()): 10**12,
        ("secrets_cache_misses_total", ()): 2,
        ("secrets_cache_stale_total", ()): 3,
        ("secrets_cache_refreshes_total", ()): 4,
        ("secrets_cache_failures_total", ()): 5,
        ("secrets_cache_secrets", (("state", "pending"),)): 0,
        ("secrets_cache_secrets", (("state", "fresh"),)): 2,
        ("secrets_cache_secrets", (("state", "stale"),)): 0,
        ("secrets_cache_secrets", (("state", "failed"),)): 1,
        ("secrets_cache_build_info", (("version", __version__),)): 1,
        ("process_start_time_seconds", ()): 1_800_000_000.25,
    } == {key: value for key, value in samples.items() if "duration" not in key[0]}
    assert "_created" not in text


@both_forms
def test_how_long_fetches_took_is_a_histogram(is_openmetrics):
    """Buckets hold all that took at most so long; the last is the count."""
    _, samples = parsed(write(is_openmetrics=is_openmetrics), is_openmetrics=is_openmetrics)
    name = "secrets_cache_fetch_duration_seconds"
    buckets = {labels[0][1]: value for (one, labels), value in samples.items() if one == f"{name}_bucket"}

    assert [*map(str, Latency.BOUNDS), "+Inf"] == list(buckets)
    assert [2, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 5] == list(buckets.values())
    assert 5 == samples[f"{name}_count", ()]
    assert pytest.approx(400.325) == samples[f"{name}_sum", ()]


@both_forms
def test_no_name_of_a_secret_is_in_it_unless_asked_for(is_openmetrics):
    """Then each listed one has its fetches, whether it can be served, and its age if there is a value."""
    reports = (report("prod/db"), report("gone", State.FAILED, age=None))
    assert "prod/db" not in write(*reports, is_openmetrics=is_openmetrics)
    text = write(*reports, by_secret=True, is_openmetrics=is_openmetrics)

    assert {
        ("refreshes_total", "prod/db"): 3,
        ("refreshes_total", "gone"): 3,
        ("failures_total", "prod/db"): 1,
        ("failures_total", "gone"): 1,
        ("servable", "prod/db"): 1,
        ("servable", "gone"): 0,
        ("age_seconds", "prod/db"): 1.5,
    } == {
        (name.removeprefix("secrets_cache_secret_"), labels[0][1]): value
        for (name, labels), value in parsed(text, is_openmetrics=is_openmetrics)[1].items()
        if name.startswith("secrets_cache_secret_")
    }


@both_forms
@pytest.mark.parametrize(("name", "label"), [('a"b\\n\n{},="é', 'a"b\\n\n{},="é'), ("a\udcff", "a\\udcff")])
def test_a_label_can_hold_any_name(name, label, is_openmetrics):
    """Quotes and ends of lines too; a name in an environment variable may hold bytes that are not UTF-8."""
    text = write(report(name), by_secret=True, is_openmetrics=is_openmetrics)
    _, samples = parsed(text, is_openmetrics=is_openmetrics)

    assert 1 == samples["secrets_cache_secret_servable", (("secret", label),)]


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ([], PROMETHEUS),
        (["*/*"], PROMETHEUS),
        (["text/html,application/xhtml+xml,*/*;q=0.8"], PROMETHEUS),
        (["application/json"], PROMETHEUS),
        ([" , "], PROMETHEUS),
        (["Text/Plain; version=0.0.4"], PROMETHEUS),
        (["text/plain", "application/openmetrics-text"], OPENMETRICS),
        (["Application/OpenMetrics-Text ; version=1.0.0"], f"{OPENMETRICS}; escaping=underscores"),
        (["application/openmetrics-text;version=0.0.1"], PROMETHEUS),
        # A version that the library fails on, or would repeat without knowing it.
        (["application/openmetrics-text;version=x"], PROMETHEUS),
        (["application/openmetrics-text;version=9.0.0"], PROMETHEUS),
        (["application/openmetrics-text;version=1.0.0\x1c"], PROMETHEUS),
        (["application/openmetrics-text;version=x;version=1.0.0"], PROMETHEUS),
        # What Prometheus 3 sends.
        (
            [
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6",
                "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4",
                "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            ],
            f"{OPENMETRICS}; escaping=allow-utf-8",
        ),
    ],
)
def test_openmetrics_is_for_those_who_ask_for_it(accept, content_type):
    """All others get the text format, which every collector reads; nobody gets an error."""
    found, body = encode(CacheCollector(counts(), [report("a")], started_at=0.0, by_secret=True), accept)

    assert content_type == found
    assert body.endswith(b"# EOF\n") == content_type.startswith(OPENMETRICS)
    assert parsed(body.decode(), is_openmetrics=content_type.startswith(OPENMETRICS))
