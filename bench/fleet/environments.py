"""
Execution environments: what is invoked, how often, and what it asks for.

Rules
-----
1. Ours is the real core: what is fetched when, what is served, what waits and what fails is `secrets_cache`'s word.
2. An environment is frozen between two invocations. Its timer acts when it thaws, and so does whatever is asked.
3. Invocations come at random, at an even rate, one at a time. Those that would find everything as the one before did
   are counted, not made: as chance has no memory, the next one that matters comes an ordinary interval after the moment
   from which it matters.
4. An invocation asks for each secret in turn, and fails with the first that it cannot have. It lasts until the fetches
   that it has begun have ended: no freeze cuts one short.
"""

import asyncio
import random
from collections.abc import Sequence
from typing import Protocol

from bench.fleet.aws import Account, Operation
from bench.fleet.tally import Tally
from secrets_cache.core.cache import Cache
from secrets_cache.core.retry import RetryableError
from secrets_cache.errors import SecretError


class Environment(Protocol):
    """One execution environment."""

    async def live(self, starts_at: float) -> None:
        """Start at that moment, and be invoked until cancelled."""
        ...


class WithCache:
    """
    A function with the extension. The function asks for all its secrets while it starts.

    Args:
        cache: The real one.
        names: What the function asks for.
        rate: Invocations a second.
        random: Chance, for when they come.
        tally: Notes what callers get.
    """

    def __init__(self, cache: Cache, names: Sequence[str], rate: float, random: random.Random, tally: Tally) -> None:
        self._cache = cache
        self._names = names
        self._rate = rate
        self._random = random
        self._tally = tally

    async def live(self, starts_at: float) -> None:
        """Start at that moment, and be invoked until cancelled."""
        now = asyncio.get_running_loop().time
        await asyncio.sleep(starts_at - now())
        while True:
            await self._invoke(now())
            await self._settled()
            quiet = self._cache.seconds_to_next_refresh()
            assert quiet is not None, "with refresh_ahead there is always a next refresh"
            reports = self._cache.report()
            if all(report.is_servable for report in reports):
                for report in reports:
                    assert report.age is not None
                    self._tally.served_between(report.age, report.age + quiet, self._rate)
                self._tally.invocations += self._rate * quiet
            else:
                self._tally.failed(now() + quiet, self._rate * quiet)
            await asyncio.sleep(quiet + self._random.expovariate(self._rate))
            # What the timer does at the thaw.
            self._cache.refresh_due()

    async def _invoke(self, began: float) -> None:
        try:
            for name in self._names:
                answer = await self._cache.get(name)
                now = asyncio.get_running_loop().time()
                self._tally.served(now - answer.held.sent.monotonic)
        except SecretError:
            self._tally.failed(asyncio.get_running_loop().time())
            return
        self._tally.succeeded(began, asyncio.get_running_loop().time())

    async def _settled(self) -> None:
        """Wait until every fetch has ended."""
        await asyncio.sleep(0)
        while self._cache.in_flight:
            self._cache.changed.clear()
            await self._cache.changed.wait()


class Plain:
    """
    A function without the extension, as one writes it.

    The first invocation that finds a secret older than the ttl fetches it. No jitter, no second attempt, no old value
    when that fails: the next invocation asks again.

    Args:
        account: Who is asked.
        operation: With which call, one for each name.
        names: What the function asks for.
        ttl: How long a value is used, in seconds.
        rate: Invocations a second.
        random: Chance, for when they come.
        tally: Notes what callers get.
    """

    def __init__(
        self,
        account: Account,
        operation: Operation,
        names: Sequence[str],
        ttl: float,
        rate: float,
        random: random.Random,
        tally: Tally,
    ) -> None:
        self._account = account
        self._operation = operation
        self._names = names
        self._ttl = ttl
        self._rate = rate
        self._random = random
        self._tally = tally
        self._sent: dict[str, float] = {}

    async def live(self, starts_at: float) -> None:
        """Start at that moment, and be invoked until cancelled."""
        now = asyncio.get_running_loop().time
        await asyncio.sleep(starts_at - now())
        while True:
            await self._invoke(now())
            ages = [now() - self._sent[name] for name in self._names if name in self._sent]
            is_whole = len(ages) == len(self._names)
            quiet = max(self._ttl - max(ages), 0.0) if is_whole else 0.0
            for age in ages if is_whole else ():
                self._tally.served_between(age, age + quiet, self._rate)
            self._tally.invocations += self._rate * quiet
            await asyncio.sleep(quiet + self._random.expovariate(self._rate))

    async def _invoke(self, began: float) -> None:
        now = asyncio.get_running_loop().time
        for name in self._names:
            sent = now()
            if name not in self._sent or sent - self._sent[name] >= self._ttl:
                self._sent.pop(name, None)
                try:
                    await self._account.ask(self._operation, name)
                except RetryableError:
                    self._tally.failed(now())
                    return
                self._sent[name] = sent
            self._tally.served(now() - self._sent[name])
        self._tally.succeeded(began, now())
