"""
Loads the configuration: reads it with `system`, parses it with `config`, which know nothing of each other.

Nothing slow is imported with this module: the extension may need the configuration before it registers.
"""

from __future__ import annotations

# Not from typing, whose import takes longer than the registration itself.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from secrets_cache.config import Config
    from secrets_cache.system.files import ConfigFile


def parse_config(file: ConfigFile, environ: Mapping[str, str]) -> Config:
    """Return the configuration that `file` and `environ` give together. Imports the parser, which is slow."""
    from secrets_cache.config import parse  # noqa: PLC0415 - slow to import

    return parse(file.data, file=file.path, environ=environ, unreadable=file.unreadable)


def start_log(config: Config) -> None:
    """Set the level of the log, and log every problem of the configuration."""
    import logging  # noqa: PLC0415 - slow to import

    from secrets_cache.system import logs  # noqa: PLC0415 - slow to import

    logs.configure(config.log_level)
    for problem in config.problems:
        logging.getLogger(__name__).error("config.invalid", problem.as_fields())
