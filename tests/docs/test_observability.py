"""docs/observability.md, held to the code: the metrics it names are the ones there are, and its examples are right."""

import json
import re

import yaml

from secrets_cache.config import Config
from secrets_cache.core.stats import Stats
from secrets_cache.system.emf import LATENCY, NAMES
from tests.support.pages import ROOT, blocks_of, codes_in, rows_of
from tests.unit.server.test_prometheus import parsed, report, write
from tests.unit.system.test_emf import checked

PAGE = ROOT / "docs" / "observability.md"


def test_what_is_counted_is_in_the_table_by_all_its_names():
    """In the log, in CloudWatch and in Prometheus; neither more nor less."""
    counts = Stats()
    counts.latency.add(1)
    told = {
        code: tuple(codes_in(row[1]) + codes_in(row[2])) for row in rows_of(PAGE, "count") for code in codes_in(row[0])
    }

    assert set(counts.as_fields()) == set(told)
    for name, emf in NAMES.items():
        assert (emf, f"secrets_cache_{name}_total") == told[name]
    assert {(LATENCY, "secrets_cache_fetch_duration_seconds")} == {told["fetch_mean_ms"], told["fetch_max_ms"]}


def test_every_metric_for_prometheus_is_in_the_table():
    """With its type and its labels, as they are told."""
    new, samples = parsed(write(report("x"), by_secret=True))
    old, _ = parsed(write(report("x"), by_secret=True, is_openmetrics=False), is_openmetrics=False)
    rows = {codes_in(row[0])[0]: (row[1], codes_in(row[2])) for row in rows_of(PAGE, "metric")}

    assert list(old) == list(rows)
    for (name, (kinds, labels)), kind in zip(rows.items(), new.values(), strict=True):
        assert {kind, old[name]} == set(kinds.split(", "))
        assert set(labels) == {label for (sample, pairs) in samples if sample.startswith(name) for label, _ in pairs}


def test_the_line_that_is_shown_is_one_that_is_written():
    """A document of the format, with all that a line may hold."""
    (block,) = blocks_of(PAGE, "json")
    document = json.loads(block.text)

    assert {"FunctionName", *NAMES.values(), LATENCY} == set(checked(document))
    assert Config().metrics_namespace == document["_aws"]["CloudWatchMetrics"][0]["Namespace"]


def test_the_alarms_are_about_metrics_that_there_are():
    """Of the namespace and the dimension that they have, and in expressions too."""
    blocks = [yaml.safe_load(block.text) for block in blocks_of(PAGE, "yaml")]
    (alarm,) = (one["SecretsCannotBeFetched"]["Properties"] for one in blocks if "SecretsCannotBeFetched" in one)
    told = {name for name, _ in parsed(write(report("x"), by_secret=True))[1]}

    assert (Config().metrics_namespace, True) == (alarm["Namespace"], alarm["MetricName"] in NAMES.values())
    assert ["FunctionName"] == [dimension["Name"] for dimension in alarm["Dimensions"]]
    alarms = rows_of(PAGE, "what")
    assert {name for row in alarms for name in re.findall(r"secrets_cache_\w+", row[2])} <= told
    assert {code for row in alarms for code in codes_in(row[1]) if code.isalpha()} <= {*NAMES.values(), LATENCY}
