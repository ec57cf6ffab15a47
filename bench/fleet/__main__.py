"""
`make fleet`: simulate every fleet, print the table, write `bench/results/fleet.json`.

    python -m bench.fleet [--quick] [--only TEXT]
"""

import argparse
import logging
import sys
import time

from bench.fleet.plan import plan, quick
from bench.fleet.report import render, row, timelines, to_json
from bench.fleet.scenarios import run
from tools.emulator import ROOT

TARGET = ROOT / "bench" / "results" / "fleet.json"


def main() -> int:
    """Run the simulation; return the exit code."""
    parser = argparse.ArgumentParser(prog="make fleet")
    parser.add_argument("--quick", action="store_true", help="a few small fleets, and write no results")
    parser.add_argument("--only", default="", help="the scenarios with this in their key, and write no results")
    given = parser.parse_args()
    # Thousands of extensions tell of thousands of failures.
    logging.disable()
    rows, lines = {}, {}
    for key, scenario in (quick() if given.quick else plan()).items():
        if given.only not in key:
            continue
        began = time.process_time()
        result = run(scenario)
        rows[key], shown = row(result), timelines(result)
        if shown:
            lines[key] = shown
        if not given.quick:
            print(f"{time.process_time() - began:6.1f} s  {key}", file=sys.stderr, flush=True)
    print(render(rows))
    if not given.quick and not given.only:
        TARGET.write_text(to_json(rows, lines), encoding="utf-8")
        print(f"Written: {TARGET.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
