"""
Where the values of the rules come from: the cache, where it has them, else a fetch of their own.

Rules
-----
1. One fetch for each value, however many rules and whoever asks: what the cache holds is not fetched again.
2. A value that is the cache's no business is dropped as soon as it has been handed on.
"""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Self

from secrets_cache.aws.source import Aws
from secrets_cache.config import ListedSecret
from secrets_cache.core.cache import Cache
from secrets_cache.core.clock import Clock
from secrets_cache.errors import SecretNotConfigured
from secrets_cache.variables.rules import Wanted, known, names_of, ref_of


class SecretReader:
    """
    The values, by what is wanted. An async context manager.

    Args:
        cache: The secrets kept at hand; None if there is none, or if it must not be asked.
        listed: What config.yaml lists.
        environ: Our own environment variables: region, credentials, endpoints.
        budget_seconds: For one value, where it has no budget of its own.
        clock: What time it is.
    """

    def __init__(
        self,
        *,
        cache: Cache | None,
        listed: Iterable[ListedSecret],
        environ: Mapping[str, str],
        budget_seconds: float,
        clock: Clock,
    ) -> None:
        self._cache = cache
        self._names = names_of(listed)
        self._environ = environ
        self._budget_seconds = budget_seconds
        self._clock = clock
        self._sources: dict[float, Aws] = {}
        self._stack = AsyncExitStack()
        self._tasks: dict[Wanted, asyncio.Task[bytes]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.forget()

    def start(self, wanted: Wanted) -> None:
        """Begin to fetch a value, unless that was done before."""
        if wanted not in self._tasks:
            self._tasks[wanted] = asyncio.create_task(self._fetch(wanted))

    async def value(self, wanted: Wanted) -> bytes:
        """Return a value, as AWS has it. Raises `SecretError`."""
        self.start(wanted)
        return await asyncio.shield(self._tasks[wanted])

    async def forget(self) -> None:
        """Drop all values, and whatever is under way for one; whoever asks next gets new ones."""
        tasks, stack = self._tasks, self._stack
        self._tasks, self._sources, self._stack = {}, {}, AsyncExitStack()
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        await stack.aclose()

    async def _fetch(self, wanted: Wanted) -> bytes:
        ref = ref_of(wanted, self._names)
        source = await self._source(wanted)
        try:
            async with asyncio.timeout(wanted.budget_seconds):
                cached = await self._cached(wanted)
                return cached if cached is not None else (await source.fetch(ref)).value
        except TimeoutError:
            raise source.timeout_of(ref, wanted.budget_seconds or self._budget_seconds, "API_TIMEOUT") from None

    async def _cached(self, wanted: Wanted) -> bytes | None:
        """Return what the cache holds, or fetches, under this name; None if it is no business of the cache's."""
        if self._cache is None or wanted.region or wanted.role_arn:
            return None
        if wanted.is_parameter:
            ref = known(wanted, self._names)
            return None if ref is None else (await self._cache.get_any(ref)).secret.value
        # What is no name of the configuration's own is an id, and means the current version.
        stage = None if known(wanted, self._names) is not None else "AWSCURRENT"
        try:
            return (await self._cache.get(wanted.id, version_stage=stage)).secret.value
        except SecretNotConfigured:
            return None

    async def _source(self, wanted: Wanted) -> Aws:
        # The caller's own time-out comes first, and says which setting it was.
        budget = self._budget_seconds if wanted.budget_seconds is None else wanted.budget_seconds + 1
        if budget not in self._sources:
            source = Aws(self._environ, budget_seconds=budget, batch_above=None, clock=self._clock)
            self._sources[budget] = await self._stack.enter_async_context(source)
        return self._sources[budget]
