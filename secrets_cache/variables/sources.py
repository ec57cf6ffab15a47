"""
Where the values of the rules come from: the cache, where it has them, else a fetch of their own.

Rules
-----
1. One fetch for each value, however many rules and whoever asks: what the cache holds is not fetched again.
2. A value that is the cache's no business is dropped as soon as it has been handed on.
"""

import asyncio
import re
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Self

from secrets_cache.cache import Cache
from secrets_cache.clock import Clock
from secrets_cache.errors import SecretNotConfigured, SecretTimeout
from secrets_cache.flight import Flights
from secrets_cache.parameterstore import ParameterStore
from secrets_cache.roles import assumed
from secrets_cache.secret import Ref
from secrets_cache.secretsmanager import Credentials, SecretsManager, of_environment
from secrets_cache.variables.rules import Wanted


class Sources:
    """
    The values, by what is wanted. An async context manager.

    Args:
        cache: The secrets kept at hand; None if there is none, or if it must not be asked.
        listed: What the names that config.yaml gives stand for.
        environ: Our own environment variables: region, credentials, endpoints.
        budget_seconds: For one value, where it has no budget of its own.
        clock: What time it is.
    """

    def __init__(
        self,
        *,
        cache: Cache | None,
        listed: Mapping[str, Ref],
        environ: Mapping[str, str],
        budget_seconds: float,
        clock: Clock,
    ) -> None:
        self._cache = cache
        self._listed = listed
        self._environ = environ
        self._budget_seconds = budget_seconds
        self._clock = clock
        self._stores: dict[tuple[bool, str, str, float | None], SecretsManager | ParameterStore] = {}
        self._stack = AsyncExitStack()
        self._tasks: dict[Wanted, asyncio.Task[bytes]] = {}
        self._roles: Flights[tuple[str, str], Credentials] = Flights()

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
        tasks, roles, stack = self._tasks, self._roles, self._stack
        self._tasks, self._stores, self._roles, self._stack = {}, {}, Flights(), AsyncExitStack()
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        await roles.aclose()
        await stack.aclose()

    async def _fetch(self, wanted: Wanted) -> bytes:
        asked, what = wanted.role_arn, "role"
        try:
            async with asyncio.timeout(wanted.budget_seconds):
                cached = await self._cached(wanted)
                if cached is not None:
                    return cached
                store = await self._store(wanted)
                asked, what = wanted.id, "parameter" if wanted.is_parameter else "secret"
                if isinstance(store, ParameterStore):
                    return await store.fetch(wanted.id)
                ref = self._listed.get(wanted.id) if wanted.is_own else None
                return (await store.fetch(ref or Ref(wanted.id))).value
        except TimeoutError:
            seconds = wanted.budget_seconds or self._budget_seconds
            failure = SecretTimeout(asked, budget_seconds=seconds, setting="API_TIMEOUT")
            failure.what = what
            raise failure from None

    async def _cached(self, wanted: Wanted) -> bytes | None:
        """Return what the cache holds, or fetches, under this name; None if it is no business of the cache's."""
        if self._cache is None or not wanted.is_own:
            return None
        # What is no name of the configuration's own is an id, and means the current version.
        stage = None if wanted.id in self._listed else "AWSCURRENT"
        try:
            return (await self._cache.get(wanted.id, version_stage=stage)).secret.value
        except SecretNotConfigured:
            return None

    async def _store(self, wanted: Wanted) -> SecretsManager | ParameterStore:
        """Return the one client for a service, a region and a role: making one takes long, and much memory."""
        region = wanted.region or self._environ.get("AWS_REGION", "")
        credentials = await self._credentials(wanted, region) if wanted.role_arn else None
        key = (wanted.is_parameter, region, wanted.role_arn, wanted.budget_seconds)
        if key not in self._stores:
            # The caller's own time-out comes first, and says which setting it was.
            budget = self._budget_seconds if wanted.budget_seconds is None else wanted.budget_seconds + 1
            store = (
                ParameterStore(region=region, budget_seconds=budget, credentials=credentials, clock=self._clock)
                if wanted.is_parameter
                else self._secrets_manager(region, budget, credentials)
            )
            self._stores[key] = store
            self._stack.push_async_exit(store)
        return self._stores[key]

    def _secrets_manager(self, region: str, budget_seconds: float, credentials: Credentials | None) -> SecretsManager:
        environ = {**self._environ, "AWS_REGION": region}
        return of_environment(
            environ, budget_seconds=budget_seconds, batch_above=None, clock=self._clock, credentials=credentials
        )

    async def _credentials(self, wanted: Wanted, region: str) -> Credentials:
        # STS: 2 to 64 of these.
        function = re.sub(r"[^\w+=,.@-]", "-", self._environ.get("AWS_LAMBDA_FUNCTION_NAME", ""), flags=re.ASCII)
        return await self._roles.join(
            (wanted.role_arn, region),
            lambda: assumed(
                wanted.role_arn,
                region=region,
                session_name=f"secrets-cache-{function}"[:64].rstrip("-"),
                budget_seconds=(wanted.budget_seconds or self._budget_seconds) + 1,
                clock=self._clock,
            ),
        )
