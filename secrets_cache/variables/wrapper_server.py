"""
The extension's answers to the wrapper.

The configuration and the environment name the values that the wrapper will need, so they are prefetched. The modules
for that are imported only if there is a wrapper.
"""

import contextlib
import logging
import os
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Self

from secrets_cache.config import Config
from secrets_cache.core.cache import Cache
from secrets_cache.core.clock import Clock
from secrets_cache.errors import VariablesFailed
from secrets_cache.loading import EXEC_WRAPPER, REFERENCES
from secrets_cache.variables.wrapper_protocol import Channel

if TYPE_CHECKING:
    from secrets_cache.variables.reader import SecretReader

logger = logging.getLogger(__name__)

# Of variables that hold references, so many are logged.
MAX_NAMED = 20


class VariablesServer:
    """Answers the wrapper that connects to `listener`, as `env:` and the variables say. An async context manager."""

    def __init__(
        self, listener: socket.socket, config: Config, environ: Mapping[str, str], cache: Cache, clock: Clock
    ) -> None:
        self._listener = listener
        self._config = config
        self._environ = environ
        self._cache = cache
        self._clock = clock
        self._stack = AsyncExitStack()
        self._reader: SecretReader | None = None
        self._requests = 0

    async def __aenter__(self) -> Self:
        if names_wrapper(self._environ):
            self._log_suspects()
        else:
            self._log_unset_wrapper()
        if expects_wrapper(self._environ):
            await self._prefetch()
        await self._stack.enter_async_context(Channel(self._listener, self._answer))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def _log_suspects(self) -> None:
        # Here, since the wrapper sends the values of references only.
        from secrets_cache.variables.rules import log_suspects  # noqa: PLC0415 - only with a wrapper

        log_suspects(self._environ)

    def _log_unset_wrapper(self) -> None:
        """Log that the function asks for variables that only the wrapper sets; of a reference, it gets the text."""
        names = [name for name, value in self._environ.items() if value.startswith(REFERENCES)]
        if names or self._config.env:
            advice = f"set AWS_LAMBDA_EXEC_WRAPPER to /opt/{EXEC_WRAPPER}"
            logger.warning("wrapper.unset", {"variables": names[:MAX_NAMED], "advice": advice})

    async def _prefetch(self) -> None:
        from secrets_cache.variables.rules import make_rules  # noqa: PLC0415 - only with a wrapper

        reader = await self._open_reader()
        # The wrapper gets the error when it asks.
        with contextlib.suppress(VariablesFailed):
            for rule in make_rules(self._config.env, self._environ):
                reader.start(rule.wanted)

    async def _open_reader(self) -> "SecretReader":
        from secrets_cache.variables.reader import SecretReader  # noqa: PLC0415 - only with a wrapper
        from secrets_cache.variables.rules import read_limit  # noqa: PLC0415

        if self._reader is None:
            reader = SecretReader(
                # The first request makes the cache fetch everything, and the snapshot would then hold it.
                cache=None if is_snapstart(self._environ) else self._cache,
                listed=self._config.listed,
                environ=self._environ,
                budget_seconds=self._config.fetch_timeout,
                limit_seconds=read_limit(self._environ),
                clock=self._clock,
            )
            self._reader = await self._stack.enter_async_context(reader)
        return self._reader

    async def _answer(self, environ: Mapping[str, str], names: set[bytes]) -> dict[bytes, bytes | None]:
        from secrets_cache.variables.resolve import resolve  # noqa: PLC0415 - only with a wrapper

        reader = await self._open_reader()
        self._requests += 1
        try:
            return await resolve(self._config.env, environ, names, reader)
        finally:
            self._requests -= 1
            if not self._requests:
                await reader.clear()


def expects_wrapper(environ: Mapping[str, str]) -> bool:
    """Return whether a wrapper will ask during the init phase. False under SnapStart: nothing is prefetched there."""
    return names_wrapper(environ) and not is_snapstart(environ)


def names_wrapper(environ: Mapping[str, str]) -> bool:
    """Return whether the variables name this layer's wrapper."""
    paths = [environ.get("AWS_LAMBDA_EXEC_WRAPPER", ""), *environ.get("SECRETS_CACHE_NEXT_WRAPPER", "").split(":")]
    return any(os.path.basename(path) == EXEC_WRAPPER for path in paths)  # noqa: PTH119 - no pathlib on the start path


def is_snapstart(environ: Mapping[str, str]) -> bool:
    """Return whether nothing may be fetched before the first request: under SnapStart."""
    return environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"
