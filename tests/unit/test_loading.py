"""What the file and the environment give together."""

import pytest

from secrets_cache.loading import parse_config
from secrets_cache.system.files import read_config


def test_a_file_that_cannot_be_read_is_a_problem_and_the_environment_counts(tmp_path):
    """The configuration is whole in any case; how problems are logged is for tests/process."""
    config = parse_config(read_config({}, str(tmp_path)), {"SECRETS_CACHE_PORT": "8181"})

    assert 8181 == config.port
    assert [str(tmp_path)] == [problem.file for problem in config.problems]


def test_problems_of_the_text_in_a_variable_name_the_variable():
    """There is no file that could be wrong."""
    environ = {"SECRETS_CACHE_CONFIG_YAML": "secrets: [a]\nttl: never", "SECRETS_CACHE_SECRETS": "b"}
    config = parse_config(read_config(environ), environ)

    assert ["a", "b"] == [item.name for item in config.secrets]
    assert [("SECRETS_CACHE_CONFIG_YAML", 2)] == [(problem.file, problem.line) for problem in config.problems]


WRAPPER = {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/get-secrets-layer"}


@pytest.mark.parametrize(
    ("environ", "sets_variables", "expected"),
    [
        ({}, False, True),
        ({"SECRETS_CACHE_CONFIG_YAML": " "}, False, True),
        ({"SECRETS_CACHE_CONFIG_YAML": "secrets: [a]"}, False, False),
        ({"SECRETS_CACHE_SECRETS": "a"}, False, False),
        ({"SECRETS_CACHE_PARAMETERS": "/a/"}, False, False),
        ({"PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": "2773"}, False, False),
        ({"PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE": "10"}, False, True),
        (WRAPPER, False, True),
        ({"SECRET_ARN": "a"}, False, True),
        ({"SECRET_ARN": "a"}, True, False),
        ({**WRAPPER, "SECRET_ARN": "a"}, False, False),
        ({**WRAPPER, "A": "secretsmanager://a"}, False, False),
        ({**WRAPPER, "A": "ssm:///a"}, False, False),
        ({"AWS_LAMBDA_EXEC_WRAPPER": "/opt/other", "A": "ssm:///a"}, False, True),
    ],
)
def test_no_configuration_at_all_is_a_warning(tmp_path, environ, sets_variables, expected):
    """Unless a variable lists something, AWS's protocol is served, or the exec wrapper has something to set."""
    environ = {"LAMBDA_TASK_ROOT": str(tmp_path), **environ}
    config = parse_config(read_config(environ), environ, sets_variables=sets_variables)

    assert () == config.problems
    assert expected is config.is_unconfigured


def test_the_warning_names_the_path_and_a_named_file_is_a_problem_instead(tmp_path):
    """Once, and not in addition to config.invalid."""
    environ = {"SECRETS_CACHE_CONFIG": str(tmp_path / "none.yaml")}
    config = parse_config(read_config(environ), environ)

    assert (str(tmp_path / "none.yaml"), False) == (config.missing_file, config.is_unconfigured)
    assert ["cannot be read: no such file"] == [problem.found for problem in config.problems]
    (tmp_path / "config.yaml").write_text("")
    task = {"LAMBDA_TASK_ROOT": str(tmp_path)}
    assert ("", False) == parse_config(read_config(task), task)[-2:]
