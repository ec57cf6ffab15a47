"""`secrets-cache get` and `health` beside a running server, and as a process of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PATIENCE_SECONDS
from tests.process.test_check import read_all
from tests.support import upstream as stub
from tests.support.command_line import BINARY, FAILURES, GOT, TEXT, VALUE, command, fill, run
from tests.support.fakes import CANARY
from tests.support.processes import Process
from tools.emulator import ROOT, free_port


@pytest.fixture(name="filled")
def _filled(upstream: stub.Upstream) -> stub.Upstream:
    return fill(upstream)


@pytest.fixture(name="config", scope="module")
def _config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("get") / "config.yaml"
    file.write_text(TEXT, encoding="utf-8")
    return file


@pytest.fixture(name="server", scope="module")
def _server(config) -> Iterator[dict[str, str]]:
    """Give the variables of a command with a server on its port."""
    with stub.Upstream() as upstream:
        environ = {"AWS_ENDPOINT_URL": fill(upstream).url}
        with Process(("-m", "secrets_cache", "serve", "--config", str(config)), environ) as process:
            process.event("serve.ready")
            yield {**environ, "SECRETS_CACHE_PORT": str(process.port)}


@pytest.mark.parametrize(("arguments", "value"), GOT)
def test_a_server_gives_the_same_value(server, config, arguments, value):
    """As without one, to the byte."""
    assert (0, value, "") == run("get", "--config", str(config), *arguments, **server)


@pytest.mark.parametrize(("arguments", "said"), FAILURES)
def test_a_server_gives_the_same_failure(server, config, arguments, said):
    """As without one."""
    code, out, err = run("get", "--config", str(config), *arguments, **server)

    assert (1, b"", 1) == (code, out, len(err.splitlines()))
    assert said in err


@pytest.mark.parametrize("beside", [True, False], ids=["with a server", "without"])
def test_a_process_writes_the_same(server, config, beside):
    """Whatever bytes they are."""
    port = {} if beside else {"SECRETS_CACHE_PORT": str(free_port())}
    done = subprocess.run(
        [sys.executable, "-m", "secrets_cache", "get", "bin", "--config", str(config)],
        capture_output=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, **server, **port},
    )

    assert (BINARY, b"") == (done.stdout, done.stderr)


def test_a_running_server_is_asked_and_nobody_else(filled, config):
    """What it holds is not fetched again."""
    with Process(("-m", "secrets_cache", "serve", "--config", str(config)), {}) as process:
        process.event("serve.ready")
        assert 0 == command("get", "--config", str(config), "db", port=process.port)[0]
        assert 0 == command("get", "--url", process.url, "db", port=1)[0]

    # Those that failed are fetched again meanwhile.
    assert 1 == sum("db" in call.ids for call in filled.calls)


def test_a_server_with_a_token_is_asked_with_it(filled, config):
    """With the first one that the configuration knows; with a wrong one it refuses."""
    arguments = ("-m", "secrets_cache", "serve", "--config", str(config))
    with Process(arguments, {"SECRETS_CACHE_TOKEN": "right"}) as process:
        process.event("serve.ready")
        right = command("get", "--config", str(config), "db", port=process.port, SECRETS_CACHE_TOKEN="right")
        wrong = command("get", "--config", str(config), "db", port=process.port, SECRETS_CACHE_TOKEN="wrong")
        health = command("health", port=process.port, SECRETS_CACHE_TOKEN="right")

    assert (VALUE.encode(), 1) == (right[1], wrong[0])
    assert "the header X-Aws-Parameters-Secrets-Token is missing or wrong" in wrong[2]
    assert b'"secrets"' in health[1]


def test_a_terminal_gets_a_line_end_and_nobody_else(filled, config):
    """So that the prompt does not stand behind the value."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "secrets_cache", "get", "--config", str(config), "db", "--key", "user"],
        stdout=theirs,
        cwd=ROOT,
        env={**os.environ, "SECRETS_CACHE_PORT": str(free_port())},
    )
    os.close(theirs)

    assert f"{CANARY}\r\n" == read_all(ours)
    assert 0 == process.wait(PATIENCE_SECONDS)


def test_health_is_what_the_server_says(filled, config, tmp_path):
    """0 if it can serve everything, else 1; a server that is not there is 1 as well, and said."""
    good = tmp_path / "good.yaml"
    good.write_text("secrets: [db]", encoding="utf-8")
    for file, code, status in ((good, 0, "ok"), (config, 1, "failing")):
        with Process(("-m", "secrets_cache", "serve", "--config", str(file)), {}) as process:
            process.event("serve.ready")
            found, out, _ = command("health", port=process.port)

            assert (code, status) == (found, json.loads(out)["status"])
    found, out, err = command("health", port=process.port)

    assert (1, b"") == (found, out)
    assert "Connection refused" in err
