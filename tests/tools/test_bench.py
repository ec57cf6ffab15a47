"""The benchmarks: the table says what was measured and what was not, and a stub counts what it is asked."""

import json
import urllib.request

from bench.processes import Stub
from bench.rows import Row, at_least, at_most, measured
from bench.table import render


def test_the_table_has_a_line_for_each_row_and_says_what_is_missing():
    """Ratio, budget and verdict come before the numbers; notes are numbered below."""
    slow = measured("a", "fast", [1, 2, 3], [4, 4, 4], against="slow", budget=at_most(0.25))
    lines = render([slow, Row(key="b", what="absent", budget=at_least(4), note="wrk is missing")]).splitlines()

    assert ["fast", "0.50", "<=", "0.25", "x", "MISSED", "2", "ms"] == lines[2].split()[:8]
    assert ["absent", "[1]", ">=", "4", "x", "not", "measured"] == lines[3].split()
    assert "[1] wrk is missing" in lines
    assert "Of 2 budgets: 0 met, 1 MISSED, 1 not measured" == lines[-1]


def test_the_stub_of_secrets_manager_answers_and_counts():
    """Every secret exists."""
    with Stub("upstream") as upstream:
        headers = {"X-Amz-Target": "secretsmanager.GetSecretValue"}
        url = f"http://127.0.0.1:{upstream.ports['port']}"
        with urllib.request.urlopen(urllib.request.Request(url, b'{"SecretId": "a"}', headers), timeout=10) as response:
            found = json.load(response)
        seen = upstream.ask()

    assert ("a", {"getsecretvalue": 1}) == (found["Name"], seen["calls"])
