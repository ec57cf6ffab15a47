"""A cache with a clock that can be moved and a source that can be scripted, and what to list in it."""

import asyncio
from collections.abc import Callable

from secrets_cache.core.cache import Cache
from secrets_cache.core.freshness import FreshnessPolicy
from secrets_cache.core.registry import ListedEntry
from secrets_cache.core.results import CacheResult
from secrets_cache.core.secret import Ref
from secrets_cache.errors import SecretRefused, SecretUnavailable
from tests.support.fakes import FakeClock, FakeSource

TTL = 600.0
UNAVAILABLE = SecretUnavailable("db", code="connection-failed", cause="no connection")
REFUSED = SecretRefused("db", code="AccessDeniedException")


def policy(**changes: float) -> FreshnessPolicy:
    """Return a policy without refresh ahead and without staleness, but for `changes`."""
    values = {
        "ttl_seconds": TTL,
        "refresh_ahead": 0.0,
        "stale_while_revalidate_seconds": 0.0,
        "stale_if_error_seconds": 0.0,
        **changes,
    }
    return FreshnessPolicy(**values)


def listed(*names: str, **changes: float) -> ListedEntry:
    """Return a listed secret: its names, the last of them its id."""
    return ListedEntry(ref=Ref(names[-1]), names=names, policy=policy(**changes))


def parameters(*names: str, **changes: float) -> list[ListedEntry]:
    """Return listed parameters."""
    return [
        ListedEntry(ref=Ref(name, is_parameter=True), names=(name,), policy=policy(refresh_ahead=0.2, **changes))
        for name in names
    ]


def version(answer: CacheResult) -> int:
    """Return the number of the version in an answer."""
    return int(answer.secret.version_id.removeprefix("version-"))


async def until(has_happened: Callable[[], object]) -> None:
    """Let the tasks of this loop run until something has happened. No time passes: the core waits for none."""
    for _ in range(100):
        if has_happened():
            return
        await asyncio.sleep(0)
    raise AssertionError("it has not happened, and nothing is left to run")


class Setup:
    """
    A cache with its clock and source. The source knows `db` and `api`.

    Attributes:
        random: What the cache's random numbers are, from 0 to 1.
        draws: What they are first.
    """

    def __init__(self, source: FakeSource, clock: FakeClock) -> None:
        self.source = source
        self.clock = clock
        self.random = 0.5
        self.draws = iter(list[float]())
        source.values.update(db=1, api=1)

    def cache(
        self,
        *secrets: ListedEntry,
        allow: tuple[str, ...] = (),
        max_unlisted: int = 1000,
        fetch_timeout_seconds: float = 0.0,
    ) -> Cache:
        """Return a cache that lists `secrets`, or `db`."""
        return Cache(
            listed=secrets or (listed("db"),),
            allow=allow,
            policy=policy(),
            source=self.source,
            clock=self.clock,
            random=lambda: next(self.draws, self.random),
            max_unlisted=max_unlisted,
            fetch_timeout_seconds=fetch_timeout_seconds,
        )

    async def prefetched(self, *secrets: ListedEntry, allow: tuple[str, ...] = (), max_unlisted: int = 1000) -> Cache:
        """Return a cache whose prefetch has ended."""
        cache = self.cache(*secrets, allow=allow, max_unlisted=max_unlisted)
        await cache.prefetch()
        self.source.fetched.clear()
        return cache
