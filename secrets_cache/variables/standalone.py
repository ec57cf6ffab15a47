"""The wrapper without an extension: the same rules, the same fetches, in its own process."""

import asyncio
import logging
import os
from collections.abc import Mapping

from secrets_cache.config import Config, parse
from secrets_cache.errors import VariablesFailed
from secrets_cache.system import logs
from secrets_cache.system.clock import SystemClock
from secrets_cache.system.files import read_config
from secrets_cache.variables.resolve import resolved
from secrets_cache.variables.sources import SecretReader

logger = logging.getLogger(__name__)


def resolve(environ: Mapping[str, str]) -> dict[bytes, bytes | None]:
    """
    Return the variables that are to be set, None for one to be unset.

    Args:
        environ: The function's environment variables, all of them.

    Raises:
        VariablesFailed: One that is required cannot be had; or the configuration is strict, and wrong.
    """
    file = read_config(environ)
    config = parse(file.data, file=file.path, environ=environ, unreadable=file.unreadable)
    logs.configure(config.log_level)
    for problem in config.problems:
        logger.error("config.invalid", problem.as_fields())
    if config.strict and config.problems:
        raise VariablesFailed("the configuration is wrong, and SECRETS_CACHE_STRICT is set")
    # Not asyncio.run: its end waits for threads.
    return asyncio.new_event_loop().run_until_complete(_resolve(config, environ))


async def _resolve(config: Config, environ: Mapping[str, str]) -> dict[bytes, bytes | None]:
    present = {os.fsencode(name) for name in environ}
    async with SecretReader(
        cache=None,
        listed=config.listed,
        environ=environ,
        budget_seconds=config.fetch_timeout,
        clock=SystemClock(),
    ) as sources:
        return await resolved(config.env, environ, present, sources)
