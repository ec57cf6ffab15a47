"""
`make promises`: break each promise in a copy of the source; the tests that prove it must notice.

    python -m tools.promises [WORD ...]    those whose text has one of the words; all, without any
    python -m tools.promises --table       the table of docs/reliability.md
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.support.promises import PROMISES, Promise, table


def survivors(promise: Promise) -> list[str]:
    """Break a promise in a copy of the source; return which of its tests pass there all the same."""
    with tempfile.TemporaryDirectory() as folder:
        promise.copy_broken(Path(folder))
        command = [sys.executable, "-m", "pytest", "-q", "-x", "--timeout=60", "-p", "no:cacheprovider"]
        environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "SECRETS_CACHE_TEST_PATIENCE": "0.5"}
        return [
            test
            for test in promise.ids()
            if subprocess.run([*command, test], cwd=folder, env=environ, capture_output=True, check=False).returncode
            != 1
        ]


def main(words: Sequence[str]) -> int:
    """Break each promise whose text has one of the words, or all; return 0 if all their tests then fail."""
    chosen = [promise for promise in PROMISES if not words or any(word in promise.text for word in words)]
    left = 0
    for promise in chosen:
        passed = survivors(promise)
        left += len(passed)
        print(f"{'SURVIVES' if passed else 'caught  '}  {promise.text}", *passed, sep="\n    ", flush=True)
    print(f"{len(chosen)} promises broken, {left} tests that did not notice")
    return int(bool(left))


if __name__ == "__main__":
    if sys.argv[1:] == ["--table"]:
        print(table(), end="")
    else:
        sys.exit(main(sys.argv[1:]))
