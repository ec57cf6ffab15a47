"""Calls the command line in this process; secrets, and what `secrets-cache get` prints of them."""

import argparse
import contextlib
import io
import json
from pathlib import Path

import pytest

from secrets_cache.cli import main
from tests.support import upstream as stub
from tests.support.fakes import CANARY

TEXT = """
secrets: [db, pin, {id: prod/api, name: api}, denied, missing]
parameters: [/prod/app/]
allow: ["bin*"]
"""
VALUE = json.dumps({"user": CANARY, "port": 5432, "a/b": {"c": [1, CANARY]}})
BINARY = bytes(range(256)) + CANARY.encode() + b"\n\n"
# By what `get` is given: the value.
GOT = [
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
]
# And what is said of a failure.
FAILURES = [
    (["nowhere"], "/config.yaml, and no pattern under allow covers it"),
    (["missing"], "secret 'missing' was not found in AWS Secrets Manager"),
    (["denied"], "AWS refused secret 'denied' with AccessDeniedException"),
    (["db", "--key", "nope"], "'db' has no key 'nope'"),
    (["pin", "--key", "nope"], "needs a secret that is a JSON object"),
    (["db", "--key", ""], "--key is empty"),
    (["\udcff"], "must be UTF-8"),
]


def fill(upstream: stub.Upstream) -> stub.Upstream:
    """Put the secrets into a stub."""
    values: dict[str, str | bytes] = {"db": VALUE, "pin": f"{CANARY}\u00e9", "prod/api": f"{CANARY}\n", "bin": BINARY}
    for name, value in values.items():
        upstream.put(name, value)
    upstream.parameters["/prod/app/flag"] = CANARY
    upstream.fault = lambda call: stub.ACCESS_DENIED if call.ids == ["denied"] else None
    return upstream


@pytest.fixture(name="filled")
def filled_upstream(upstream: stub.Upstream) -> stub.Upstream:
    """Give a stub with the secrets."""
    return fill(upstream)


@pytest.fixture(name="config_file", scope="session")
def write_config_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the configuration file."""
    file = tmp_path_factory.mktemp("get") / "config.yaml"
    file.write_text(TEXT, encoding="utf-8")
    return file


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


def commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command; argparse has no public way to look at them."""
    (commands,) = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]  # noqa: SLF001
    return dict(commands.choices)
