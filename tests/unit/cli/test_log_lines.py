"""The log as lines for people."""

import pytest

from secrets_cache.cli.log_lines import describe

INVALID = {
    "file": "c.yaml",
    "line": 1,
    "key": "ttl",
    "found": "'x'",
    "allowed": "y",
    "text": "c.yaml:1: ttl: found 'x'",
}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (INVALID, "error: some.event: c.yaml:1: ttl: found 'x'"),
        (
            {"reason": "taken", "port": 80, "advice": "choose another"},
            "error: some.event: taken (port: 80); choose another",
        ),
        ({"file": "c.yaml"}, "error: some.event (file: c.yaml)"),
        ({"secret": "db", "version_id": None, "region": ""}, "error: some.event (secret: db)"),
        ({}, "error: some.event"),
    ],
)
def test_an_event_is_a_sentence_and_what_the_sentence_does_not_say(fields, expected):
    """`text` holds everything, `reason` does not; advice comes last, and empty fields not at all."""
    assert expected == describe({"time": "t", "level": "ERROR", "event": "some.event", **fields})
