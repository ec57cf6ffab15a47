"""The variables without an extension: the same rules and fetches, in the wrapper's own process."""

import asyncio
import logging
import os
from collections.abc import Mapping

from secrets_cache.config import Config, parse
from secrets_cache.errors import VariablesFailed
from secrets_cache.system import logs
from secrets_cache.system.clock import SystemClock
from secrets_cache.system.files import read_config
from secrets_cache.variables.reader import SecretReader
from secrets_cache.variables.resolve import resolve

logger = logging.getLogger(__name__)


def resolve_standalone(environ: Mapping[str, str]) -> dict[bytes, bytes | None]:
    """
    Return the variables to set; None for a variable to unset.

    Args:
        environ: All of the function's environment variables.

    Raises:
        VariablesFailed: A required value could not be read; or strict mode is on and the configuration has problems.
    """
    file = read_config(environ)
    config = parse(file.data, file=file.path, environ=environ, unreadable=file.unreadable)
    logs.configure(config.log_level)
    for problem in config.problems:
        logger.error("config.invalid", problem.as_fields())
    if config.strict and config.problems:
        raise VariablesFailed("the configuration has problems, and SECRETS_CACHE_STRICT is set")
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
    ) as reader:
        return await resolve(config.env, environ, present, reader)
