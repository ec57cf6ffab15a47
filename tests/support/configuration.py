"""Reads configurations for tests."""

from secrets_cache.config import Config, Problem, parse

FILE = "/var/task/config.yaml"


def read(text: str | bytes | None, **environ: str) -> Config:
    """Return the configuration of a text and an environment."""
    data = text.encode() if isinstance(text, str) else text
    return parse(data, file=FILE, environ=environ)


def read_valid(text: str, **environ: str) -> Config:
    """Return the configuration of a text that has no problems."""
    config = read(text, **environ)
    assert () == config.problems
    return config


def list_names(config: Config) -> list[str]:
    """Return what the listed secrets are served as."""
    return [secret.name for secret in config.secrets]


def find_problem(config: Config) -> Problem:
    """Return the one problem of a configuration that has one."""
    (problem,) = config.problems
    return problem
