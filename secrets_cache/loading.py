"""
Makes a configuration of the file that `system` has read, and logs what is wrong with it.

A module of its own, since `config` and `system` do not import each other.
"""

from collections.abc import Mapping

from secrets_cache.config import Config, parse
from secrets_cache.system.files import ConfigFile

EXEC_WRAPPER = "get-secrets-layer"
REFERENCES = ("secretsmanager://", "ssm://")


def parse_config(file: ConfigFile, environ: Mapping[str, str], *, sets_variables: bool = False) -> Config:
    """
    Return the configuration that `file` and `environ` give together. Never raises.

    Args:
        file: The file that was read, or not found.
        environ: The environment variables.
        sets_variables: Whether this process sets variables itself; else the exec wrapper does, where Lambda runs it.
    """
    config = parse(file.data, file=file.path, environ=environ, unreadable=file.unreadable)
    if file.exists:
        return config
    is_used = bool(config.listed or config.aws_port) or (
        (sets_variables or environ.get("AWS_LAMBDA_EXEC_WRAPPER", "").rpartition("/")[2] == EXEC_WRAPPER)
        and _names_secrets(environ)
    )
    return config._replace(missing_file=file.path, is_unconfigured=not is_used and file.unreadable is None)


def _names_secrets(environ: Mapping[str, str]) -> bool:
    """Return whether variables name secrets that become variables."""
    return environ.get("SECRET_ARN", "").strip() != "" or any(text.startswith(REFERENCES) for text in environ.values())


def start_log(config: Config) -> None:
    """Set the level of the log; log what `log_problems` does."""
    # Not at the top: a port in the file makes the extension parse it before it registers, and that needs no log.
    from secrets_cache.system import logs  # noqa: PLC0415

    logs.configure(config.log_level)
    log_problems(config)


def log_problems(config: Config) -> None:
    """Log each problem of the configuration, that there is none, and what of the variables does not count as given."""
    import logging  # noqa: PLC0415 - likewise

    for problem in config.problems:
        logging.getLogger(__name__).error("config.invalid", problem.as_fields())
    if config.is_unconfigured:
        advice = "put config.yaml there, or list names in SECRETS_CACHE_SECRETS"
        logging.getLogger(__name__).warning("config.missing", {"file": config.missing_file, "advice": advice})
    for adjusted in config.adjusted:
        logging.getLogger(__name__).warning("config.adjusted", adjusted._asdict())
    if config.ignored:
        logging.getLogger(__name__).warning("aws_port.unset", {"variables": list(config.ignored)})
