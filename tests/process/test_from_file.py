"""`serve` and `run` with a file in the place of AWS."""

import subprocess
import sys

from tests.process.test_run import run
from tests.support.extension import get
from tests.support.fakes import CANARY
from tests.support.processes import Process, config


def test_serve_serves_the_file_and_its_changes(tmp_path):
    """Without credentials and without a configuration."""
    file = tmp_path / "dev.yaml"
    file.write_text(f"prod/db: {CANARY}", encoding="utf-8")
    arguments = ("-m", "secrets_cache", "serve", "--from-file", str(file))
    with Process(arguments, {"LAMBDA_TASK_ROOT": str(tmp_path)}) as process:
        process.event("serve.ready")
        assert (200, CANARY) == get(f"{process.url}/cache/prod/db")
        file.write_text(f"prod/db: {CANARY}-2", encoding="utf-8")
        assert (200, CANARY) == get(f"{process.url}/cache/prod/db")

        assert (200, f"{CANARY}-2") == get(f"{process.url}/cache/prod/db?refresh=true")


def test_run_sets_variables_from_the_file(tmp_path):
    """By the rules that count with AWS."""
    file = tmp_path / "dev.json"
    file.write_text('{"db": {"A": 1}, "key": "whole"}', encoding="utf-8")
    named = config(tmp_path, "env: [{secret: key, as: KEY}]")
    code = "import os; print(os.environ['KEY'], os.environ['A'])"
    done = run("--from-file", str(file), "--", sys.executable, "-c", code, SECRET_ARN="db", **named)

    assert isinstance(done, subprocess.CompletedProcess)
    assert (0, b"whole 1\n", b"") == (done.returncode, done.stdout, done.stderr)
