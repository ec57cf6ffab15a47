"""What the file and the environment give together."""

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
