"""Counts for CloudWatch: what a line holds, when there is one, and that no name of a secret is in it unasked."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from secrets_cache.core.cache import Cache
from secrets_cache.core.stats import Stats
from secrets_cache.errors import SecretUnavailable
from secrets_cache.system.emf import INTERVAL_SECONDS, MAX_VALUES, Emf
from secrets_cache.system.logs import JsonFormatter
from tests.support.caches import listed, policy, until
from tests.support.fakes import FakeClock, FakeSource

FUNCTION = {"AWS_LAMBDA_FUNCTION_NAME": "checkout"}
UNITS = {"Count", "Milliseconds"}
Document = dict[str, Any]


def checked(document: Document) -> dict[str, Any]:
    """Return the metrics and dimensions of a document, which must keep every rule of AWS's specification."""
    metadata = document["_aws"]
    assert isinstance(metadata, dict)
    assert {"Timestamp", "CloudWatchMetrics"} == set(metadata)
    assert isinstance(metadata["Timestamp"], int)
    (directive,) = metadata["CloudWatchMetrics"]
    assert {"Namespace", "Dimensions", "Metrics"} == set(directive)
    assert 1 <= len(directive["Namespace"]) <= 255
    (dimensions,) = directive["Dimensions"]
    assert len(dimensions) <= 30
    found: dict[str, Any] = {}
    for name in dimensions:
        value = document[name]
        assert isinstance(value, str)
        assert 1 <= len(value) <= 1024
        assert value.isascii()
        found[name] = value
    assert 1 <= len(directive["Metrics"]) <= 100
    for metric in directive["Metrics"]:
        assert {"Name", "Unit"} == set(metric)
        assert metric["Unit"] in UNITS
        value = document[metric["Name"]]
        values = value if isinstance(value, list) else [value]
        assert 1 <= len(values) <= 100
        assert all(type(one) in {int, float} for one in values)
        found[metric["Name"]] = value
    # Nothing that is neither: what stands in a line besides is our log's.
    assert {*found, "_aws", "time", "level", "event"} == set(document)
    assert 1_048_576 > len(json.dumps(document))
    return found


class Setup:
    """A cache whose fetches are told to CloudWatch."""

    def __init__(self, source: FakeSource, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
        self.source = source
        self.clock = clock
        self.caplog = caplog
        source.values.update(dict.fromkeys(("db", "api"), 1))

    def start(self, *names: str, by_secret: bool = False, environ: dict[str, str] | None = None) -> Cache:
        self.cache = Cache(
            listed=[listed(name, stale_if_error_seconds=1e6) for name in names or ("db",)],
            allow=("*",),
            policy=policy(),
            source=self.source,
            clock=self.clock,
            random=lambda: 0.5,
        )
        self.emf = Emf(
            counts=self.cache.counts,
            clock=self.clock,
            namespace="ours",
            environ=FUNCTION if environ is None else environ,
            by_secret=by_secret,
        )
        self.cache.observers.append(self.emf.note_fetch)
        return self.cache

    def documents(self) -> Iterator[Document]:
        """Return the lines so far, parsed as they are written; each is told once."""
        records = [record for record in self.caplog.records if record.msg == "metrics.counted"]
        self.caplog.clear()
        for record in records:
            yield json.loads(JsonFormatter().format(record))

    def told(self) -> list[dict[str, Any]]:
        """Return what the lines so far say; each is told once."""
        return [checked(document) for document in self.documents()]


@pytest.fixture(name="setup")
async def _setup(source, clock, caplog) -> Setup:
    return Setup(source, clock, caplog)


async def test_a_line_is_a_document_of_the_format(setup):
    """Time of the wall clock, namespace, the function as the only dimension, all counts and how long fetches took."""
    setup.start()
    await setup.cache.prefetch()
    (document,) = setup.documents()

    assert {
        "FunctionName": "checkout",
        "Hits": 0,
        "Misses": 0,
        "StaleServed": 0,
        "Refreshes": 1,
        "Failures": 0,
        "FetchLatency": [0],
    } == checked(document)
    assert {
        "Timestamp": 1_800_000_000_000,
        "CloudWatchMetrics": [
            {
                "Namespace": "ours",
                "Dimensions": [["FunctionName"]],
                "Metrics": [
                    *({"Name": name, "Unit": "Count"} for name in ("Hits", "Misses", "StaleServed")),
                    *({"Name": name, "Unit": "Count"} for name in ("Refreshes", "Failures")),
                    {"Name": "FetchLatency", "Unit": "Milliseconds"},
                ],
            }
        ],
    } == document["_aws"]
    assert ("INFO", "metrics.counted") == (document["level"], document["event"])


async def test_outside_lambda_there_is_no_dimension(setup):
    """An empty set of them, which CloudWatch takes."""
    setup.start(environ={})
    await setup.cache.prefetch()
    (document,) = setup.documents()

    assert "FunctionName" not in checked(document)
    assert [[]] == document["_aws"]["CloudWatchMetrics"][0]["Dimensions"]


async def test_lines_add_up_to_the_counts(setup):
    """Each says what happened since the one before, so that nothing is counted twice, nor left out."""
    cache = setup.start()
    await cache.get("db")
    await cache.get("db")
    for error in (None, SecretUnavailable("db", code="x", cause="it rains"), None):
        setup.source.error = {} if error is None else {"": error}
        setup.clock.tick(700)
        await cache.get("db")
        await cache.get("db")
    setup.emf.write()
    lines = setup.told()

    assert 4 < len(lines)
    names = ("Hits", "Misses", "StaleServed", "Refreshes", "Failures")
    assert [sum(line[name] for line in lines) for name in names] == list(cache.counts.numbers().values())
    assert [3, 3, 2, 4, 1] == list(cache.counts.numbers().values())
    assert cache.counts.latency.count == sum(len(line.get("FetchLatency", [])) for line in lines)


async def test_nothing_new_is_no_line(setup):
    """At the end, if nothing has happened since the last one, or ever."""
    setup.start()
    setup.emf.write()
    assert [] == setup.told()

    await setup.cache.prefetch()
    assert 1 == len(setup.told())
    setup.emf.write()
    assert [] == setup.told()


async def test_hits_alone_are_told_at_the_end(setup):
    """No request writes a line; without a fetch there is no latency."""
    cache = setup.start()
    await cache.prefetch()
    setup.told()
    for _ in range(3):
        setup.clock.tick(INTERVAL_SECONDS)
        await cache.get("db")
    assert [] == setup.told()

    setup.emf.write()
    (line,) = setup.told()

    assert (3, 0) == (line["Hits"], line["Refreshes"])
    assert "FetchLatency" not in line


async def test_a_round_of_fetches_is_one_line(setup):
    """It is written when the last of them has ended."""
    setup.source.gate.clear()
    cache = setup.start("db", "api")
    cache.start_prefetch()
    setup.source.gate.set()
    await cache.prefetch()
    (line,) = setup.told()

    assert (2, 2) == (line["Refreshes"], len(line["FetchLatency"]))


async def test_at_most_one_line_a_minute(setup):
    """What a fetch within the minute brought stands in the next line; a wall clock that went back ends the minute."""
    cache = setup.start()
    await cache.prefetch()
    assert 1 == len(setup.told())
    setup.clock.tick(INTERVAL_SECONDS - 1)
    await cache.get("db", refresh=True)
    assert [] == setup.told()
    setup.clock.tick(1)
    await cache.get("db", refresh=True)
    (line,) = setup.told()
    assert (2, 2) == (line["Refreshes"], len(line["FetchLatency"]))
    setup.clock.tick(INTERVAL_SECONDS - 1)
    await cache.get("db", refresh=True)
    assert [] == setup.told()

    setup.clock.step_wall(-INTERVAL_SECONDS)
    await cache.get("db", refresh=True)
    assert 1 == len(setup.told())


async def test_more_fetches_than_a_line_may_hold_are_several_lines(setup):
    """None is lost, however many there are within the minute."""
    names = [f"n{number}" for number in range(2 * MAX_VALUES + 5)]
    setup.source.values.update(dict.fromkeys(names, 1))
    cache = setup.start(*names)
    await cache.prefetch()
    setup.emf.write()
    lines = setup.told()

    assert [MAX_VALUES, MAX_VALUES, 5] == [len(line["FetchLatency"]) for line in lines]
    assert len(names) == sum(line["Refreshes"] for line in lines)


async def test_no_line_names_a_secret_unless_asked_for(setup):
    """Neither as a dimension nor as anything else."""
    cache = setup.start("db", "api")
    await cache.prefetch()
    text = json.dumps(list(setup.documents()))

    assert "FunctionName" in text
    assert "db" not in text
    assert "api" not in text


async def test_by_secret_each_listed_one_has_a_line_of_its_own(setup):
    """Its fetches only; what callers have named is in no dimension."""
    setup.source.values["caller-made"] = 1
    cache = setup.start("db", "gone", by_secret=True)
    await cache.prefetch()
    setup.clock.tick(INTERVAL_SECONDS)
    await cache.get("caller-made")
    first, db, gone, second = setup.told()

    assert (2, 1, 1) == (first["Refreshes"], first["Failures"], second["Refreshes"])
    fetched = {"FunctionName": "checkout", "Refreshes": 1, "FetchLatency": [0]}
    assert fetched | {"Secret": "db", "Failures": 0} == db
    assert fetched | {"Secret": "gone", "Failures": 1} == gone
    assert "Secret" not in first | second


async def test_a_long_name_is_cut_to_what_a_dimension_may_hold(setup):
    """The ARN of a parameter may be longer."""
    name = "a" * 1100
    setup.source.values[name] = 1
    setup.start(name, by_secret=True)
    await setup.cache.prefetch()

    assert "a" * 1024 == setup.told()[1]["Secret"]


async def test_latency_is_what_the_monotonic_clock_says(setup):
    """A fetch that was frozen for an hour did not take one."""
    setup.source.gate.clear()
    cache = setup.start()
    cache.start_prefetch()
    await until(lambda: setup.source.asked_together)
    setup.clock.tick(0.25)
    setup.clock.freeze(3600)
    setup.source.gate.set()
    await cache.prefetch()

    assert [250] == setup.told()[0]["FetchLatency"]


def test_it_is_written_at_any_level(caplog, clock):
    """Somebody who asks for metrics has them, whatever else is in the log."""
    logging.getLogger("secrets_cache").setLevel(logging.ERROR)
    counts = Stats()
    counts.hits = 1
    Emf(counts=counts, clock=clock, namespace="x", environ={}, by_secret=False).write()

    assert ["metrics.counted"] == [record.msg for record in caplog.records]
