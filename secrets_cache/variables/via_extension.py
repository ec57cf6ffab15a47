"""
The wrapper with an extension beside it: the extension's part.

What the wrapper will ask for is known from the configuration and the environment, so it is fetched with the rest. What
that takes is imported only if there is a wrapper.
"""

import contextlib
import os
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Self

from secrets_cache.config import Config
from secrets_cache.core.cache import Cache
from secrets_cache.core.clock import Clock
from secrets_cache.errors import VariablesFailed
from secrets_cache.variables.channel import Channel

if TYPE_CHECKING:
    from secrets_cache.variables.sources import SecretReader

WRAPPER = "get-secrets-layer"


class VariablesServer:
    """
    Answers the wrapper. An async context manager.

    Args:
        listener: The socket that it connects to.
        config: Whose `env:` counts.
        environ: The environment variables.
        cache: The secrets kept at hand.
        clock: What time it is.
    """

    def __init__(
        self, listener: socket.socket, config: Config, environ: Mapping[str, str], cache: Cache, clock: Clock
    ) -> None:
        self._listener = listener
        self._config = config
        self._environ = environ
        self._cache = cache
        self._clock = clock
        self._stack = AsyncExitStack()
        self._opened: SecretReader | None = None
        self._asking = 0

    async def __aenter__(self) -> Self:
        if is_expected(self._environ):
            await self._prefetch()
        await self._stack.enter_async_context(Channel(self._listener, self._answer))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _prefetch(self) -> None:
        from secrets_cache.variables.rules import rules_of  # noqa: PLC0415 - only with a wrapper

        sources = await self._sources()
        # Whoever asks is told.
        with contextlib.suppress(VariablesFailed):
            for rule in rules_of(self._config.env, self._environ):
                sources.start(rule.wanted)

    async def _sources(self) -> "SecretReader":
        from secrets_cache.variables.sources import SecretReader  # noqa: PLC0415 - only with a wrapper

        if self._opened is None:
            sources = SecretReader(
                # Asking it would bring all that is listed into the snapshot.
                cache=None if _is_snapshot(self._environ) else self._cache,
                listed=self._config.listed,
                environ=self._environ,
                budget_seconds=self._config.fetch_timeout,
                clock=self._clock,
            )
            self._opened = await self._stack.enter_async_context(sources)
        return self._opened

    async def _answer(self, environ: Mapping[str, str], names: set[bytes]) -> dict[bytes, bytes | None]:
        from secrets_cache.variables.resolve import resolved  # noqa: PLC0415 - only with a wrapper

        sources = await self._sources()
        self._asking += 1
        try:
            return await resolved(self._config.env, environ, names, sources)
        finally:
            self._asking -= 1
            if not self._asking:
                await sources.forget()


def is_expected(environ: Mapping[str, str]) -> bool:
    """Return whether a wrapper will ask during the init. Under SnapStart nothing is fetched before it does."""
    if _is_snapshot(environ):
        return False
    paths = [environ.get("AWS_LAMBDA_EXEC_WRAPPER", ""), *environ.get("SECRETS_CACHE_NEXT_WRAPPER", "").split(":")]
    return any(os.path.basename(path) == WRAPPER for path in paths)  # noqa: PTH119 - no pathlib on the start path


def _is_snapshot(environ: Mapping[str, str]) -> bool:
    return environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"
