"""
`make soak`: minutes of everything at once, and a report.

    python -m tests.soak --minutes 10 --seed 1 [--layer]
"""

import argparse
import asyncio
import secrets
import sys
import tempfile
from pathlib import Path

from tests.soak.run import soak
from tools import sandbox
from tools.emulator import built_layer, unpack


def main() -> int:
    """Soak; return 0 if nothing was broken."""
    parser = argparse.ArgumentParser(prog="make soak")
    parser.add_argument("--minutes", type=float, default=10, help="for how long there is load (default: 10)")
    parser.add_argument("--seed", type=int, help="of everything that is random; default: random")
    parser.add_argument("--layer", action="store_true", help="run the built layer instead of the source tree")
    given = parser.parse_args()
    seed = secrets.randbelow(2**32) if given.seed is None else given.seed
    sys.stdout.write(f"Soaking for {given.minutes:g} minutes, SEED={seed}\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = []
        if given.layer:
            unpack(built_layer(), folder / "opt")
            command = sandbox.command(str(folder / "opt"), ["/opt/extensions/secrets-cache"], own_network=False)
        report = asyncio.run(soak(given.minutes * 60, seed, folder, command=command, say=_say))
    sys.stdout.write(f"{report}\n")
    return 1 if report.violations else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
