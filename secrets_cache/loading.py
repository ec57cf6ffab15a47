"""
Makes a configuration of the file that `system` has read, and logs what is wrong with it.

A module of its own, since `config` and `system` do not import each other.
"""

from collections.abc import Mapping

from secrets_cache.config import Config, parse
from secrets_cache.system.files import ConfigFile


def parse_config(file: ConfigFile, environ: Mapping[str, str]) -> Config:
    """Return the configuration that `file` and `environ` give together. Never raises."""
    return parse(file.data, file=file.path, environ=environ, unreadable=file.unreadable)


def start_log(config: Config) -> None:
    """Set the level of the log; log what `log_problems` does."""
    # Not at the top: a port in the file makes the extension parse it before it registers, and that needs no log.
    from secrets_cache.system import logs  # noqa: PLC0415

    logs.configure(config.log_level)
    log_problems(config)


def log_problems(config: Config) -> None:
    """Log every problem of the configuration, and every number that is taken as another."""
    import logging  # noqa: PLC0415 - likewise

    for problem in config.problems:
        logging.getLogger(__name__).error("config.invalid", problem.as_fields())
    for adjusted in config.adjusted:
        logging.getLogger(__name__).warning("config.adjusted", adjusted._asdict())
