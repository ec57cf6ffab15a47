"""The benchmarks: statistics, table, results and what judges an answer; no times."""

import json
import re
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from bench import hits, load, rest
from bench.cold_start import MARKS, ColdStart, is_whole
from bench.processes import NotMeasuredError, Stub, cpu_ms, switches
from bench.report import stolen_percent, to_json
from bench.rows import Row, Verdict, at_least, at_most, measured, no_more_than
from bench.setting import BASELINES, Setting
from bench.stats import Summary, added, percentile, ratio, summarize
from bench.table import in_words, number, render
from tools.emulator import ROOT

LATEST = ROOT / "bench" / "results" / "latest.json"


# Statistics.


def test_the_summary_is_the_median_and_the_spread():
    """One outlier changes neither the median nor the percentiles beside it."""
    assert Summary(5, 1, 9, 11) == summarize([*range(10), 1_000_000][::-1])


def test_percentiles_are_interpolated():
    """Between the two nearest samples, in proportion."""
    assert 1.5 == percentile([2, 1], 50)
    assert 3 == percentile([3], 90)


@pytest.mark.parametrize("samples", [[], [1.0, float("nan")], [float("inf")]])
def test_there_is_no_summary_of_nothing(samples):
    """A number is never made up."""
    with pytest.raises(ValueError, match="finite samples"):
        summarize(samples)


def test_the_ratio_is_that_of_the_medians():
    """Over nothing there is none."""
    assert 0.5 == ratio(summarize([1, 2, 300]), summarize([4]))
    assert ratio(summarize([1]), summarize([0])) is None


def test_what_is_added_is_taken_round_by_round():
    """Both samples of a round were taken one after the other."""
    assert [10, 20] == added([110, 220], [100, 200])
    with pytest.raises(ValueError, match="zip"):
        added([1], [1, 2])


# Rows.


@pytest.mark.parametrize(
    ("budget", "verdict"),
    [
        (at_most(0.5), Verdict.MET),
        (at_most(0.49), Verdict.MISSED),
        (at_least(0.5), Verdict.MET),
        (at_least(0.51), Verdict.MISSED),
        (no_more_than(10), Verdict.MET),
        (no_more_than(9), Verdict.MISSED),
        (None, Verdict.NO_BUDGET),
    ],
)
def test_a_verdict_comes_from_the_numbers(budget, verdict):
    """The bound itself is within the budget."""
    assert verdict is measured("k", "w", [10], [20], budget=budget).verdict


def test_what_was_not_measured_has_no_verdict_and_no_number():
    """Neither without ours, nor, where a ratio is promised, without what it is compared with."""
    assert Verdict.NOT_MEASURED is Row(key="k", what="w", budget=at_most(1), note="why").verdict
    assert Verdict.NOT_MEASURED is measured("k", "w", [1], budget=at_most(1)).verdict
    assert Row(key="k", what="w").ratio is None


# The table.


def test_the_table_has_a_line_for_each_row_and_says_what_is_missing():
    """Ratio, budget and verdict stand before the numbers; notes are numbered below."""
    table = render(
        [
            measured("a", "fast", [1, 2, 3], [4, 4, 4], against="slow", budget=at_most(0.25)),
            Row(key="b", what="absent", budget=at_least(4), note="wrk is missing"),
            measured("c", "counted", [7], unit=""),
        ]
    )
    lines = table.splitlines()

    assert re.search(r"^fast +0\.50 +<= 0\.25 x +MISSED +2 ms \(1\.20\.\.2\.80\) +4 ms \(4\.\.4\) +slow$", lines[2])
    assert re.search(r"^absent \[1\] +>= 4 x +not measured$", lines[3])
    assert re.search(r"^counted +7$", lines[4])
    assert "[1] wrk is missing" in lines
    assert "Of 2 budgets: 0 met, 1 MISSED, 1 not measured" == lines[-1]


@pytest.mark.parametrize(
    ("value", "shown"), [(0.123, "0.12"), (12.34, "12.3"), (123.4, "123"), (12345.6, "12,346"), (7.0, "7")]
)
def test_numbers_have_three_digits_that_mean_something(value, shown):
    """More would be noise."""
    assert shown == number(value)


def test_a_single_sample_has_no_spread():
    """There is nothing to spread."""
    assert "1 MB" == in_words(summarize([1]), "MB")
    assert "" == in_words(None, "MB")


# The results.


def test_the_results_are_json_and_hold_what_the_table_shows():
    """The picture is drawn from them, so the time line is in them too."""
    marks = {mark: summarize([1.23456]) for mark in MARKS}
    row = measured("a", "fast", [1], [3], budget=at_most(0.25), note="read with care")
    line = ColdStart(marks, marks, summarize([2]))

    result = json.loads(json.dumps(to_json([row, Row(key="b", what="w")], line, is_quick=True, machine={"cores": 2})))

    first, second = result["rows"]
    assert (0.333, "MISSED", "<= 0.25 x") == (first["ratio"], first["verdict"], first["budget"])
    assert {"median": 1, "p10": 1, "p90": 1, "count": 1} == first["ours"]
    assert (None, None) == (second["ours"], second["ratio"])
    assert 1.235 == result["cold_start"]["ours"]["ready"]["median"]
    assert result["is_quick"]


def test_the_committed_results_are_of_this_form():
    """Every row is there, each with its own key, and says why it has no number."""
    result = json.loads(LATEST.read_text(encoding="utf-8"))
    keys = [row["key"] for row in result["rows"]]

    assert len(set(keys)) == len(keys)
    assert not [row["key"] for row in result["rows"] if row["ours"] is None and not row["note"]]
    assert set(MARKS) == set(result["cold_start"]["ours"]) == set(result["cold_start"]["plain"])
    assert (LATEST.parent / "latest.svg").is_file()


def test_time_given_to_others_is_a_share_of_what_was_wanted():
    """And none of none."""
    assert 25.0 == stolen_percent((100, 10), (175, 35))
    assert 0.0 == stolen_percent((1, 1), (1, 1))


# What measures.


def test_an_answer_is_whole_when_its_length_has_come():
    """Anything but 200 is no measurement."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"

    assert [False, False, True] == [is_whole(head[:20]), is_whole(head + b"ab"), is_whole(head + b"abc")]
    with pytest.raises(NotMeasuredError, match=r"HTTP/1\.1 503"):
        is_whole(b"HTTP/1.1 503 no\r\nContent-Length: 0\r\n\r\n")


def test_processor_time_and_wake_ups_of_another_process_are_the_kernels():
    """A process that works takes time; one that sleeps wakes up when it is told to."""
    code = "sum(range(3_000_000)); print(flush=True); input(); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        before = cpu_ms(process.pid), switches(process.pid)
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.readline()
        after = switches(process.pid)
        process.kill()

    assert 5 < before[0]
    assert before[1] < after


def test_strace_lines_are_read():
    """Only what was opened, and only what came from files."""
    trace = (
        '12 openat(AT_FDCWD</>, ""..., O_RDONLY|O_CLOEXEC) = 3</opt/a.pyc>\n'
        '12 openat(AT_FDCWD</>, ""..., O_RDONLY) = -1 ENOENT (No such file or directory)\n'
        '12 read(3</opt/a.pyc>, ""..., 4096) = 120\n'
        '12 read(4<socket:[1]>, ""..., 4096) = 7\n'
        '12 pread64(3</opt/a.pyc>, ""..., 64, 0) = 64\n'
    )

    assert ["/opt/a.pyc"] == rest.OPENED.findall(trace)
    assert [("/opt/a.pyc", "120"), ("/opt/a.pyc", "64")] == rest.READ.findall(trace)


def test_without_a_load_generator_the_rows_say_so(monkeypatch):
    """They are in the table all the same, with their budgets."""
    monkeypatch.setenv("PATH", "/nowhere")

    rows = hits.not_measured()

    assert {"hit_latency", "hits_per_second", "hit_tail_1", "hit_tail_16"} == {row.key for row in rows}
    assert {(Verdict.NOT_MEASURED, load.MISSING)} == {(row.verdict, row.note) for row in rows}
    assert not load.is_there()


# The stubs.


def asked(url, target, body):
    """Return what the stub of Secrets Manager answers."""
    headers = {"X-Amz-Target": f"secretsmanager.{target}"}
    request = urllib.request.Request(url, data=json.dumps(body).encode(), headers=headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def test_the_upstream_answers_and_counts():
    """Every secret exists; batches can be refused; asking what was seen begins anew."""
    with Stub("upstream") as upstream:
        url = f"http://127.0.0.1:{upstream.ports['port']}"
        one = asked(url, "GetSecretValue", {"SecretId": "a"})
        many = asked(url, "BatchGetSecretValue", {"SecretIdList": ["a", "b"]})
        seen = upstream.ask("/set?delay_ms=1&batch=0")
        with pytest.raises(urllib.error.HTTPError) as refused:
            asked(url, "BatchGetSecretValue", {"SecretIdList": ["a"]})
        refused.value.close()
        after = upstream.ask()

    assert ("a", ["a", "b"]) == (one["Name"], [value["Name"] for value in many["SecretValues"]])
    assert {"getsecretvalue": 1, "batchgetsecretvalue": 1} == seen["calls"]
    assert 0 < seen["first_connection"] <= seen["first_request"] <= seen["first_answer"] <= seen["last_answer"]
    assert (400, {"batchgetsecretvalue": 1}) == (refused.value.code, after["calls"])


def test_the_api_notes_when_who_registers():
    """On the clock that all processes share."""
    with Stub("extensions_api") as api:
        url = f"http://127.0.0.1:{api.ports['port']}/2020-01-01/extension/register"
        with urllib.request.urlopen(urllib.request.Request(url, data=b"{}"), timeout=10) as response:
            identifier = response.headers["Lambda-Extension-Identifier"]
        ((path, moment),) = api.ask()
        again = api.ask()

    assert identifier
    assert ("/2020-01-01/extension/register", []) == (path, again)
    assert 0 < moment


def test_quick_means_fewer_rounds(tmp_path):
    """And nothing else."""
    stub = Stub("extensions_api")
    quick, usual = (Setting(is_quick, tmp_path, stub, stub, tmp_path) for is_quick in (True, False))

    assert (range(3), range(21)) == (quick.rounds(21, 3), usual.rounds(21, 3))


def test_every_baseline_is_described():
    """The page on benchmarks names each of them by its file."""
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")

    assert not [file.name for file in BASELINES.rglob("*.py") if file.stem != "__init__" and file.name not in page]


def test_every_row_is_described():
    """The page on benchmarks names each row of the committed results by its key."""
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")

    assert not [row["key"] for row in json.loads(LATEST.read_text("utf-8"))["rows"] if f"`{row['key']}`" not in page]


@pytest.mark.parametrize(
    "key",
    [
        "exec_to_registered",
        "first_secret",
        "cpu_until_settled",
        "cold_invocation",
        "hit_latency",
        "hits_per_second",
        "memory",
    ],
)
def test_the_figures_of_the_readme_are_those_of_the_results(key):
    """What is shown was measured, in one run."""
    rows = {row["key"]: row for row in json.loads(LATEST.read_text(encoding="utf-8"))["rows"]}
    row = rows[key]
    ours, theirs = number(row["ours"]["median"]), number(row["baseline"]["median"])
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()

    shown = [
        line for line in lines if f"| {ours}" in line and f"| {theirs}" in line and f"{row['ratio']:.2f} |" in line
    ]
    assert shown, (ours, theirs, row["ratio"])
