"""The log as lines for people."""

import pytest

from secrets_cache.cli.log_lines import describe

FAILED = {"secret": "db", "code": "AccessDenied", "reason": "AWS refused secret 'db'", "still_served": False}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "warning: x.y"),
        ({"port": 80, "reason": "in use", "advice": "take 81"}, "warning: x.y: in use (port: 80); take 81"),
        (FAILED, "warning: x.y: AWS refused secret 'db' (code: AccessDenied, still_served: False)"),
        ({"secret": "db", "file": ""}, "warning: x.y (secret: db)"),
    ],
)
def test_a_line_says_each_thing_once(fields, expected):
    """A field that the sentence holds already is left out, and so is an empty one."""
    assert expected == describe({"time": "2026-11-27", "level": "WARNING", "event": "x.y", **fields})
