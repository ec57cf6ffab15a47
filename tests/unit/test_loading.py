"""What the file and the environment give together."""

from secrets_cache.loading import parse_config
from secrets_cache.system.files import read_config


def test_a_file_that_cannot_be_read_is_a_problem_and_the_environment_counts(tmp_path):
    """The configuration is whole in any case; how problems are logged is for tests/process."""
    config = parse_config(read_config({}, str(tmp_path)), {"SECRETS_CACHE_PORT": "8181"})

    assert 8181 == config.port
    assert [str(tmp_path)] == [problem.file for problem in config.problems]
