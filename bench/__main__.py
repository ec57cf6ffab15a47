"""
`make bench`: measure everything, print the table, write the results. Exit code 0 whatever the budgets say.

    python -m bench [--quick] [--only THEME]

The first call prepares /opt and calls itself again in a sandbox with that /opt and a loopback of its own.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import cold_start, hits, imports, invocation, load, prefetch, rest, small_function
from bench.processes import CORES, NotMeasuredError
from bench.report import processor_time, stolen_percent, this_machine, to_json
from bench.rows import Row
from bench.setting import Setting, entered, lay_out
from bench.table import render
from tools import sandbox
from tools.emulator import ROOT, EmulatorError

RESULTS = ROOT / "bench" / "results"
THEMES = ("cold-start", "imports", "invocations", "small-function", "hits", "prefetch", "counts")


def main() -> int:
    """Run the benchmarks where they can run; return the exit code."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--quick", action="store_true", help="a few repetitions, to see that it works")
    parser.add_argument("--only", choices=THEMES, help="measure this alone, and write no results")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside is not None:
        _measure(given.inside, is_quick=given.quick, only=given.only)
        return 0
    reason = sandbox.why_impossible()
    if reason is not None:
        print(f"Nothing was measured: the layer cannot be at /opt here: {reason}.")
        return 0
    load.install()
    with tempfile.TemporaryDirectory(prefix="secrets-cache-bench-") as folder:
        opt = lay_out(Path(folder))
        inner = [sys.executable, "-m", "bench", "--inside", folder, *sys.argv[1:]]
        command = sandbox.command(str(opt), inner, own_network=True)
        return subprocess.run(command, cwd=ROOT, check=False).returncode


def _measure(folder: Path, *, is_quick: bool, only: str | None) -> None:
    began, before = time.monotonic(), processor_time()
    about = this_machine()
    print(f"{about['processor']}, {about['cores']} cores, load {about['load_before']}; Python {about['python']}")
    if len(CORES) == 1:
        print("There is only one core: measuring takes time from what is measured.")
    rows: list[Row] = []
    timeline: list[cold_start.ColdStart] = []

    def start(setting: Setting) -> list[Row]:
        found, line = cold_start.rows(setting)
        timeline.append(line)
        return found

    themes = (start, imports.rows, invocation.rows, small_function.rows, hits.rows, prefetch.rows, rest.rows)
    measures = dict(zip(THEMES, themes, strict=True))
    with entered(folder, is_quick=is_quick) as setting:
        for title, theme in measures.items():
            if only in {None, title}:
                print(f"Measuring: {title} ...", flush=True)
                rows += _tried(title, theme, setting)
    about["stolen_percent"] = stolen_percent(before, processor_time())
    took = f"It took {time.monotonic() - began:.0f} s; the host gave {about['stolen_percent']} % of the time to others."
    print(f"\n{render(rows)}\n{took}")
    if only is not None:
        return
    target = RESULTS / "latest.json"
    content = to_json(rows, timeline[0] if timeline else None, is_quick=is_quick, machine=about)
    target.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"Written: {target.relative_to(ROOT)}")


def _tried(title: str, theme: Callable[[Setting], Sequence[Row]], setting: Setting) -> Sequence[Row]:
    """Return a theme's rows, or one that says why there are none."""
    try:
        return theme(setting)
    except (NotMeasuredError, EmulatorError, OSError, ValueError, subprocess.SubprocessError) as error:
        return [Row(key=title, what=f"everything about {title}", note=f"{type(error).__name__}: {error}"[:500])]


if __name__ == "__main__":
    sys.exit(main())
