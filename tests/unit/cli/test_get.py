"""`secrets-cache get` without a server. With one: tests/process/test_get.py."""

import json

import pytest

from tests.support.command_line import FAILURES, GOT, VALUE, command
from tests.support.fakes import CANARY
from tools.emulator import free_port


@pytest.mark.parametrize(("arguments", "value"), GOT)
def test_a_value_arrives_byte_for_byte(filled, config_file, arguments, value):
    """By each of its names, whole or one key of it, of any version; nothing before it, nothing after it."""
    assert (0, value, "") == command("get", "--config", str(config_file), *arguments, port=free_port())


@pytest.mark.parametrize(("arguments", "said"), FAILURES)
def test_a_failure_is_one_line_and_the_code_is_1(filled, config_file, arguments, said):
    """Nothing on standard output."""
    code, out, err = command("get", "--config", str(config_file), *arguments, port=free_port())
    lines = err.splitlines()

    assert (1, b"", 1) == (code, out, len(lines))
    assert lines[0].startswith("secrets-cache: ")
    assert said in lines[0]


def test_without_a_server_only_the_named_secret_is_fetched(filled, config_file):
    """The other listed items are not."""
    command("get", "--config", str(config_file), "db", port=free_port())

    assert [["db"]] == [call.ids for call in filled.calls]


def test_without_a_configuration_any_name_is_fetched(filled, tmp_path):
    """IAM alone decides. With a configuration, the lists in it count."""
    environ = {"LAMBDA_TASK_ROOT": str(tmp_path)}

    assert CANARY.encode() in command("get", "prod/api", port=free_port(), **environ)[1]
    (tmp_path / "config.yaml").write_text("secrets: [db]", encoding="utf-8")
    assert 1 == command("get", "prod/api", port=free_port(), **environ)[0]


def test_a_server_that_was_named_must_be_there(filled, config_file):
    """With --url, nothing is fetched without that server."""
    code, out, err = command("get", "--url", f"http://localhost:{free_port()}", "db", port=free_port())

    assert (1, b"") == (code, out)
    assert "Connection refused" in err
    assert [] == filled.calls


def get_all(config_file, *arguments: str) -> tuple[int, bytes, str]:
    """Get several values, without a server."""
    return command("get", "--config", str(config_file), *arguments, port=free_port())


def test_several_values_come_in_one_format(filled, config_file):
    """By the names that were asked for; a key is chosen of each."""
    code, out, err = get_all(config_file, "db", "/prod/app/flag", "--format", "json")
    assert (0, {"db": json.loads(VALUE), "/prod/app/flag": CANARY}, "") == (code, json.loads(out), err)
    assert f"export DB='{CANARY}'\n".encode() == get_all(config_file, "db", "--key", "user", "--format", "shell")[1]
    assert f"DB={VALUE}\nPIN={CANARY}é\n".encode() == get_all(config_file, "db", "pin", "--format", "env")[1]


def test_one_that_is_missing_leaves_nothing(filled, config_file):
    """Each is named, and standard output is empty."""
    code, out, err = get_all(config_file, "missing", "db", "nowhere", "--format", "shell")

    assert (1, b"") == (code, out)
    assert ["'missing'", "'nowhere'"] == [
        line.partition("'")[1] + line.split("'")[1] + "'" for line in err.splitlines()
    ]


def test_text_is_for_one_value(filled, config_file):
    """Two values next to each other would be neither."""
    code, _, err = get_all(config_file, "db", "pin")

    assert 2 == code
    assert "--format text is for one NAME; allowed for several: json, env, shell" in err


def test_a_parameter_needs_no_configuration(filled, tmp_path):
    """A name that looks like one says how to ask for it."""
    environ = {"LAMBDA_TASK_ROOT": str(tmp_path)}
    hint = "; if it is a parameter, use --parameter"

    assert hint in command("get", "/prod/app/flag", port=free_port(), **environ)[2]
    assert hint not in command("get", "missing", port=free_port(), **environ)[2]
    assert (0, CANARY.encode(), "") == command("get", "--parameter", "/prod/app/flag", port=free_port(), **environ)
    slash = "did you mean /prod/app/flag? A name with slashes begins with one"
    assert slash in command("get", "--parameter", "prod/app/flag", port=free_port(), **environ)[2]
    assert 2 == command("get", "--parameter", "--url", "http://localhost:1", "/x", port=free_port(), **environ)[0]


def test_a_failure_speaks_of_options(filled, config_file):
    """Not of parameters of a query, which look like those of Parameter Store."""
    err = command("get", "--config", str(config_file), "pin", "--key", "nope", port=free_port())[2]
    assert "secrets-cache: --key needs a secret that is a JSON object; this one is not\n" == err
    err = command("get", "--config", str(config_file), "db", "--version-id", "a b", port=free_port())[2]
    assert err.startswith("secrets-cache: --version-id must be 1 to 256")


def test_what_is_not_listed_is_said_of_the_file_that_was_read(filled, tmp_path):
    """Whatever its name."""
    file = tmp_path / "other.yml"
    file.write_text("secrets: [db]", encoding="utf-8")
    _, _, err = command("get", "--config", str(file), "nowhere", port=free_port())

    assert f"'nowhere' is not listed in {file}, and no pattern under allow covers it" in err
