"""
`make fuzz`: the fuzz targets guided by coverage, then the property tests, until the time is up or something fails.

    python -m tools.fuzz --minutes 10

Half of the time is for the targets of tests/fuzz, one after the other, where atheris runs: each begins with its corpus
and with what earlier runs found, in .cache/fuzz. The other half is for the property tests, with other and more examples
each round. What fails is shown, with the input or the example, and how to try it again.
"""

import argparse
import os
import re
import secrets
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.targets import TARGETS
from tools.emulator import ROOT

CORPUS = ROOT / "tests" / "fuzz" / "corpus"
SCRATCH = ROOT / ".cache" / "fuzz"
GUIDE = ROOT / ".venv" / "fuzz" / "bin" / "python"
WITHOUT_GUIDE = (
    "Not guided by coverage: atheris is for Linux on x86_64 with glibc and CPython 3.11 to 3.13, where `make fuzz` "
    "installs it. The property tests try the targets too."
)
# libFuzzer's: an input that takes longer, or more memory, is a finding.
SECONDS_FOR_ONE = 20
MEGABYTES = 2048
MAX_BYTES = 4096
# Runs the AWS CLI for each example.
SLOW = "tests/release/test_deploy.py"


class Guided(NamedTuple):
    """What came of one target: how often it ran, what widened its coverage, and the inputs that broke a rule."""

    target: str
    executions: int
    new: int
    found: list[Path]
    failed: bool

    def __str__(self) -> str:
        counts = f"{self.executions:>12,} executions {self.new:>6} new inputs {len(self.found):>3} findings"
        return f"{self.target:<12} {counts}"


def main() -> int:
    """Fuzz; return 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument("--minutes", type=float, default=10, help="for all of it (default: 10)")
    parser.add_argument("--targets", nargs="*", default=list(TARGETS), choices=list(TARGETS), help="default: all")
    parser.add_argument("--times", type=int, default=10, help="how many times the usual examples a round has")
    parser.add_argument("--seed", type=int, help="of the first round; default: random")
    given = parser.parse_args()
    until = time.monotonic() + given.minutes * 60
    outcomes = []
    if GUIDE.exists():
        seconds = max(1, round(given.minutes * 60 / 2 / max(1, len(given.targets))))
        outcomes = [run_guided(target, seconds) for target in given.targets]
    else:
        print(WITHOUT_GUIDE, flush=True)
    code = run_rounds(until, given.times, given.seed)
    for outcome in outcomes:
        print(outcome)
    return 1 if code or any(outcome.failed for outcome in outcomes) else 0


def run_guided(target: str, seconds: int) -> Guided:
    """Run one target under atheris."""
    scratch, found = SCRATCH / target, SCRATCH / "found" / target
    for folder in (scratch, found):
        folder.mkdir(parents=True, exist_ok=True)
    before, known = set(scratch.iterdir()), set(found.iterdir())
    print(f"{target}, for {seconds} s", flush=True)
    options = {
        "max_total_time": seconds,
        "artifact_prefix": f"{found}/",
        "timeout": SECONDS_FOR_ONE,
        "rss_limit_mb": MEGABYTES,
        "max_len": MAX_BYTES,
        "print_final_stats": 1,
        "verbosity": 0,
    }
    done = subprocess.run(
        [
            GUIDE,
            "-m",
            "tests.fuzz.guided",
            target,
            scratch,
            CORPUS / target,
            *(f"-{k}={v}" for k, v in options.items()),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": sysconfig.get_path("purelib")},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    inputs = sorted(set(found.iterdir()) - known)
    if done.returncode:
        _show(target, done.stdout + done.stderr, inputs)
    executions = re.search(r"number_of_executed_units: *(\d+)", done.stderr)
    new = len(set(scratch.iterdir()) - before)
    return Guided(target, int(executions[1]) if executions else 0, new, inputs, done.returncode != 0)


def _show(target: str, output: str, inputs: list[Path]) -> None:
    """Print why a run ended, and how to see it again."""
    traceback = re.search(r"=== Uncaught Python exception: ===\n(.*?)\n\n", output, re.DOTALL)
    print(traceback[1] if traceback else output[-2000:])
    for path in inputs:
        print(f"Again: .venv/bin/python -m tests.fuzz {target} {path.relative_to(ROOT)}", flush=True)


def run_rounds(until: float, times: int, seed: int | None) -> int:
    """Run the property tests, at least once; return the exit code of the last round."""
    code, number = 0, 0
    while code == 0 and (number == 0 or time.monotonic() < until):
        number += 1
        seed = secrets.randbelow(2**32) if seed is None else seed
        print(f"Round {number}, --times {times} --seed {seed}", flush=True)
        options = ["-q", "-x", "-m", "hypothesis", f"--ignore={SLOW}", "--timeout=0", f"--hypothesis-seed={seed}"]
        environ = {**os.environ, "SECRETS_CACHE_TEST_EXAMPLES": str(times)}
        command = [sys.executable, "-m", "pytest", *options]
        code = subprocess.run(command, cwd=ROOT, env=environ, check=False).returncode
        seed = None
    return code


if __name__ == "__main__":
    sys.exit(main())
