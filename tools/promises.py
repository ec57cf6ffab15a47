"""
`make promises`: break each promise in a copy of the source; the tests that prove it must notice.

    python -m tools.promises [WORD ...]    those whose text has one of the words; all, without any
    python -m tools.promises --table       the lists of docs/reliability.md
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.promises import PROMISES, Promise, table
from tools.emulator import ROOT
from tools.mutation import Mutation, locate

HANGS_SECONDS = 120
COPIED = ("secrets_cache", "tests", "tools", "extensions", "wrapper", "pyproject.toml", "requirements")


def find_survivors(promise: Promise) -> list[str]:
    """Break a promise in a copy of the source; return which of its tests pass there all the same."""
    with tempfile.TemporaryDirectory() as folder:
        _copy_broken(promise.mutation, Path(folder))
        command = [sys.executable, "-m", "pytest", "-q", "-x", "--timeout=60", "-p", "no:cacheprovider"]
        environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "SECRETS_CACHE_TEST_PATIENCE": "0.5"}
        return [test for test in map(_find_id, promise.tests) if not _is_noticed([*command, test], folder, environ)]


def _is_noticed(command: Sequence[str], folder: str, environ: Mapping[str, str]) -> bool:
    """Return whether a test fails. One that hangs, and cannot be interrupted by pytest, fails too."""
    try:
        done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, check=False, timeout=HANGS_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return done.returncode == 1


def _copy_broken(mutation: Mutation, target: Path) -> None:
    """Make a folder a copy of the source with a mutation in the package."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target / name)
    path, text = mutation.apply(ROOT / "secrets_cache")
    (target / path.relative_to(ROOT)).write_text(text, encoding="utf-8")


def _find_id(test: str) -> str:
    """Return what pytest calls a test."""
    path = locate(test, ROOT / "tests").relative_to(ROOT)
    return f"{path}::{test.rpartition(':')[2]}"


def main(words: Sequence[str]) -> int:
    """Break each promise whose text has one of the words, or all; return 0 if all their tests then fail."""
    chosen = [promise for promise in PROMISES if not words or any(word in promise.text for word in words)]
    left = 0
    for promise in chosen:
        passed = find_survivors(promise)
        left += len(passed)
        print(f"{'SURVIVES' if passed else 'caught  '}  {promise.text}", *passed, sep="\n    ", flush=True)
    print(f"{len(chosen)} promises broken, {left} tests that did not notice")
    return int(bool(left))


if __name__ == "__main__":
    if sys.argv[1:] == ["--table"]:
        print(table(), end="")
    else:
        sys.exit(main(sys.argv[1:]))
