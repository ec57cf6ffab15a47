"""Replays inputs through a target: `python -m tests.fuzz TARGET FILE...`. What breaks a rule is raised."""

import sys
from pathlib import Path

from tests.fuzz.targets import TARGETS


def main() -> None:
    """Try each file."""
    target, *files = sys.argv[1:]
    for file in files:
        TARGETS[target](Path(file).read_bytes())


if __name__ == "__main__":
    main()
