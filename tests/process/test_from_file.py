"""`serve` and `run` with a file in the place of AWS."""

import json
import signal
import subprocess
import sys

from tests.process.test_run import run
from tests.support.extension import get
from tests.support.fakes import CANARY
from tests.support.processes import Process, config


def test_serve_serves_the_file_and_its_changes(tmp_path):
    """Without credentials and without a configuration."""
    file = tmp_path / "dev.yaml"
    file.write_text(f"prod/db: {CANARY}\n/prod/app/flag: {CANARY}", encoding="utf-8")
    arguments = ("-m", "secrets_cache", "serve", "--from-file", str(file))
    with Process(arguments, {"LAMBDA_TASK_ROOT": str(tmp_path)}) as process:
        process.event("serve.ready")
        for name in ("/prod/app/flag", "prod/app/flag"):
            assert (200, CANARY) == get(f"{process.url}/cache/{name}")
        for path in ("/prod/app/", "prod/app/"):
            assert (200, {"flag": CANARY}) == (200, json.loads(get(f"{process.url}/cache/{path}")[1]))
        assert (200, CANARY) == get(f"{process.url}/cache/prod/db")
        file.write_text(f"prod/db: {CANARY}-2", encoding="utf-8")
        assert (200, CANARY) == get(f"{process.url}/cache/prod/db")

        assert (200, f"{CANARY}-2") == get(f"{process.url}/cache/prod/db?refresh=true")


def test_a_reload_lists_the_names_again_unless_the_file_is_gone(tmp_path):
    """Then everything stays as it was."""
    file = tmp_path / "dev.yaml"
    file.write_text(f"db: {CANARY}", encoding="utf-8")
    arguments = ("-m", "secrets_cache", "serve", "--from-file", str(file))
    with Process(arguments, {"LAMBDA_TASK_ROOT": str(tmp_path)}) as process:
        assert 1 == process.event("serve.ready")["secrets"]
        file.write_text(f"db: {CANARY}\n/app/flag: {CANARY}", encoding="utf-8")
        process.process.send_signal(signal.SIGHUP)
        assert 3 == process.event("config.reloaded")["secrets"]
        assert (200, CANARY) == get(f"{process.url}/cache/app/flag")
        file.unlink()
        process.process.send_signal(signal.SIGHUP)
        assert "No such file" in process.event("config.not_reloaded")["reason"]
        assert (200, CANARY) == get(f"{process.url}/cache/db")


def test_run_sets_variables_from_the_file(tmp_path):
    """By the rules that count with AWS."""
    file = tmp_path / "dev.json"
    file.write_text('{"db": {"A": 1}, "key": "whole"}', encoding="utf-8")
    named = config(tmp_path, "env: [{secret: key, as: KEY}]")
    code = "import os; print(os.environ['KEY'], os.environ['A'])"
    done = run("--from-file", str(file), "--", sys.executable, "-c", code, SECRET_ARN="db", **named)

    assert isinstance(done, subprocess.CompletedProcess)
    assert (0, b"whole 1\n", b"") == (done.returncode, done.stdout, done.stderr)
