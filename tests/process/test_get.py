"""`secrets-cache get` and `health` with a running server, and as processes of their own."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.conftest import PATIENCE_SECONDS
from tests.process.test_check import read_all
from tests.support import upstream as stub
from tests.support.command_line import BINARY, FAILURES, GOT, VALUE, command, fill, run
from tests.support.fakes import CANARY
from tests.support.processes import Process, serve
from tests.support.terminals import AtTerminal
from tools.emulator import ROOT, free_port


@pytest.fixture(name="served", scope="module")
def _served() -> Iterator[stub.Upstream]:
    """Give the stub from which the server fetches."""
    with stub.Upstream() as upstream:
        yield fill(upstream)


@pytest.fixture(name="server", scope="module")
def _server(config_file, served) -> Iterator[dict[str, str]]:
    """Give the variables of a command with a server on its port."""
    environ = {"AWS_ENDPOINT_URL": served.url}
    with serve(config_file, **environ) as process:
        process.event("serve.ready")
        yield {**environ, "SECRETS_CACHE_PORT": str(process.port)}


@pytest.mark.parametrize(("arguments", "value"), GOT)
def test_a_server_gives_the_same_value(server, config_file, arguments, value):
    """The bytes are those that `get` prints without a server."""
    assert (0, value, "") == run("get", "--config", str(config_file), *arguments, **server)


@pytest.mark.parametrize(("arguments", "said"), FAILURES)
def test_a_server_gives_the_same_failure(server, config_file, arguments, said):
    """The message is the one that `get` prints without a server, and names the server, whose file it does not know."""
    code, out, err = run("get", "--config", str(config_file), *arguments, **server)

    assert (1, b"", 1) == (code, out, len(err.splitlines()))
    assert said.removeprefix("/") in err
    assert err.endswith(f"; this is the answer of the server at 127.0.0.1:{server['SECRETS_CACHE_PORT']}\n")


def test_a_process_writes_any_bytes(server, config_file):
    """Nothing on the way to standard output changes them."""
    command = [sys.executable, "-m", "secrets_cache", "get", "bin", "--config", str(config_file)]
    done = subprocess.run(command, capture_output=True, check=True, cwd=ROOT, env={**os.environ, **server})

    assert (BINARY, b"") == (done.stdout, done.stderr)


def test_a_running_server_answers_from_its_cache(server, served):
    """Neither the command nor the server fetches a secret that the server holds."""
    before = served.count("db")
    port = server["SECRETS_CACHE_PORT"]
    assert 0 == run("get", "db", **server)[0]
    assert 0 == run("get", "--url", f"http://127.0.0.1:{port}", "db", SECRETS_CACHE_PORT="1")[0]

    assert before == served.count("db")


def test_a_server_gives_several(server, config_file):
    """As `get` prints them without a server; a failure is named."""
    arguments = ("get", "--config", str(config_file), "--format", "json", "db")

    assert {"db": json.loads(VALUE), "pin": f"{CANARY}é"} == json.loads(run(*arguments, "pin", **server)[1])
    code, out, err = run(*arguments, "nowhere", **server)
    assert (1, b"") == (code, out)
    assert "'nowhere' is not listed" in err


def test_a_server_with_a_token_is_asked_with_it(filled, tmp_path):
    """A wrong token is refused. `health` ends with 0 if the server can serve everything."""
    file = tmp_path / "config.yaml"
    file.write_text("secrets: [db]", encoding="utf-8")
    with serve(file, SECRETS_CACHE_TOKEN="right") as process:
        process.event("serve.ready")
        right = command("get", "db", port=process.port, SECRETS_CACHE_TOKEN="right")
        wrong = command("get", "db", port=process.port, SECRETS_CACHE_TOKEN="wrong")
        code, health, _ = command("health", port=process.port, SECRETS_CACHE_TOKEN="right")

    assert (VALUE.encode(), 1) == (right[1], wrong[0])
    assert "the header X-Aws-Parameters-Secrets-Token is missing or wrong" in wrong[2]
    assert (0, "ok") == (code, json.loads(health)["status"])


def test_health_ends_with_1_if_something_cannot_be_served(server):
    """It prints what the server reports; without a server, it prints why there is no answer."""
    code, out, _ = run("health", **server)
    assert (1, "failing") == (code, json.loads(out)["status"])

    code, out, err = command("health", port=free_port())
    assert (1, b"") == (code, out)
    assert "Connection refused" in err


def test_only_a_terminal_gets_a_line_end(filled, config_file):
    """The prompt then begins on a line of its own."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "secrets_cache", "get", "--config", str(config_file), "db", "--key", "user"],
        stdout=theirs,
        cwd=ROOT,
        env={**os.environ, "SECRETS_CACHE_PORT": str(free_port())},
    )
    os.close(theirs)

    assert f"{CANARY}\r\n" == read_all(ours)
    assert 0 == process.wait(PATIENCE_SECONDS)


def test_health_is_in_words_on_a_terminal(filled, config_file):
    """What a script reads stays JSON."""
    with serve(config_file) as process:
        process.event("serve.ready")
        arguments = ("health", "--url", process.url)
        with AtTerminal(*arguments, columns=120) as terminal:
            code = terminal.end()
        _, out, _ = command(*arguments, port=1)

    assert 1 == code
    assert "failing" == terminal.shown.splitlines()[0]
    assert re.search(r"^db +secret +fresh +\d+ s ", terminal.shown, re.MULTILINE)
    assert re.search(r"^denied +secret +failed .*AccessDeniedException", terminal.shown, re.MULTILINE)
    assert "failing" == json.loads(out)["status"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ttl: 5m", ["ok", "  No secret and no parameter is listed"]),
        (
            None,
            [
                "degraded",
                "  nothing is listed: there is no config.yaml (looked for FILE), and no variable lists a secret",
            ],
        ),
    ],
)
def test_health_of_a_server_that_serves_nothing_says_so(tmp_path, text, shown):
    """Every request that it gets is 404. It can do all that it was told to, so the code is 0."""
    file = tmp_path / "config.yaml"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with Process(("-m", "secrets_cache", "serve"), {"LAMBDA_TASK_ROOT": str(tmp_path)}) as process:
        process.event("serve.ready")
        with AtTerminal("health", "--url", process.url, columns=300) as terminal:
            code = terminal.end()

    assert (0, [line.replace("FILE", str(file)) for line in shown]) == (code, terminal.shown.splitlines())


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_pipe_that_does_not_block_gets_the_whole_value(tmp_path, unbuffered):
    """Node.js and ssh make what they share with others non-blocking; a value may be larger than what a pipe holds."""
    file = tmp_path / "values.json"
    value = "0123456789" * 20_000
    file.write_text(json.dumps({"big": value}), encoding="utf-8")
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    command = [sys.executable, "-m", "secrets_cache", "get", "big", "--from-file", str(file)]
    with subprocess.Popen(command, stdout=writing, cwd=ROOT, env={"PYTHONUNBUFFERED": unbuffered}) as process:
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            assert value.encode() == pipe.read()

    assert 0 == process.returncode
