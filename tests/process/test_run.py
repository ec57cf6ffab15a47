"""`secrets-cache run`: a command with secrets in its environment. The rules are the wrapper's: test_wrapper.py."""

import subprocess
import sys

import pytest

from tests.conftest import PATIENCE_SECONDS
from tests.support.fakes import CANARY
from tests.support.wrapper import RUNTIME, environ_in, plain
from tools.emulator import ROOT

VALUE = f"{CANARY}\n 'quotes\" $HOME `id` \\ | é\t"


def run(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[bytes]":
    """Run `secrets-cache run`, in an environment without Lambda."""
    variables = {name: value for name, value in plain(**environ).items() if name != b"AWS_LAMBDA_EXEC_WRAPPER"}
    command = [sys.executable, "-m", "secrets_cache", "run", *arguments]
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, check=False, timeout=PATIENCE_SECONDS)


@pytest.mark.shows_secrets("the command's environment is what is tested")
def test_the_command_gets_the_values_exactly_and_everything_else_unchanged(upstream, tmp_path):
    """From `env:` of the file that was named, and from references; its own options and -- are left to it."""
    upstream.put("db", VALUE)
    file = tmp_path / "config.yaml"
    file.write_text("env: [{secret: db, as: PASSWORD}]", encoding="utf-8")
    options = ("--config", str(file), "--", sys.executable, "-I", "-c", RUNTIME, "--config", "--", "x")
    done = run(*options, AWS_ENDPOINT_URL=upstream.url, COPY="secretsmanager://db", OTHER="stays")

    found = environ_in(done.stdout)
    assert (0, b"") == (done.returncode, done.stderr)
    assert done.stdout.endswith(b"\0--config\0--\0x")
    assert [VALUE.encode()] * 2 == [found[b"PASSWORD"], found[b"COPY"]]
    assert plain(AWS_ENDPOINT_URL=upstream.url, OTHER="stays").items() - found.items() == {
        (b"AWS_LAMBDA_EXEC_WRAPPER", b"/opt/get-secrets-layer")
    }
    assert {b"PASSWORD", b"COPY"} == found.keys() - plain(AWS_ENDPOINT_URL="", OTHER="").keys()


def test_the_process_becomes_the_command():
    """Nothing stays in between: the process id, the signals and the exit code are the command's."""
    command = [sys.executable, "-m", "secrets_cache", "run", "--", "/bin/sh", "-c", "echo $$; exit 42"]
    with subprocess.Popen(command, cwd=ROOT, env=plain(), stdout=subprocess.PIPE, text=True) as process:
        out, _ = process.communicate(timeout=PATIENCE_SECONDS)

    assert (42, f"{process.pid}\n") == (process.returncode, out)


@pytest.mark.parametrize(
    ("arguments", "environ", "said"),
    [
        (["--", "sh"], {"X": "secretsmanager://missing"}, "X: secret 'missing' was not found in AWS Secrets Manager"),
        (
            ["--", "/no/such/program"],
            {"X": "secretsmanager://db"},
            "'/no/such/program' cannot be run: No such file or directory",
        ),
        (
            ["--", "no-such-program"],
            {"X": "secretsmanager://db"},
            "'no-such-program' cannot be run: No such file or directory",
        ),
        (["--", ""], {"X": "secretsmanager://db"}, "'' cannot be run: the command is empty"),
        (["--config", "nope.yaml", "--", "sh"], {}, "--config nope.yaml: no such file"),
        (
            ["--", "sh"],
            {"SECRETS_CACHE_CONFIG_YAML": "env: [{"},
            "SECRETS_CACHE_CONFIG_YAML:1: found a bracket that is not closed",
        ),
    ],
)
def test_a_failure_is_one_line_and_the_code_is_1(upstream, arguments, environ, said):
    """The command is not started."""
    upstream.put("db", VALUE)
    done = run(*arguments, AWS_ENDPOINT_URL=upstream.url, PATH="/usr/bin:/bin", **environ)
    (line,) = done.stderr.decode().splitlines()

    assert (1, b"") == (done.returncode, done.stdout)
    assert line.startswith(f"secrets-cache: {said}")


@pytest.mark.parametrize(("option", "text"), [("--config", "secrets: [db]"), ("--from-file", "db: x")])
def test_a_command_for_which_nothing_is_set_is_run_and_one_line_tells_why(tmp_path, option, text):
    """A list of secrets alone sets no variable."""
    file = tmp_path / "file.yaml"
    file.write_text(text, encoding="utf-8")
    done = run(option, str(file), "--", "/bin/echo", "out", LAMBDA_TASK_ROOT=str(tmp_path))
    where = str(file) if option == "--config" else f"{tmp_path}/config.yaml (no such file)"
    sources = f"no `env:` in {where}, no SECRET_ARN, and no variable holds a reference such as secretsmanager://NAME"

    assert (0, b"out\n") == (done.returncode, done.stdout)
    assert f"secrets-cache: run: nothing to set: {sources}\n" == done.stderr.decode()


def test_what_is_left_out_is_said_on_standard_error(upstream, tmp_path):
    """Standard output belongs to the command: a pipe gets nothing else."""
    upstream.put("db", '{"LD_PRELOAD": "x", "GOOD": "y"}')
    file = tmp_path / "config.yaml"
    file.write_text("tll: 1m", encoding="utf-8")
    done = run("--config", str(file), "--", "/bin/echo", "out", AWS_ENDPOINT_URL=upstream.url, SECRET_ARN="db")
    problem, refused = done.stderr.decode().splitlines()

    assert (0, b"out\n") == (done.returncode, done.stdout)
    assert "'tll'" in problem
    assert "warning: variable.refused: the name is reserved" in refused
    assert "LD_PRELOAD" in refused


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#!/no/such/shell\n", "the file exists, but not its interpreter"),
        ("#!/bin/sh\r\necho\r\n", "the file exists, but not its interpreter"),
        ("echo\n", "Exec format error; a script needs a first line such as #!/bin/sh"),
    ],
)
@pytest.mark.parametrize("is_path", [True, False])
def test_a_script_that_cannot_start_is_not_said_to_be_missing(tmp_path, text, said, is_path):
    """The kernel has the error of a missing file for a missing interpreter, such as one with a carriage return."""
    script = tmp_path / "own-script"
    script.write_bytes(text.encode())
    script.chmod(0o700)
    done = run("--", str(script) if is_path else "own-script", PATH=f"/no/such/folder:{tmp_path}:/bin")

    assert 1 == done.returncode
    assert f"cannot be run: {said}" in done.stderr.decode()


def test_a_mistyped_reference_is_named_and_stays(upstream):
    """The command gets it as text; standard error has the variable's name, and nothing of its value."""
    command = ("--", "/bin/sh", "-c", 'test "$X" = "ssm:/x-of-mine"')
    done = run(*command, AWS_ENDPOINT_URL=upstream.url, X="ssm:/x-of-mine", Y="https://host")
    line, nothing = done.stderr.decode().splitlines()

    assert (0, b"") == (done.returncode, done.stdout)
    said = "warning: variable.suspect: the value stays as it is; a reference begins with ssm:// (name: X)"
    assert said in line
    assert "nothing to set" in nothing
