"""
The cache itself: when to ask AWS, who waits for the answer, and what callers get when it fails.

Rules
-----
1. No I/O here. Fetching is the `Source` handed in, time the `Clock`, chance the `random`.
2. Any number of callers of one secret share one fetch, and after a failure there is none for a while.
3. What a fetch raises ends in the entry and at the callers, never in the task that ran it.

How old is too old is `freshness`'s word, what is called how, `entries`'s. Longer than most modules here: asking and
refreshing share all they know, and apart they would be strangers with one memory.
"""

import asyncio
import functools
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Protocol

from secrets_cache.core.clock import Clock, Instant, elapsed
from secrets_cache.core.freshness import CachedValue, Entry, Failure, FreshnessPolicy
from secrets_cache.core.registry import ListedEntry, Registry, member_name
from secrets_cache.core.results import CacheResult, CacheStatus, EntryKind, EntryReport, FetchEvent, Stats
from secrets_cache.core.secret import Ref, Secret
from secrets_cache.core.single_flight import SingleFlight
from secrets_cache.errors import SecretError, SecretNotFound, SecretUnavailable

logger = logging.getLogger(__name__)

MAX_UNLISTED = 1000


class Source(Protocol):
    """Where secrets come from."""

    async def fetch(self, ref: Ref) -> Secret:
        """Return the secret, or raise a `SecretError` within a bounded time."""
        ...

    async def fetch_many(self, refs: Sequence[Ref], deliver: Callable[[Ref, Secret | SecretError], None]) -> None:
        """Call `deliver` once for each of `refs`, as soon as it is known, within a bounded time."""
        ...


class Cache:
    """
    The secrets held, by what they are asked by.

    Args:
        listed: The secrets to keep at hand. Where two claim one name, the first has it.
        allow: Patterns of further names that may be fetched on demand.
        policy: For what is not listed.
        source: Where secrets come from.
        clock: What time it is.
        random: Chance, from 0 to 1: spreads refreshes and back-offs.
        max_unlisted: How many entries are kept besides the listed ones; the least recently used goes first.
        slowest_fetch: How many seconds a fetch may take: one that took longer was frozen meanwhile.

    Attributes:
        counts: What has happened so far.
        changed: Set whenever a fetch has ended, for whoever sleeps until the next refresh.
        generation: Another number after each fetch.
        observers: Told of each fetch when it has ended. They raise nothing.
    """

    def __init__(  # noqa: PLR0913 - what it is handed is what keeps it pure
        self,
        *,
        listed: Iterable[ListedEntry],
        allow: Sequence[str],
        policy: FreshnessPolicy,
        source: Source,
        clock: Clock,
        random: Callable[[], float],
        max_unlisted: int = MAX_UNLISTED,
        slowest_fetch: float = 0.0,
    ) -> None:
        self._entries = Registry(listed, allow, policy, max_unlisted)
        self._source = source
        self._clock = clock
        self._random = random
        self._slowest_fetch = slowest_fetch
        self._flights: SingleFlight[Ref, CachedValue | Failure] = SingleFlight()
        self._has_begun = False
        self._rounds: set[asyncio.Task[None]] = set()
        self.counts = Stats()
        self.changed = asyncio.Event()
        self.generation = 0
        self.observers: list[Callable[[FetchEvent], None]] = []

    # Asking.

    async def get(
        self,
        name: str,
        *,
        version_id: str | None = None,
        version_stage: str | None = None,
        refresh: bool = False,
    ) -> CacheResult:
        """
        Return the secret called `name`, asking AWS only if ours is missing or too old.

        Callers that arrive while a fetch is under way share it; cancelling one of them leaves the others, and the
        fetch, alone. With `refresh` a new fetch is made, but no more than one a second, and none within the
        back-off after a failure.

        Raises:
            SecretNotConfigured: `name` is neither listed nor allowed.
            SecretNotFound, SecretRefused: AWS said so, and no fresh value is held, or `refresh` was asked.
            SecretUnavailable: AWS gave no answer and no usable value is held.
        """
        self.start_prefetch()
        await self._flights.settle(self._entries.may_turn_out_as(name))
        entry = self._entries.find(name, version_id, version_stage)
        return _of_member(await self._answer(entry, math.inf, refresh=refresh), entry, name)

    async def get_any(self, ref: Ref, *, max_age: float = math.inf, refresh: bool = False) -> CacheResult:
        """
        Return what `ref` means, whether it is listed, allowed, or neither: for who may ask for anything.

        What is listed under its id is shared with `get`.

        Args:
            ref: What is asked for.
            max_age: A value that is older, in seconds, is fetched anew, though it may be fresh; 0 for one that nobody
                had before, or the failure.
            refresh: As for `get`.

        Raises:
            SecretNotFound, SecretRefused, SecretUnavailable: As `get` does.
        """
        self.start_prefetch()
        await self._flights.settle(self._entries.may_be_meant_by(ref))
        entry = self._entries.find_any(ref)
        return _of_member(await self._answer(entry, max_age, refresh=refresh), entry, ref.secret_id)

    def is_listed(self, ref: Ref) -> bool:
        """Return whether what `ref` means is listed, so that it has the ttl that it is listed with."""
        return self._entries.meant_by(ref) in self._entries.listed

    async def _answer(self, entry: Entry, max_age: float, *, refresh: bool) -> CacheResult:
        now = self._clock.now()
        failure = entry.failure_in_force(now)
        if refresh:
            if failure is not None:
                return self._without_fetch(entry, failure, now, max_age)
            if entry.ref in self._flights or entry.may_force(now):
                return await self._fetch(entry, CacheStatus.FORCED, now, max_age)
        return await self._get(entry, failure, now, max_age)

    async def _get(self, entry: Entry, failure: Failure | None, now: Instant, max_age: float) -> CacheResult:
        """Answer as the age of the held value has it. `failure`, if given, forbids a fetch."""
        if entry.is_fresh(now) and entry.age(now) < max_age:
            if failure is None and entry.is_refresh_due(now):
                self._start(entry)
            return self._serve(entry, CacheStatus.HIT, max_age)
        if failure is not None:
            return self._without_fetch(entry, failure, now, max_age)
        if entry.may_serve_while_revalidating(now) and entry.age(now) < max_age:
            self._start(entry)
            return self._serve(entry, CacheStatus.STALE)
        return await self._fetch(entry, CacheStatus.EXPIRED, now, max_age)

    def _serve(self, entry: Entry, served: CacheStatus, max_age: float = math.inf) -> CacheResult:
        if served is CacheStatus.STALE:
            self.counts.stale += 1
        else:
            self.counts.hits += 1
        assert entry.held is not None  # noqa: S101 - an entry without a value has an infinite age
        is_repeatable = served is CacheStatus.HIT and entry.ref in self._entries.listed
        good_for = min(entry.policy.ttl, entry.held.refresh_after, max_age) if is_repeatable else 0.0
        return CacheResult(entry.held, served, good_for)

    async def _fetch(self, entry: Entry, served: CacheStatus, asked: Instant, max_age: float) -> CacheResult:
        """Wait for the one fetch of this entry; `served` says why, if a value was held before it was asked for."""
        if entry.held is None:
            served = CacheStatus.MISS
        if served is CacheStatus.FORCED and entry.ref not in self._flights:
            entry.forced = self._clock.now()
        outcome = await self._started(entry)
        if isinstance(outcome, CachedValue) and outcome.had_expired(asked, entry.policy.ttl, self._slowest_fetch):
            # It was under way when the process was frozen; what is sent from here on is sent after the thaw.
            outcome = await self._started(entry)
        if isinstance(outcome, CachedValue):
            self.counts.misses += 1
            return CacheResult(outcome, served)
        return self._without_fetch(entry, outcome, self._clock.now(), max_age)

    def _without_fetch(self, entry: Entry, failure: Failure, now: Instant, max_age: float) -> CacheResult:
        """Answer after a failure: with the held value where that may be, else with the failure."""
        if max_age > 0 and entry.may_serve_after(failure, now):
            is_fresh = entry.is_fresh(now) and entry.age(now) < max_age
            return self._serve(entry, CacheStatus.HIT if is_fresh else CacheStatus.STALE, max_age)
        if isinstance(failure.error, SecretUnavailable):
            failure.error.retry_after_seconds = failure.backoff - elapsed(failure.at, now).seconds
        # Shared by every caller: without this, each raise would lengthen the traceback it holds.
        raise failure.error.with_traceback(None)

    # Fetching.

    async def _started(self, entry: Entry) -> CachedValue | Failure:
        """Return what comes of the fetch under way; start one if there is none."""
        self._start(entry)
        return await self._flights.join(entry.ref, lambda: self._refresh(entry, self._random))

    def _start(self, entry: Entry) -> None:
        """Start a fetch unless one is under way, of a parameter with the others that are soon due."""
        if entry.ref in self._flights:
            return
        together = self._due_with(entry)
        if len(together) > 1:
            self._start_together(together)
        else:
            self._flights.start(entry.ref, lambda: self._refresh(entry, self._random))

    def _due_with(self, entry: Entry) -> list[Entry]:
        """Return an entry, and what is fetched along: Parameter Store has few calls to give, and ten come with one."""
        ref, now = entry.ref, self._clock.now()
        if not ref.is_parameter or ref.is_path or ref not in self._entries.listed:
            return [entry]
        others = (other for other in self._entries.listed.values() if other is not entry and not other.ref.is_path)
        return [entry] + [
            other
            for other in others
            if other.ref.is_parameter
            and other.ref.access == ref.access
            and other.ref not in self._flights
            and other.is_refresh_near(now)
        ]

    def _start_together(self, entries: Iterable[Entry]) -> None:
        loop = asyncio.get_running_loop()
        deliveries: dict[Ref, asyncio.Future[Secret]] = {entry.ref: loop.create_future() for entry in entries}
        task = loop.create_task(self._fetch_many(deliveries))
        self._rounds.add(task)
        task.add_done_callback(lambda ended: self._end_round(ended, deliveries))
        # What comes together is due together again, and when is chance's word once, not the earliest of ten.
        shared = functools.cache(self._random)
        # Before anything else runs, so that a request for one of them joins in.
        for entry in entries:
            chance = shared if entry.ref.is_parameter else self._random
            self._flights.start(entry.ref, functools.partial(self._refresh, entry, chance, deliveries[entry.ref]))

    async def _fetch_many(self, deliveries: "dict[Ref, asyncio.Future[Secret]]") -> None:
        def deliver(ref: Ref, outcome: Secret | SecretError) -> None:
            delivery = deliveries[ref]
            if delivery.done():
                return
            if isinstance(outcome, Secret):
                delivery.set_result(outcome)
            else:
                delivery.set_exception(outcome)

        await self._source.fetch_many(tuple(deliveries), deliver)

    def _end_round(self, task: "asyncio.Task[None]", deliveries: "dict[Ref, asyncio.Future[Secret]]") -> None:
        """Let nobody wait for what was not brought, however the round has ended."""
        self._rounds.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            logger.error("internal.error", {"where": "prefetch", "error": type(error).__name__})
        for ref, delivery in deliveries.items():
            if not delivery.done():
                cause = "it was not fetched"
                delivery.set_exception(SecretUnavailable(ref.secret_id, code="internal-error", cause=cause))
                # Whoever waited may have gone: then nobody else looks.
                delivery.exception()

    def _refresh(
        self, entry: Entry, chance: Callable[[], float], delivery: Awaitable[Secret] | None = None
    ) -> Coroutine[None, None, CachedValue | Failure]:
        """
        Fetch one entry and keep what comes of it.

        Args:
            entry: What is fetched.
            chance: Says when the next fetch is due.
            delivery: A fetch under way elsewhere; None for one of its own.
        """
        # Before its first step: the first of several to end must know of the others.
        self.counts.refreshes += 1
        return self._fetched(entry, chance, delivery)

    async def _fetched(
        self, entry: Entry, chance: Callable[[], float], delivery: Awaitable[Secret] | None
    ) -> CachedValue | Failure:
        sent = self._clock.now()
        try:
            secret = await (delivery if delivery is not None else self._source.fetch(entry.ref))
            return self._keep(entry, secret, sent, chance())
        except SecretError as error:
            return self._keep_failure(entry, error, sent, chance())
        except BaseException as error:
            # Rule 3: a fault of ours, a stray cancellation too, must not end anything else. Ours is asked for.
            task = asyncio.current_task()
            if isinstance(error, GeneratorExit) or (task is not None and task.cancelling()):
                raise
            # Only its type: its text might hold anything.
            cause = f"internal error ({type(error).__name__})"
            unavailable = SecretUnavailable(entry.name, code="internal-error", cause=cause)
            return self._keep_failure(entry, unavailable, sent, chance())
        finally:
            self.generation += 1
            self.changed.set()

    def _keep(self, entry: Entry, secret: Secret, sent: Instant, chance: float) -> CachedValue:
        now = self._clock.now()
        is_first = entry.held is None
        changed = entry.held is not None and entry.held.secret.version_id != secret.version_id
        recovered = entry.failure is not None
        entry.held = held = CachedValue(secret, sent, now.wall, entry.policy.refresh_after(chance))
        entry.failure = None
        self._entries.learn(entry, secret)
        if is_first and self._entries.shares_name(entry, secret):
            logger.warning("secret.name_shared", {"secret": entry.name, "name": secret.name})
        logger.log(
            logging.INFO if changed or recovered else logging.DEBUG,
            "secret.refreshed",
            {
                "secret": entry.name,
                "version_id": secret.version_id,
                "changed": changed,
                "took_ms": round(elapsed(sent, now).seconds * 1000),
            },
        )
        self._count(entry, sent, now, has_failed=False)
        return held

    def _keep_failure(self, entry: Entry, error: SecretError, sent: Instant, chance: float) -> Failure:
        now = self._clock.now()
        entry.failure = failure = Failure.after(entry.failure, error, now, chance)
        is_bridged = entry.is_fresh(now) or entry.may_serve_after(failure, now)
        logger.log(
            logging.WARNING if is_bridged else logging.ERROR,
            "secret.fetch_failed",
            {
                "secret": entry.name,
                "code": error.code,
                "reason": str(error),
                "still_served": is_bridged,
                "next_try_s": round(failure.backoff, 1),
            },
        )
        self._count(entry, sent, now, has_failed=True)
        return failure

    def _count(self, entry: Entry, sent: Instant, now: Instant, *, has_failed: bool) -> None:
        """Count a fetch that has ended, and tell of it."""
        # Not `elapsed`: how long the process was frozen says nothing of AWS.
        seconds = max(0.0, now.monotonic - sent.monotonic)
        self.counts.latency.add(seconds)
        self.counts.failures += has_failed
        entry.refreshes += 1
        entry.failures += has_failed
        fetched = FetchEvent(
            name=entry.name,
            is_listed=self._entries.listed.get(entry.ref) is entry,
            seconds=seconds,
            has_failed=has_failed,
            others=self.counts.refreshes - self.generation - 1,
        )
        for tell in self.observers:
            tell(fetched)

    # Keeping the listed ones at hand.

    async def prefetch(self) -> None:
        """
        Fetch every listed secret, once; return when all have settled.

        The first `get` starts it too, if nobody did before. Called again, it waits for the first call's end.
        A caller that is cancelled harms no other.
        """
        self.start_prefetch()
        await self._flights.settle(self._entries.listed)

    def start_prefetch(self) -> None:
        """Start the prefetch unless it was started before."""
        if not self._has_begun:
            self._has_begun = True
            self._start_together(self._entries.listed.values())

    def refresh_due(self) -> None:
        """Start a refresh of every listed secret for which one is due."""
        now = self._clock.now()
        for entry in self._entries.listed.values():
            if entry.ref not in self._flights and entry.seconds_to_refresh(now) <= 0:
                self._start(entry)

    def seconds_to_next_refresh(self) -> float | None:
        """Return after how many seconds a listed secret is due; None if none will be before something changes."""
        now = self._clock.now()
        waits = (
            entry.seconds_to_refresh(now) for entry in self._entries.listed.values() if entry.ref not in self._flights
        )
        soonest = min(waits, default=math.inf)
        return None if soonest == math.inf else max(soonest, 0.0)

    def report(self) -> list[EntryReport]:
        """Return the state of every listed secret, in the order of the configuration."""
        now = self._clock.now()
        return [
            EntryReport(
                name=entry.name,
                kind=EntryKind.of(entry.ref),
                state=entry.state(now),
                age=None if entry.held is None else entry.age(now),
                version_id=None if entry.held is None else entry.held.secret.version_id,
                error=None if entry.failure is None else entry.failure.error.code,
                reason=None if entry.failure is None else str(entry.failure.error),
                refreshes=entry.refreshes,
                failures=entry.failures,
            )
            for entry in self._entries.listed.values()
        ]

    async def aclose(self) -> None:
        """Cancel whatever is under way."""
        # First who waits for a round: its end would look like a failure.
        await self._flights.aclose()
        rounds = list(self._rounds)
        for task in rounds:
            task.cancel()
        await asyncio.gather(*rounds, return_exceptions=True)


def _of_member(answer: CacheResult, entry: Entry, name: str) -> CacheResult:
    """Return the answer for the parameter that `name` means below a path; of anything else the answer itself."""
    full = member_name(entry.ref, name) if entry.ref.is_path else None
    if full is None:
        return answer
    member = (answer.secret.members or {}).get(full)
    if member is None:
        error = SecretNotFound(name, code="ParameterNotFound")
        error.what = "parameter"
        raise error
    return answer._replace(held=answer.held._replace(secret=member))
