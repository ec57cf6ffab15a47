"""The simulated fleet: its arithmetic for one environment, and a quick run."""

import subprocess
import sys

from bench.fleet.figures import timeline
from bench.fleet.scenarios import Design, Scenario, Start, run
from tools.emulator import ROOT


def test_one_environment_makes_the_calls_that_arithmetic_says():
    """5 secrets, one hour: fetched at 0, and again each 555 s; a plain function fetches once for each ttl of 600 s."""
    ours, plain = (
        sum(timeline(run(Scenario(1, 5, design, Start.TOGETHER, seconds=3600, per_second=100.0))).values())
        for design in (Design.NO_JITTER, Design.PLAIN)
    )

    assert (5 * (1 + 3600 // 555), 5 * 6) == (ours, plain)


def test_a_quick_run_shows_a_table_and_writes_nothing():
    """As `make fleet QUICK=1` does."""
    results = ROOT / "bench" / "results" / "fleet.json"
    before = results.read_bytes()
    command = [sys.executable, "-m", "bench.fleet", "--quick", "--only", "1, 5 a piece"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    assert "1, 5 a piece, steady, plain" in done.stdout
    assert ("", before) == (done.stderr, results.read_bytes())
