"""`--from-file`: a file in the place of AWS. In `serve` and `run`: tests/process/test_from_file.py."""

import json

import pytest

from secrets_cache.cli.file_source import FileSource
from secrets_cache.core.secret import Ref, Secret
from secrets_cache.errors import SecretNotFound, SecretUnavailable, VersionNotFound
from secrets_cache.server.problems import build_error_response
from tests.support.command_line import run
from tests.support.fakes import CANARY
from tests.support.upstream import arn_of

TEXT = f"""
db: {{user: {CANARY}, port: 5432}}
pin: 0123
/prod/app/a: one
/prod/app/b/c: two
"""


@pytest.fixture(name="file")
def _file(tmp_path):
    file = tmp_path / "dev.yaml"
    file.write_text(TEXT, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (["db"], f'{{"user":"{CANARY}","port":5432}}'),
        (["db", "--key", "user"], CANARY),
        (["pin"], "0123"),
        (["/prod/app/a"], "one"),
        (["prod/app/a"], "one"),
        (["/prod/app/", "--key", "b/c"], "two"),
        (["prod/", "--key", "app/a"], "one"),
        (["--parameter", "pin"], "0123"),
        ([arn_of("db"), "--key", "port"], "5432"),
        (["db", "--version-stage", "AWSCURRENT", "--key", "port"], "5432"),
        (["pin", "/prod/app/a", "--format", "env"], "PIN=0123\nPROD_APP_A=one\n"),
    ],
)
def test_without_a_configuration_every_name_is_served(file, upstream, tmp_path, arguments, value):
    """By name or ARN; AWS is never asked."""
    environ = {"LAMBDA_TASK_ROOT": str(tmp_path), "AWS_ENDPOINT_URL": upstream.url}

    assert (0, value.encode(), "") == run("get", "--from-file", str(file), *arguments, **environ)
    assert [] == upstream.calls


def test_with_a_configuration_its_names_count(file, tmp_path):
    """Parameters and paths too."""
    config = tmp_path / "config.yaml"
    config.write_text("secrets: [{id: db, name: x}]\nparameters: [/prod/app/]", encoding="utf-8")
    arguments = ("get", "--from-file", str(file), "--config", str(config))

    assert (0, b"5432", "") == run(*arguments, "x", "--key", "port")
    assert (0, b"two", "") == run(*arguments, "/prod/app/b/c")
    assert (0, b"one", "") == run(*arguments, "/prod/app/", "--key", "a")
    assert 1 == run(*arguments, "pin")[0]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("nope", TEXT, "'nope' was not found in {file}\n"),
        ("/nope", TEXT, "'/nope' was not found in {file}\n"),
        ("db", None, "--from-file {file}: No such file or directory"),
        ("db", "- a", "--from-file {file}:1: found no names with values; allowed: names with values"),
    ],
)
def test_a_failure_names_the_file(file, tmp_path, name, text, said):
    """In one line."""
    file.unlink() if text is None else file.write_text(text, encoding="utf-8")
    code, out, err = run("get", "--from-file", str(file), name, LAMBDA_TASK_ROOT=str(tmp_path))

    assert (1, b"", 1) == (code, out, len(err.splitlines()))
    assert said.format(file=file) in err


def test_a_server_and_a_file_are_two_places(file):
    """Wrong usage."""
    assert 2 == run("get", "--from-file", str(file), "--url", "http://localhost:1", "db")[0]


async def test_a_changed_value_is_another_version(file):
    """The number says nothing about the value; other versions are not there."""
    source = FileSource(str(file))
    first = await source.fetch(Ref("pin"))
    file.write_text("pin: 4567", encoding="utf-8")
    second = await source.fetch(Ref("pin"))

    assert [("1", b"0123"), ("2", b"4567")] == [(one.version_id, one.value) for one in (first, second)]
    with pytest.raises(VersionNotFound, match="version 'AWSPREVIOUS' of secret 'pin'"):
        await source.fetch(Ref("pin", version_stage="AWSPREVIOUS"))


async def test_each_of_many_has_its_result(file):
    """A name that is missing is its own failure; a file that is gone is one that may pass."""
    source = FileSource(str(file))
    refs = [Ref("db"), Ref("nope"), Ref("/none/", is_parameter=True)]
    results = [result async for _, result in source.fetch_many(refs)]
    file.unlink()

    titles = {json.loads(build_error_response(one).body)["title"] for one in results if not isinstance(one, Secret)}
    assert {"The file has no secret or parameter of this name"} == titles
    assert [Secret, SecretNotFound, SecretNotFound] == [type(result) for result in results]
    with pytest.raises(SecretUnavailable) as caught:
        await source.fetch(Ref("db"))
    assert b"The file gave no usable answer" in build_error_response(caught.value).body


def test_what_is_listed_is_what_code_in_lambda_may_ask_for(file):
    """Names with a slash before them are parameters, with each path to them."""
    secrets, parameters = FileSource(str(file)).list_items()

    assert ["db", "pin"] == [item.name for item in secrets]
    names = ["/prod/app/a", "/prod/app/b/c", "/prod/", "/prod/app/", "/prod/app/b/"]
    assert [(name, True) for name in names] == [(item.name, item.ref.is_parameter) for item in parameters]
