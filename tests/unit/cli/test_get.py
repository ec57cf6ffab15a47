"""`secrets-cache get` without a server. With one: tests/process/test_get.py."""

from pathlib import Path

import pytest

from tests.support import upstream as stub
from tests.support.command_line import FAILURES, GOT, TEXT, command, fill
from tests.support.fakes import CANARY
from tools.emulator import free_port


@pytest.fixture(name="filled")
def _filled(upstream: stub.Upstream) -> stub.Upstream:
    return fill(upstream)


@pytest.fixture(name="config", scope="module")
def _config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("get") / "config.yaml"
    file.write_text(TEXT, encoding="utf-8")
    return file


@pytest.mark.parametrize(("arguments", "value"), GOT)
def test_a_value_arrives_byte_for_byte(filled, config, arguments, value):
    """By each of its names, whole or one key of it, of any version; nothing before it, nothing after it."""
    assert (0, value, "") == command("get", "--config", str(config), *arguments, port=free_port())


@pytest.mark.parametrize(("arguments", "said"), FAILURES)
def test_a_failure_is_one_line_and_the_code_is_1(filled, config, arguments, said):
    """Nothing on standard output."""
    code, out, err = command("get", "--config", str(config), *arguments, port=free_port())
    lines = err.splitlines()

    assert (1, b"", 1) == (code, out, len(lines))
    assert lines[0].startswith("secrets-cache: ")
    assert said in lines[0]


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
