"""What Prometheus reads: the text, by every rule of its two forms, and who gets which."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from secrets_cache import __version__
from secrets_cache.core.freshness import State
from secrets_cache.core.results import EntryKind, EntryReport, Latency, Stats
from secrets_cache.server import MetricsPage
from secrets_cache.server.access import TOKEN_HEADER
from secrets_cache.server.prometheus import OPENMETRICS, PROMETHEUS, exposition, prefers_openmetrics
from tests.conftest import PATIENCE_SECONDS
from tests.support.fakes import CANARY
from tests.unit.cli.test_serve import serve
from tests.unit.server.test_server import Setup

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABELS = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
SAMPLE = re.compile(rf"({NAME})(?:\{{(.+)\}})? (-?[0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?)")
SUFFIXES = {"counter": {"_total"}, "gauge": {""}, "info": {"_info"}, "histogram": {"_bucket", "_count", "_sum"}}
Labels = tuple[tuple[str, str], ...]
Samples = dict[tuple[str, Labels], float]


def parsed(text: str, *, is_openmetrics: bool = True) -> tuple[dict[str, str], Samples]:
    """Return the types by family and the values by sample of a text that must keep every rule of its form."""
    assert text.endswith("\n")
    lines = text[:-1].split("\n")
    if is_openmetrics:
        assert "# EOF" == lines.pop()
    types: dict[str, str] = {}
    samples: Samples = {}
    family = ""
    for number, line in enumerate(lines):
        if line.startswith("# HELP "):
            # A family begins with its help, stands in one piece, and comes once.
            family = line.split(" ")[2]
            assert family not in types
            assert re.fullmatch(rf"# HELP {NAME} [^\\\n]+", line)
            assert lines[number + 1].startswith(f"# TYPE {family} ")
        elif line.startswith("# TYPE "):
            types[family] = line.split(" ")[3]
            assert f"# TYPE {family} {types[family]}" == line
        elif line.startswith("# UNIT "):
            assert is_openmetrics
            assert f"# UNIT {family} seconds" == line
            assert family.endswith("_seconds")
        else:
            name, labels, value = sample_of(line)
            suffix = name.removeprefix(family)
            assert family + suffix == name
            assert suffix in (SUFFIXES[types[family]] if is_openmetrics or types[family] == "histogram" else {""})
            assert (name, labels) not in samples
            samples[name, labels] = value
    assert set(types.values()) <= ({*SUFFIXES} if is_openmetrics else {"counter", "gauge", "histogram"})
    return types, samples


def sample_of(line: str) -> tuple[str, Labels, float]:
    """Return name, labels and value of a line; labels without their escapes."""
    found = SAMPLE.fullmatch(line)
    assert found is not None, line
    pairs: list[tuple[str, str]] = LABELS.findall(found[2] or "")
    assert (found[2] or "") == re.sub(",$", "", ",".join(f'{name}="{text}"' for name, text in pairs))
    unescape = {r"\\": "\\", r"\"": '"', r"\n": "\n"}
    return (
        found[1],
        tuple((name, re.sub(r"\\.", lambda one: unescape[one[0]], text)) for name, text in pairs),
        float(found[3]),
    )


def report(name: str, state: State = State.FRESH, **changes: Any) -> EntryReport:
    """Return what is known of a secret."""
    values: dict[str, Any] = {"kind": EntryKind.SECRET, "age": 1.5, "version_id": "v", "error": None, "reason": None}
    return EntryReport(name=name, state=state, refreshes=3, failures=1, **{**values, **changes})


def counts() -> Stats:
    """Return counts of which each is another number."""
    found = Stats()
    found.hits, found.misses, found.stale, found.refreshes, found.failures = 10**12, 2, 3, 4, 5
    for seconds in (0.004, 0.01, 0.011, 0.3, 400):
        found.latency.add(seconds)
    return found


def write(*reports: EntryReport, by_secret: bool = False, is_openmetrics: bool = True) -> str:
    """Return the text for these."""
    return exposition(
        counts(), reports, started=1_800_000_000.25, by_secret=by_secret, is_openmetrics=is_openmetrics
    ).decode()


# The text.


@pytest.mark.parametrize("is_openmetrics", [True, False])
def test_counts_and_states_are_samples(is_openmetrics):
    """Each count by its name, secrets by state, the version, and since when."""
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


@pytest.mark.parametrize("is_openmetrics", [True, False])
def test_how_long_fetches_took_is_a_histogram(is_openmetrics):
    """Buckets hold all that took at most so long; the last is the count."""
    _, samples = parsed(write(is_openmetrics=is_openmetrics), is_openmetrics=is_openmetrics)
    name = "secrets_cache_fetch_duration_seconds"
    buckets = {labels[0][1]: value for (one, labels), value in samples.items() if one == f"{name}_bucket"}

    assert [*map(str, Latency.BOUNDS), "+Inf"] == list(buckets)
    assert [2, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 5] == list(buckets.values())
    assert (5, 400.325) == (samples[f"{name}_count", ()], samples[f"{name}_sum", ()])


def test_the_types_are_those_of_the_form():
    """The older form names a family as its samples, and has no info."""
    new, _ = parsed(write())
    old, _ = parsed(write(is_openmetrics=False), is_openmetrics=False)

    assert ("counter", "info") == (new["secrets_cache_hits"], new["secrets_cache_build"])
    assert ("counter", "gauge") == (old["secrets_cache_hits_total"], old["secrets_cache_build_info"])
    assert len(new) == len(old)


def test_no_name_of_a_secret_is_in_it_unless_asked_for():
    """Then each listed one has its fetches, whether it can be served, and its age if there is a value."""
    reports = (report("prod/db"), report("gone", State.FAILED, age=None))
    assert "prod/db" not in write(*reports)
    _, samples = parsed(write(*reports, by_secret=True))

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
        for (name, labels), value in samples.items()
        if name.startswith("secrets_cache_secret_")
    }


def test_a_label_can_hold_anything():
    """Quotes, backslashes and ends of lines are escaped."""
    name = 'a"b\\n\n{},="é'
    _, samples = parsed(write(report(name), by_secret=True))

    assert 1 == samples["secrets_cache_secret_servable", (("secret", name),)]


# Who gets which.


@pytest.mark.parametrize(
    ("accept", "is_openmetrics"),
    [
        ([], True),
        (["*/*"], True),
        (["text/html,application/xhtml+xml,*/*;q=0.8"], True),
        (["text/plain"], False),
        (["Text/Plain; version=0.0.4"], False),
        (["text/*"], False),
        (["text/plain;q=0.3, application/openmetrics-text;version=1.0.0;q=0.6"], True),
        (["application/openmetrics-text;q=0.2,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"], False),
        (["application/openmetrics-text;q=0", "*/*"], False),
        (["text/plain;q=0.5", "*/*;q=0.1"], False),
        (["application/json"], True),
        (["text/plain;q=0.1, text/plain;version=0.0.4;q=0.9, application/openmetrics-text;q=0.5"], False),
        (["text/plain;faq=0;q=1, application/openmetrics-text;faq=1;q=0.5"], False),
        ([" , "], True),
        # What Prometheus 3 sends.
        (
            [
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6",
                "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4",
                "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            ],
            True,
        ),
    ],
)
def test_the_older_form_is_for_who_likes_it_better(accept, is_openmetrics):
    """By RFC 9110: the most exact range counts."""
    assert is_openmetrics == prefers_openmetrics(accept)


@pytest.fixture(name="setup", params=[True, False], ids=["lane", "engine"])
async def _setup(request, clock) -> Setup:
    setup = Setup(clock)
    setup.has_lane = request.param
    setup.metrics = MetricsPage(clock.now().wall, by_secret=False)
    return setup


async def test_metrics_are_answered_in_either_form(setup):
    """With the content type of the form; what has happened since is in the next answer."""
    async with setup.running() as running:
        for accept, content_type in (("*/*", OPENMETRICS), ("text/plain", PROMETHEUS)):
            await running.get("/cache/json")
            await running.get("/cache/json")
            status, headers, body = await running.get("/metrics", Accept=accept)
            _, samples = parsed(body.decode(), is_openmetrics=content_type == OPENMETRICS)

            assert (200, content_type, "no-store") == (status, headers["Content-Type"], headers["Cache-Control"])
            assert running.cache.counts.hits == samples["secrets_cache_hits_total", ()]
            assert len(running.names) == samples["secrets_cache_secrets", (("state", "fresh"),)]
        assert (200, b"") == (await running.get("/metrics", method="HEAD"))[::2]
        assert 3 == running.cache.counts.hits


async def test_metrics_start_no_fetch(setup):
    """As /health."""
    async with setup.running() as running:
        await running.get("/metrics")

        assert 0 == running.cache.counts.refreshes
        assert [] == running.source.asked_together


async def test_metrics_need_the_token_where_there_is_one(setup):
    """And are for this machine only."""
    setup.tokens = ("t",)
    async with setup.running() as running:
        assert "token-required" == (await running.problem("/metrics"))["code"]
        assert "forbidden" == (await running.problem("/metrics", Via="x"))["code"]
        assert "method-not-allowed" == (await running.problem("/metrics", method="POST"))["code"]
        assert 200 == (await running.get("/metrics", **{TOKEN_HEADER: "t"}))[0]


async def test_without_a_page_of_metrics_there_is_nothing(setup):
    """As in Lambda: nobody could collect them."""
    setup.metrics = None
    async with setup.running() as running:
        told = await running.problem("/metrics")

    assert ("not-found", "there are /cache/<name>, /health and /ping") == (told["code"], told["detail"])


def metrics_of(url: str) -> Iterator[tuple[str, str]]:
    """Return content type and text of both forms."""
    from urllib.request import Request, urlopen

    for accept in ("application/openmetrics-text", "text/plain"):
        request = Request(f"{url}/metrics", headers={"Accept": accept})
        with urlopen(request, timeout=PATIENCE_SECONDS) as response:
            yield response.headers["Content-Type"], response.read().decode()


def test_serve_has_metrics(upstream, tmp_path):
    """With the names of secrets once they are asked for; never a value."""
    upstream.put("db", CANARY)
    with serve(tmp_path, "{secrets: [db], metrics: {by_secret: true}}") as process:
        process.event("serve.ready")
        (new_type, new), (old_type, old) = metrics_of(process.url)

    assert (OPENMETRICS, PROMETHEUS) == (new_type, old_type)
    for text, is_openmetrics in ((new, True), (old, False)):
        _, samples = parsed(text, is_openmetrics=is_openmetrics)
        assert 1 == samples["secrets_cache_refreshes_total", ()]
        assert 1 == samples["secrets_cache_secret_servable", (("secret", "db"),)]
        assert 0 < samples["secrets_cache_fetch_duration_seconds_sum", ()] < PATIENCE_SECONDS
    assert "metrics.counted" not in process.log.text
