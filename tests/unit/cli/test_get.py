"""`secrets-cache get` and `health`: a running server is asked, else `get` fetches by itself, to the same end."""

import contextlib
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from secrets_cache.cli import main
from tests.conftest import PATIENCE_SECONDS
from tests.support import upstream as stub
from tests.support.fakes import CANARY
from tests.support.processes import Process
from tests.unit.cli.test_check import read_all
from tools.emulator import ROOT, free_port

TEXT = """
secrets: [db, pin, {id: prod/api, name: api}, denied, missing]
parameters: [/prod/app/]
allow: ["bin*"]
"""
VALUE = json.dumps({"user": CANARY, "port": 5432, "a/b": {"c": [1, CANARY]}})
BINARY = bytes(range(256)) + CANARY.encode() + b"\n\n"


def fill(upstream: stub.Upstream) -> stub.Upstream:
    """Put the secrets into a stub."""
    values: dict[str, str | bytes] = {"db": VALUE, "pin": f"{CANARY}\u00e9", "prod/api": f"{CANARY}\n", "bin": BINARY}
    for name, value in values.items():
        upstream.put(name, value)
    upstream.parameters["/prod/app/flag"] = CANARY
    upstream.fault = lambda call: stub.ACCESS_DENIED if call.ids == ["denied"] else None
    return upstream


@pytest.fixture(name="filled")
def _filled(upstream: stub.Upstream) -> stub.Upstream:
    return fill(upstream)


@pytest.fixture(name="config", scope="module")
def _config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("get") / "config.yaml"
    file.write_text(TEXT, encoding="utf-8")
    return file


@pytest.fixture(name="both", scope="module", params=["alone", "beside"])
def _both(request, config) -> Iterator[dict[str, str]]:
    """Give the variables of a command, with a server on its port or without one."""
    with stub.Upstream() as upstream:
        environ = {"AWS_ENDPOINT_URL": fill(upstream).url}
        if request.param == "alone":
            yield {**environ, "SECRETS_CACHE_PORT": str(free_port())}
        else:
            with Process(("-m", "secrets_cache", "serve", "--config", str(config)), environ) as process:
                process.event("serve.ready")
                yield {**environ, "SECRETS_CACHE_PORT": str(process.port)}


def run(*arguments: str, **environ: str) -> tuple[int, bytes, str]:
    """Run a command; return its exit code, and what it wrote to standard output and to standard error."""
    out, err, code = io.TextIOWrapper(io.BytesIO()), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        for name, value in environ.items():
            patch.setenv(name, value)
        try:
            code = main(arguments)
        except SystemExit as error:
            code = int(str(error.code))
    assert isinstance(out.buffer, io.BytesIO)
    return code, out.buffer.getvalue(), err.getvalue()


def command(*arguments: str, port: int, **environ: str) -> tuple[int, bytes, str]:
    """Run a command with the configured port."""
    return run(*arguments, SECRETS_CACHE_PORT=str(port), **environ)


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (["db"], VALUE.encode()),
        (["pin"], f"{CANARY}\u00e9".encode()),
        (["api"], f"{CANARY}\n".encode()),
        (["prod/api"], f"{CANARY}\n".encode()),
        (["bin"], BINARY),
        (["db", "--key", "user"], CANARY.encode()),
        (["db", "--key", "/a~1b/c/0", "--refresh"], b"1"),
        (["db", "--version-stage", "AWSPREVIOUS"], VALUE.encode()),
        (["db", "--version-id", "00000001-0000-4000-8000-000000000000"], VALUE.encode()),
        (["/prod/app/flag"], CANARY.encode()),
        (["/prod/app/", "--key", "flag"], CANARY.encode()),
        ([stub.arn_of("db")], VALUE.encode()),
    ],
)
def test_a_value_arrives_byte_for_byte(both, config, arguments, value):
    """By each of its names, whole or one key of it, of any version; nothing before it, nothing after it."""
    assert (0, value, "") == run("get", "--config", str(config), *arguments, **both)


def test_a_process_writes_the_same(both, config):
    """Whatever bytes they are."""
    done = subprocess.run(
        [sys.executable, "-m", "secrets_cache", "get", "bin", "--config", str(config)],
        capture_output=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, **both},
    )

    assert (BINARY, b"") == (done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "'nowhere' is not listed in config.yaml, and no pattern under allow covers it"),
        (["missing"], "secret 'missing' was not found in AWS Secrets Manager"),
        (["denied"], "AWS refused secret 'denied' with AccessDeniedException"),
        (["db", "--key", "nope"], "'db' has no key 'nope'"),
        (["pin", "--key", "nope"], "needs a secret that is a JSON object"),
        (["db", "--key", ""], "parameter 'key' is empty"),
        (["\udcff"], "must be UTF-8"),
    ],
)
def test_a_failure_is_one_line_and_the_code_is_1(both, config, arguments, said):
    """The same line with and without a server; nothing on standard output."""
    code, out, err = run("get", "--config", str(config), *arguments, **both)
    lines = err.splitlines()

    assert (1, b"", 1) == (code, out, len(lines))
    assert lines[0].startswith("secrets-cache: ")
    assert said in lines[0]


def test_a_running_server_is_asked_and_nobody_else(filled, config):
    """What it holds is not fetched again."""
    with Process(("-m", "secrets_cache", "serve", "--config", str(config)), {}) as process:
        process.event("serve.ready")
        before = len(filled.calls)
        assert 0 == command("get", "--config", str(config), "db", port=process.port)[0]
        assert 0 == command("get", "--url", process.url, "db", port=1)[0]
        assert before == len(filled.calls)


def test_without_a_server_only_what_is_wanted_is_fetched(filled, config):
    """Not all that is listed."""
    command("get", "--config", str(config), "db", port=free_port())

    assert [["db"]] == [call.ids for call in filled.calls]


def test_without_a_configuration_any_name_is_fetched(filled, tmp_path):
    """AWS decides. With one, its word counts."""
    environ = {"LAMBDA_TASK_ROOT": str(tmp_path)}

    assert CANARY.encode() in command("get", "prod/api", port=free_port(), **environ)[1]
    (tmp_path / "config.yaml").write_text("secrets: [db]", encoding="utf-8")
    assert 1 == command("get", "prod/api", port=free_port(), **environ)[0]


def test_a_server_that_was_named_must_be_there(filled, config):
    """Then nothing is fetched in its place."""
    code, out, err = command("get", "--url", f"http://localhost:{free_port()}", "db", port=free_port())

    assert (1, b"") == (code, out)
    assert "Connection refused" in err
    assert [] == filled.calls


@pytest.mark.parametrize(
    "url", ["https://localhost:1", "localhost:8080", "http://localhost:1/cache/", "http://:x", "http://"]
)
@pytest.mark.parametrize("name", ["get", "health"])
def test_a_url_is_that_of_a_server(name, url):
    """Anything else is wrong usage."""
    code, _, err = command(name, *(["db"] if name == "get" else []), "--url", url, port=free_port())

    assert 2 == code
    assert "allowed: a URL such as http://localhost:8080" in err


def test_the_token_is_sent_only_to_a_server_of_ours(filled, config):
    """Whoever else listens on that port gets no request but the one for /ping, and is passed by."""
    seen: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers["X-Aws-Parameters-Secrets-Token"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        _, out, _ = command("get", "--config", str(config), "db", port=other.server_port, SECRETS_CACHE_TOKEN="t")
        other.shutdown()
        thread.join()

    assert VALUE.encode() == out
    assert [("/ping", None)] == seen


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


# Health.


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
