"""The metrics lines that a process writes."""

from typing import Any

import pytest

from tests.support.extension import get, next_is_open, shut_down
from tests.support.fakes import CANARY
from tests.support.processes import Process
from tests.unit.system.test_emf import FUNCTION, checked


def read_metrics(process: Process) -> list[dict[str, Any]]:
    """Return what the lines of a process say."""
    return [checked(line) for line in process.log.events() if line["event"] == "metrics.counted"]


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("{secrets: [db], metrics: emf}", {}),
        ("{secrets: [db]}", {"SECRETS_CACHE_METRICS": "emf", "SECRETS_CACHE_LOG_LEVEL": "ERROR"}),
    ],
)
def test_in_lambda_there_is_a_line_after_the_first_fetch_and_one_at_the_end(api, start, text, environ):
    """config.yaml or the environment switches them on, at any log level; their sums are the counts of the last line."""
    with start(text, **FUNCTION, **environ) as process:
        assert next_is_open(api)
        for _ in range(3):
            assert (200, CANARY) == get(f"{process.url}/cache/db")
        assert 404 == get(f"{process.url}/metrics")[0]
        shut_down(api, process)
        first, last = read_metrics(process)

    assert ("checkout", 1, 0) == (first["FunctionName"], first["Refreshes"], first["Failures"])
    assert (3, 0) == (first["Hits"] + last["Hits"], last["Refreshes"])
    assert 1 == len(first["FetchLatency"])


def test_in_lambda_there_is_none_unless_asked_for(api, start):
    """The default, and `none` in the environment over the file."""
    for text, environ in (
        ("{secrets: [db]}", {}),
        ("{secrets: [db], metrics: {format: emf, by_secret: true}}", {"SECRETS_CACHE_METRICS": "none"}),
    ):
        api.release.clear()
        with start(text, **FUNCTION, **environ) as process:
            process.event("extension.ready")
            shut_down(api, process)

            assert [] == read_metrics(process)


def test_the_name_of_the_function_and_the_namespace_are_taken_from_where_they_stand(api, start):
    """And the names of secrets are there once they are asked for."""
    text = "{secrets: [db], metrics: {format: emf, namespace: team/secrets, by_secret: yes}}"
    with start(text, **FUNCTION) as process:
        process.event("extension.ready")
        shut_down(api, process)
        both, one = read_metrics(process)

        assert '"Namespace": "team/secrets"' in process.log.text
    assert "Secret" not in both
    assert "db" == one["Secret"]
