"""
`make fleet`: simulate every fleet, print the table, write `bench/results/fleet.json`.

    python -m bench.fleet [--quick] [--only TEXT]
"""

import argparse
import logging
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from bench.fleet.plan import plan, quick
from bench.fleet.report import render, row, timelines, to_json
from bench.fleet.scenarios import Scenario, run
from tools.emulator import ROOT

TARGET = ROOT / "bench" / "results" / "fleet.json"


def main() -> int:
    """Run the simulation; return the exit code."""
    parser = argparse.ArgumentParser(prog="make fleet")
    parser.add_argument("--quick", action="store_true", help="a few small fleets, and write no results")
    parser.add_argument("--only", default="", help="the scenarios with this in their key, and write no results")
    parser.add_argument("--jobs", type=int, help="processes at a time; one for each core")
    given = parser.parse_args()
    scenarios = {key: found for key, found in (quick() if given.quick else plan()).items() if given.only in key}
    if given.quick:
        found = [simulated(scenario) for scenario in scenarios.values()]
    else:
        with ProcessPoolExecutor(given.jobs) as pool:
            found = list(pool.map(simulated, scenarios.values()))
    rows = {key: row for key, (row, _) in zip(scenarios, found, strict=True)}
    lines = {key: lines for key, (_, lines) in zip(scenarios, found, strict=True) if lines}
    print(render(rows))
    print(f"Processor time: {time.process_time() + children_seconds():.0f} s")
    if not given.quick and not given.only:
        TARGET.write_text(to_json(rows, lines), encoding="utf-8")
        print(f"Written: {TARGET.relative_to(ROOT)}")
    return 0


def simulated(scenario: Scenario) -> tuple[dict[str, Any], dict[str, list[int]]]:
    """Return a scenario's row and time lines."""
    # Thousands of extensions tell of thousands of failures.
    logging.disable()
    try:
        result = run(scenario)
        return row(result), timelines(result)
    finally:
        logging.disable(logging.NOTSET)


def children_seconds() -> float:
    """Return the processor time of our processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
