"""The simulated fleet: its time, its quotas, what it drives, and the figures that the page shows."""

import asyncio
import json
import random
import re
import subprocess
import sys

import pytest

from bench.fleet.aws import Account, Operation, Outage, TokenBucket
from bench.fleet.figures import figures, on_paper, timeline
from bench.fleet.plan import key_of, plan
from bench.fleet.report import row, timelines
from bench.fleet.scenarios import Design, Scenario, Start, run
from bench.fleet.simulated import SimulatedClock, simulate
from bench.fleet.tally import Tally
from secrets_cache.core.retry import RetryableError
from tests.docs.test_docs import prose_of, rows_of
from tools.emulator import ROOT

PAGE = ROOT / "docs" / "scale.md"
RESULTS = json.loads((ROOT / "bench" / "results" / "fleet.json").read_text(encoding="utf-8"))
HOUR = 3600.0


# Time.


def test_simulated_time_goes_from_timer_to_timer_and_is_exact():
    """A day of waiting takes none, timers come in their order, and each at its moment."""

    async def wait() -> list[tuple[float, float]]:
        loop = asyncio.get_running_loop()
        clock = SimulatedClock(loop)
        seen: list[tuple[float, float]] = []

        async def at(seconds: float) -> None:
            await asyncio.sleep(seconds)
            seen.append((seconds, clock.now().monotonic))
            assert clock.now().wall == clock.now().monotonic == loop.time()

        await asyncio.gather(at(86_400), at(0.25), at(3.0), at(0.25))
        return seen

    seen = simulate(wait)

    assert [0.25, 0.25, 3.0, 86_400] == [meant for meant, _ in seen]
    assert [meant for meant, _ in seen] == pytest.approx([came for _, came in seen], abs=1e-6)


def test_waiting_for_nothing_is_a_fault_and_not_for_ever():
    """Where no timer is set, nothing can happen any more."""

    async def wait() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="no timer is set"):
        simulate(wait)


# AWS.


def test_a_quota_gives_what_it_holds_and_then_its_rate():
    """One second's worth at once; after that, so many a second, and never more than it holds."""
    bucket = TokenBucket(100)

    assert 100 == sum(bucket.take(0.0) for _ in range(300))
    assert 50 == sum(bucket.take(0.5) for _ in range(300))
    assert 100 == sum(bucket.take(60.0) for _ in range(300))


def test_the_account_throttles_each_operation_by_itself_and_counts():
    """What is above the quota fails in a way that may pass, and so does everything in an outage."""

    async def ask() -> tuple[list[str], Account]:
        account = Account(random.Random(1), outage=Outage(10, 20))
        codes = []
        for moment, operation, times in (
            (0, Operation.ANY_OF_PARAMETERS, 41),
            (0, Operation.BATCH_GET_SECRET_VALUE, 1),
            (10, Operation.BATCH_GET_SECRET_VALUE, 1),
            (20, Operation.BATCH_GET_SECRET_VALUE, 1),
        ):
            await asyncio.sleep(max(moment - asyncio.get_running_loop().time(), 0))
            outcomes = await asyncio.gather(
                *(account.ask(operation, "x") for _ in range(times)), return_exceptions=True
            )
            codes += [outcome.error.code if isinstance(outcome, RetryableError) else "" for outcome in outcomes]
        return [code for code in codes if code], account

    codes, account = simulate(ask)

    assert ["ThrottlingException", "ServiceUnavailable"] == codes
    assert {(Operation.ANY_OF_PARAMETERS, 0): 1} == account.throttled
    assert 44 == sum(account.calls.values())


# What callers saw.


def test_invocations_that_were_not_made_count_as_if_they_were():
    """Values that grow from fresh to stale: ages are spread evenly, and what is past the ttl is told."""
    tally = Tally(ttl=600)
    tally.served_between(500, 700, rate=2)
    tally.served(1000.5)

    assert (401, 201) == (tally.values, tally.stale)
    assert (601, 1001) == (tally.age_at(0.5), tally.age_at(1.0))
    assert 1000.5 == tally.oldest


# The fleet.


def test_one_environment_makes_the_calls_that_arithmetic_says():
    """5 secrets, one hour without chance: fetched at 0, and again each 555 s with the invocation that comes next."""
    scenario = Scenario(1, 5, Design.NO_JITTER, Start.TOGETHER, seconds=HOUR, per_second=100.0)
    result = run(scenario)
    rates = timeline(result)

    assert 5 * (1 + int(HOUR // 555)) == sum(rates.values())
    assert {5} == set(rates.values())
    begins = min(rates)
    assert [555 * cycle for cycle in range(7)] == pytest.approx([second - begins for second in sorted(rates)], abs=2)


def test_one_plain_environment_fetches_when_the_ttl_is_over():
    """What ours is compared with: once for each ttl, by the invocation that finds it over."""
    result = run(Scenario(1, 5, Design.PLAIN, Start.TOGETHER, seconds=HOUR, per_second=100.0))

    assert 5 * 6 == sum(timeline(result).values())
    assert 600 == pytest.approx(result.tally.oldest, abs=0.2)


def test_a_batch_is_the_products_own_and_falls_back():
    """25 secrets take two batches, until their quota of 100 a second is used up; the rest is asked for singly."""
    found = figures(run(Scenario(200, 25, Design.DEFAULTS, Start.TOGETHER, part=1, seconds=30)))
    crowded = figures(run(Scenario(200_000, 25, Design.DEFAULTS, Start.SCALE_OUT, part=1000, seconds=30)))

    assert (400, 400, 0) == (found.calls, found.batches, found.throttled)
    assert 0 < crowded.throttled_batches < crowded.batches < crowded.calls


@pytest.mark.parametrize(
    ("design", "secrets", "calls"),
    [
        (Design.PARAMETERS, 10, 1),
        (Design.PARAMETERS, 25, 3),
        (Design.PATH, 25, 3),
        (Design.PARAMETERS_HIGHER, 25, 3),
        (Design.PLAIN_PARAMETERS, 10, 10),
    ],
)
def test_parameters_come_ten_a_call_at_the_start_and_at_each_refresh(design, secrets, calls):
    """By name or below a path, from the product's own source; a plain function asks for each by itself."""
    rates = timeline(run(Scenario(1, secrets, design, Start.TOGETHER, seconds=HOUR, per_second=100.0)))
    fetched = sum(rates.values()) / calls

    assert fetched == int(fetched)
    assert (6 if design is Design.PLAIN_PARAMETERS else 7) == fetched


def test_parameters_that_are_throttled_get_through():
    """A start at two and a half times the default quota: no call becomes ten, and within 40 s all have theirs."""
    found = figures(run(Scenario(1000, 10, Design.PARAMETERS, Start.TOGETHER, seconds=60)))
    higher = figures(run(Scenario(1000, 10, Design.PARAMETERS_HIGHER, Start.TOGETHER, seconds=60)))

    assert found.failing_until < 40
    assert found.calls < 10_000
    assert (1000, 0) == (higher.calls, higher.failed)


def test_jitter_halves_the_peak_of_a_fleet_that_started_together():
    """Without it all refresh as they started; with it, over half of the window."""
    peaks = {
        design: figures(run(Scenario(1000, 5, design, Start.TOGETHER, part=20, seconds=620))).peak_later
        for design in (Design.DEFAULTS, Design.NO_JITTER)
    }

    assert peaks[Design.DEFAULTS] < 0.5 * peaks[Design.NO_JITTER]


def test_whoever_must_wait_is_served_rather_than_refused():
    """A start a fifth above the quota: with the product's pauses, a tenth of the failures of a plain function."""
    failed = {
        design: figures(run(Scenario(24_000, 5, design, Start.TOGETHER, part=100, seconds=60))).failed
        for design in (Design.DEFAULTS, Design.PLAIN)
    }

    assert failed[Design.DEFAULTS] < 0.1 * failed[Design.PLAIN]


def test_an_outage_shorter_than_stale_if_error_fails_no_invocation():
    """Old values are served, and counted as such; a plain function fails until it is over."""
    ours, plain = (
        figures(run(Scenario(20, 2, design, Start.STEADY, seconds=2400, outage=Outage(900, 1500))))
        for design in (Design.DEFAULTS, Design.PLAIN)
    )

    assert 0 == ours.failed
    assert 0 < ours.stale
    assert 600 < ours.oldest < 1260
    assert 0 < plain.failed


# The page.


@pytest.mark.parametrize("key", [key for key, scenario in plan().items() if scenario.environments == 1])
def test_the_committed_figures_are_those_that_the_simulation_gives(key):
    """The same seed gives the same figures: those of one environment are made again here."""
    assert RESULTS["rows"][key] == json.loads(json.dumps(row(run(plan()[key]))))


def test_every_scenario_has_its_committed_row():
    """None is missing, none is left over, and what the picture shows is there."""
    assert list(plan()) == list(RESULTS["rows"])
    shown = [key for key, lines in RESULTS["timelines"].items() if lines]
    assert 6 == len(shown)
    assert set(RESULTS["windows"]) == {window for key in shown for window in RESULTS["timelines"][key]}
    assert (ROOT / "bench" / "results" / "fleet.svg").is_file()


def test_arithmetic_and_simulation_agree():
    """In a steady fleet the mean rate is what the page's formula says."""
    steady = {key: found for key, found in RESULTS["rows"].items() if found["figures"]["mean"] is not None}
    single = {
        key: found for key, found in steady.items() if found["design"] in {"our defaults", "without jitter", "plain"}
    }

    assert 9 <= len(single)
    for found in single.values():
        assert found["on_paper"] == pytest.approx(found["figures"]["mean"], rel=0.04)


def test_the_formula_is_the_pages():
    """50,000 environments with 5 secrets, invoked once a second."""
    assert 449.6 == pytest.approx(50_000 * 5 / 556, abs=0.1)
    assert 449.6 == pytest.approx(on_paper(Scenario(50_000, 5, Design.DEFAULTS, Start.STEADY)), abs=0.1)


@pytest.mark.parametrize(
    "heading", ["at the start", "refreshing", "steady", "outage", "parameters at the start", "parameters, steady"]
)
def test_the_figures_of_the_page_are_those_of_the_results(heading):
    """Each table's columns are figures by name, each of its rows is a scenario by key."""
    page = PAGE.read_text(encoding="utf-8")
    (names,) = re.findall(rf"^\| {heading} \|(.+)\|$", page, re.MULTILINE)
    columns = re.findall(r"`(\w+)`", names)
    table = rows_of(PAGE, heading)

    assert table
    for key, *cells in table:
        found = RESULTS["rows"][key]
        values = {**found["figures"], "on_paper": found["on_paper"]}
        for name, cell in zip(columns, cells, strict=True):
            assert shown(values[name]) == cell, (key, name)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("50000, 1 a piece, together, our defaults, whole", "peak_start"),
        ("50000, 1 a piece, together, our defaults, whole", "peak_later"),
        ("50000, 1 a piece, together, our defaults", "peak_start"),
        ("50000, 1 a piece, together, our defaults", "peak_later"),
        ("50000, 5 a piece, together, our defaults", "failed"),
        ("50000, 25 a piece, together, our defaults", "peak_start"),
        ("50000, 25 a piece, together, our defaults", "failing_until"),
        ("50000, 25 a piece, together, plain", "failing_until"),
        ("20000, 10 a piece, steady, parameters", "throttled"),
        ("20000, 10 a piece, steady, parameters", "oldest"),
        ("1000, 25 a piece, together, parameters", "failing_until"),
        ("1000, 25 a piece, together, parameters, one path", "failing_until"),
        ("1000, 10 a piece, together, parameters, plain", "failing_until"),
        ("1000, 10 a piece, together, parameters, plain", "failed"),
        ("1000, 10 a piece, together, parameters", "failed"),
        ("1000, 10 a piece, steady, parameters, higher throughput", "calls_usd"),
    ],
)
def test_the_figures_of_the_prose_are_those_of_the_results(key, name):
    """What the advice rests on was simulated."""
    sentences = re.sub(r"^\|.*$", "", prose_of(PAGE), flags=re.MULTILINE)

    assert shown(RESULTS["rows"][key]["figures"][name]) in re.findall(r"[\d,]*\d", sentences)


def test_what_the_default_quota_of_parameters_carries():
    """What the page calls untouched is, and what it calls too many is."""
    untouched = ["400, 10 a piece, together, parameters", "10000, 10 a piece, steady, parameters"]

    assert [0, 0] == [RESULTS["rows"][key]["figures"]["throttled"] for key in untouched]
    assert 27 == round(RESULTS["rows"]["1000, 10 a piece, together, parameters"]["figures"]["failing_until"])
    assert 22_000 == round(Operation.ANY_OF_PARAMETERS.quota * 556, -3)
    assert 0 < RESULTS["rows"]["20000, 10 a piece, steady, parameters"]["figures"]["stale"]


def test_the_quotas_of_the_page_are_those_that_were_simulated():
    """And of the results."""
    assert {operation.value[0]: operation.quota for operation in Operation} == RESULTS["quotas"]
    cells = " ".join(cell for row in rows_of(PAGE, "operation") for cell in row)
    assert not [quota for quota in RESULTS["quotas"].values() if f"{quota:,}" not in cells]


def shown(value: float | None) -> str:
    """Return a figure as the page shows it."""
    if value is None:
        return "-"
    if isinstance(value, int) or value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}"


def test_a_quick_run_shows_a_table_and_writes_nothing():
    """As `make fleet QUICK=1` does."""
    before = (ROOT / "bench" / "results" / "fleet.json").read_bytes()
    command = [sys.executable, "-m", "bench.fleet", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=100)

    assert key_of(Scenario(1, 5, Design.PLAIN, Start.STEADY)) in done.stdout
    assert "" == done.stderr
    assert before == (ROOT / "bench" / "results" / "fleet.json").read_bytes()


def test_only_what_the_picture_shows_has_a_time_line():
    """The others would be megabytes."""
    assert {} == timelines(run(Scenario(1, 1, Design.DEFAULTS, Start.TOGETHER, seconds=10)))
