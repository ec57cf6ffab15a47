"""The metrics lines that a process writes."""

from typing import Any

import pytest

from secrets_cache.config import parse
from tests.support.extension import get, next_is_open, shut_down
from tests.support.processes import EXTENSION, Process, config
from tests.unit.system.test_emf import FUNCTION, checked

# The process.


@pytest.fixture(name="extension")
def _extension(api, upstream, tmp_path):
    """Give a function that makes an extension's process of a configuration."""
    upstream.put("db", "v")

    def extension(text: str, **environ: str) -> Process:
        environ = {"AWS_LAMBDA_RUNTIME_API": api.address, **config(tmp_path, text), **FUNCTION, **environ}
        return Process(EXTENSION, environ)

    return extension


def metrics_of(process: Process) -> list[dict[str, Any]]:
    """Return what the lines of a process say."""
    return [checked(line) for line in process.log.events() if line["event"] == "metrics.counted"]


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("{secrets: [db], metrics: emf}", {}),
        ("{secrets: [db]}", {"SECRETS_CACHE_METRICS": "emf", "SECRETS_CACHE_LOG_LEVEL": "ERROR"}),
    ],
)
def test_in_lambda_there_is_a_line_after_the_first_fetch_and_one_at_the_end(api, extension, text, environ):
    """As config.yaml or the environment has it, at any log level; together they are the counts of the last line."""
    with extension(text, **environ) as process:
        assert next_is_open(api)
        for _ in range(3):
            assert (200, "v") == get(f"{process.url}/cache/db")
        assert 404 == get(f"{process.url}/metrics")[0]
        shut_down(api, process)
        first, last = metrics_of(process)

    assert ("checkout", 1, 0) == (first["FunctionName"], first["Refreshes"], first["Failures"])
    assert (3, 0) == (first["Hits"] + last["Hits"], last["Refreshes"])
    assert 1 == len(first["FetchLatency"])


def test_in_lambda_there_is_none_unless_asked_for(api, extension):
    """The default, and `none` in the environment over the file."""
    for text, environ in (
        ("{secrets: [db]}", {}),
        ("{secrets: [db], metrics: {format: emf, by_secret: true}}", {"SECRETS_CACHE_METRICS": "none"}),
    ):
        api.release.clear()
        with extension(text, **environ) as process:
            process.event("extension.ready")
            shut_down(api, process)

            assert [] == metrics_of(process)


def test_the_name_of_the_function_and_the_namespace_are_taken_from_where_they_stand(api, extension):
    """And the names of secrets are there once they are asked for."""
    text = "{secrets: [db], metrics: {format: emf, namespace: team/secrets, by_secret: yes}}"
    assert () == parse(text.encode(), file="f", environ={}).problems
    with extension(text) as process:
        process.event("extension.ready")
        shut_down(api, process)
        both, one = metrics_of(process)

        assert '"Namespace": "team/secrets"' in process.log.text
    assert "Secret" not in both
    assert "db" == one["Secret"]
