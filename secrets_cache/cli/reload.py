"""
`serve` reads its configuration again, on SIGHUP.

Rules
-----
1. A file that is gone, empty, cannot be read or is not YAML changes nothing; nor does any problem in strict mode.
2. What only a new process can change is named in the log, and stays as it was.
"""

import argparse
import logging
from collections.abc import Mapping

from secrets_cache.app import Application
from secrets_cache.cli.arguments import CannotRun
from secrets_cache.cli.inputs import cannot_be_read, read_configuration
from secrets_cache.config import Config
from secrets_cache.loading import log_problems
from secrets_cache.system.files import ConfigFile

logger = logging.getLogger(__name__)

# By its name in `Config`: the key of a setting under `server:`.
SERVER_KEYS = {"port": "port", "aws_port": "aws_port", "tokens": "token"}


async def reload(given: argparse.Namespace, environ: Mapping[str, str], app: Application) -> Config | None:
    """Serve what the file says now; return what is in force once new secrets were tried. None if nothing changes."""
    try:
        file, config = read_configuration(given, environ)
    except CannotRun as error:
        logger.error("config.not_reloaded", {"file": given.from_file, "reason": str(error)})  # noqa: TRY400
        return None
    log_problems(config)
    reason = _find_obstacle(file, config, was_there=bool(given.config) or not app.config.missing_file)
    if reason:
        logger.error("config.not_reloaded", {"file": file.path, "reason": reason})
        return None
    # The environment of a process stays: only the file can make `aws_layer` differ, along with the port.
    names = [name for name in await app.reconfigure(config) if name != "aws_layer"]
    unchanged = [f"server.{SERVER_KEYS[name]}" if name in SERVER_KEYS else name for name in names]
    if unchanged:
        logger.warning("config.restart_needed", {"settings": unchanged})
    reports = app.cache.report()
    failed = sum(report.error is not None for report in reports)
    logger.info("config.reloaded", {"file": file.path, "secrets": len(reports), "failed": failed})
    return app.config


def _find_obstacle(file: ConfigFile, config: Config, *, was_there: bool) -> str:
    """Return why the configuration must not be used; empty if it may be."""
    if was_there and not file.exists:
        return "there is no such file any more; the configuration stays as it was"
    if file.data is not None and not file.data.strip():
        # An editor or a copy that is under way begins so. `secrets: []` serves nothing.
        return "it is empty; the configuration stays as it was"
    if cannot_be_read(file, config):
        return "the file cannot be read; the configuration stays as it was"
    if config.strict and config.problems:
        return "it has problems, and SECRETS_CACHE_STRICT is set; the configuration stays as it was"
    return ""
