"""The variables without an extension: the same rules and fetches, in the wrapper's own process."""

import os
from asyncio import SelectorEventLoop
from collections.abc import Mapping

from secrets_cache.config import Config
from secrets_cache.core.source import OpenableSource
from secrets_cache.errors import VariablesFailed
from secrets_cache.loading import parse_config, start_log
from secrets_cache.system.clock import SystemClock
from secrets_cache.system.files import read_config
from secrets_cache.variables.reader import SecretReader
from secrets_cache.variables.resolve import resolve
from secrets_cache.variables.rules import log_suspects, read_limit


def resolve_standalone(environ: Mapping[str, str]) -> dict[bytes, bytes | None]:
    """
    Return the variables to set; None for a variable to unset.

    Args:
        environ: All of the function's environment variables.

    Raises:
        VariablesFailed: A required value could not be read; or strict mode is on and the configuration has problems.
    """
    config = parse_config(read_config(environ), environ, sets_variables=True)
    start_log(config)
    return resolve_configured(config, environ)


def resolve_configured(
    config: Config, environ: Mapping[str, str], source: OpenableSource | None = None
) -> dict[bytes, bytes | None]:
    """As `resolve_standalone`, with a configuration that has been read; without `source`, values come from AWS."""
    if config.strict and config.problems:
        raise VariablesFailed("the configuration has problems, and SECRETS_CACHE_STRICT is set")
    log_suspects(environ)
    # Not asyncio.run: its end waits for threads.
    return SelectorEventLoop().run_until_complete(_resolve(config, environ, source))


async def _resolve(
    config: Config, environ: Mapping[str, str], source: OpenableSource | None
) -> dict[bytes, bytes | None]:
    present = {os.fsencode(name) for name in environ}
    async with SecretReader(
        cache=None,
        listed=config.listed,
        environ=environ,
        budget_seconds=config.fetch_timeout,
        limit_seconds=read_limit(environ),
        clock=SystemClock(),
        source=source,
    ) as reader:
        return await resolve(config.env, environ, present, reader)
