"""
`make fuzz`: the property tests, with other and more examples each round, until the time is up or one fails.

    python -m tools.fuzz --minutes 10

What fails is printed with the example that shows it, made as small as it goes; the seed repeats the round.
"""

import argparse
import os
import secrets
import subprocess
import sys
import time

from tools.emulator import ROOT

# Runs the AWS CLI for each example.
SLOW = "tests/test_deploy.py"


def main() -> int:
    """Run rounds; return the exit code of the last."""
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument("--minutes", type=float, default=10, help="no round begins after so many (default: 10)")
    parser.add_argument("--times", type=int, default=10, help="how many times the usual examples a round has")
    parser.add_argument("--seed", type=int, help="of the first round; by chance")
    given = parser.parse_args()
    seed = secrets.randbelow(2**32) if given.seed is None else given.seed
    until, code, rounds = time.monotonic() + given.minutes * 60, 0, 0
    while code == 0 and (rounds == 0 or time.monotonic() < until):
        rounds += 1
        print(f"Round {rounds}, --times {given.times} --seed {seed}", flush=True)
        options = ["-q", "-x", "-m", "hypothesis", f"--ignore={SLOW}", "--timeout=0", f"--hypothesis-seed={seed}"]
        environ = {**os.environ, "SECRETS_CACHE_TEST_EXAMPLES": str(given.times)}
        command = [sys.executable, "-m", "pytest", *options]
        code = subprocess.run(command, cwd=ROOT, env=environ, check=False).returncode
        seed = secrets.randbelow(2**32)
    return code


if __name__ == "__main__":
    sys.exit(main())
