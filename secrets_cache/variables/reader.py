"""
Reads the values for the rules: from the cache where it serves them, else from AWS.

Rules
-----
1. Each value is fetched once, however many rules use it; a value in the cache is not fetched again.
2. A value that the cache does not serve is dropped as soon as the variables are set.
"""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Self

from secrets_cache.aws.source import AwsSource
from secrets_cache.config import ListedSecret
from secrets_cache.core.cache import Cache
from secrets_cache.core.clock import Clock
from secrets_cache.core.secret import Secret
from secrets_cache.core.source import OpenableSource
from secrets_cache.errors import SecretError, SecretNotConfigured, ValueMissing
from secrets_cache.variables.rules import Wanted, find_listed, find_ref, index_names


class SecretReader:
    """
    Reads values, each once. An async context manager.

    Args:
        cache: None if there is none, or if it must not be used.
        listed: What the configuration lists.
        environ: The environment variables with region, credentials and endpoints.
        budget_seconds: The longest time for a value that has no budget of its own.
        source: Where values come from; None for AWS.
        limit_seconds: What API_TIMEOUT allows for every value; None if it is not set.
    """

    def __init__(
        self,
        *,
        cache: Cache | None,
        listed: Iterable[ListedSecret],
        environ: Mapping[str, str],
        budget_seconds: float,
        limit_seconds: float | None = None,
        clock: Clock,
        source: OpenableSource | None = None,
    ) -> None:
        self._cache = cache
        self._names = index_names(listed)
        self._environ = environ
        self._budget_seconds = budget_seconds
        self._limit_seconds = limit_seconds
        self._clock = clock
        self._source = source
        self._sources: dict[float, AwsSource] = {}
        self._stack = AsyncExitStack()
        self._tasks: dict[Wanted, asyncio.Task[bytes]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.clear()

    def start(self, wanted: Wanted) -> None:
        """Start to fetch a value, unless that has been done."""
        if wanted not in self._tasks:
            self._tasks[wanted] = asyncio.create_task(self._fetch(wanted))

    async def read(self, wanted: Wanted) -> bytes:
        """Return a value, as AWS stores it. Raises `SecretError`."""
        self.start(wanted)
        return await asyncio.shield(self._tasks[wanted])

    async def clear(self) -> None:
        """Drop all values and cancel all fetches; the next call fetches anew."""
        tasks, stack = self._tasks, self._stack
        self._tasks, self._sources, self._stack = {}, {}, AsyncExitStack()
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        await stack.aclose()

    async def _fetch(self, wanted: Wanted) -> bytes:
        ref = find_ref(wanted, self._names)
        limit = self._limit_seconds if wanted.budget_seconds is None else wanted.budget_seconds
        source = await self._open_source(wanted)
        try:
            async with asyncio.timeout(limit):
                # The limit here ends first, and names the setting; without one, the cache has its own.
                cached = await self._read_cached(wanted, 0.0 if limit is None else limit + 1)
                return cached if cached is not None else _find_value(await source.fetch(ref), wanted)
        except TimeoutError:
            setting = "API_TIMEOUT" if self._limit_seconds is not None else "the default; API_TIMEOUT sets it"
            raise source.create_timeout(ref, limit or self._budget_seconds, setting) from None

    async def _read_cached(self, wanted: Wanted, seconds: float) -> bytes | None:
        """Return the value that the cache holds or fetches under this name; None if it does not serve the name."""
        listed = find_listed(wanted, self._names)
        if self._cache is None or wanted.role_arn or (listed is None and (wanted.region or wanted.is_parameter)):
            return None
        if listed is not None and wanted.is_parameter:
            return _find_value((await self._cache.get_any(listed, timeout_seconds=seconds)).secret, wanted)
        # A name that the configuration does not list is an id, and means the current version.
        stage = wanted.version_stage
        if not wanted.selects_version and listed is None:
            stage = "AWSCURRENT"
        try:
            result = await self._cache.get(
                wanted.id, version_id=wanted.version_id, version_stage=stage, timeout_seconds=seconds
            )
        except SecretNotConfigured:
            return None
        except SecretError as error:
            if error.what != "secret":
                return None
            raise
        # Callers over HTTP find parameters and members of paths by the same names.
        secret = result.secret
        return None if secret.parameter is not None or secret.members is not None else secret.value

    async def _open_source(self, wanted: Wanted) -> OpenableSource:
        if self._source is not None:
            return self._source
        # One second more, so that the time-out in `_fetch` comes first: it names the setting.
        budget = self._budget_seconds if wanted.budget_seconds is None else wanted.budget_seconds + 1
        if budget not in self._sources:
            source = AwsSource(self._environ, budget_seconds=budget, batch_threshold=None, clock=self._clock)
            self._sources[budget] = await self._stack.enter_async_context(source)
        return self._sources[budget]


def _find_value(secret: Secret, wanted: Wanted) -> bytes:
    if not secret.has_value:
        raise ValueMissing(wanted.id)
    return secret.value
