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
from types import MappingProxyType
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
        cache: The secrets kept at hand; None without an extension.
        listed: Without one, what the names that config.yaml gives stand for.
        environ: Our own environment variables: region, credentials, endpoints.
        budget_seconds: For one value, where it has no budget of its own.
        clock: What time it is.
    """

    def __init__(
        self,
        *,
        cache: Cache | None,
        listed: Mapping[str, Ref] = MappingProxyType({}),
        environ: Mapping[str, str],
        budget_seconds: float,
        clock: Clock,
    ) -> None:
        self._cache = cache
        self._listed = listed
        self._environ = environ
        self._budget_seconds = budget_seconds
        self._clock = clock
        self._stack = AsyncExitStack()
        self._tasks: dict[Wanted, asyncio.Task[bytes]] = {}
        self._roles: Flights[tuple[str, str], Credentials] = Flights()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self._roles.aclose()
        await self._stack.aclose()

    def start(self, wanted: Wanted) -> None:
        """Begin to fetch a value, unless that was done before."""
        if wanted not in self._tasks:
            self._tasks[wanted] = asyncio.create_task(self._fetch(wanted))

    async def value(self, wanted: Wanted) -> bytes:
        """Return a value, as AWS has it. Raises `SecretError`."""
        self.start(wanted)
        return await asyncio.shield(self._tasks[wanted])

    async def forget(self) -> None:
        """Drop all values; whoever asks next gets new ones."""
        tasks, self._tasks = self._tasks, {}
        await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _fetch(self, wanted: Wanted) -> bytes:
        try:
            async with asyncio.timeout(wanted.budget_seconds):
                return await self._value(wanted)
        except TimeoutError:
            seconds = wanted.budget_seconds or self._budget_seconds
            raise SecretTimeout(wanted.id, budget_seconds=seconds, setting="API_TIMEOUT") from None

    async def _value(self, wanted: Wanted) -> bytes:
        is_own = not (wanted.is_parameter or wanted.region or wanted.role_arn)
        if self._cache is not None and is_own:
            try:
                return (await self._cache.get(wanted.id)).secret.value
            except SecretNotConfigured:
                pass
        region = wanted.region or self._environ.get("AWS_REGION", "")
        credentials = await self._credentials(wanted, region) if wanted.role_arn else None
        # The caller's own time-out comes first, and says which setting it was.
        budget = self._budget_seconds if wanted.budget_seconds is None else wanted.budget_seconds + 1
        if wanted.is_parameter:
            store = ParameterStore(region=region, budget_seconds=budget, credentials=credentials, clock=self._clock)
            async with store:
                return await store.fetch(wanted.id)
        async with self._secrets_manager(region, budget, credentials) as source:
            ref = self._listed.get(wanted.id, Ref(wanted.id)) if is_own else Ref(wanted.id)
            return (await source.fetch(ref)).value

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
