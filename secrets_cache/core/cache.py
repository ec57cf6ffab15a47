"""
The cache: when AWS is asked, who waits for the answer, and what callers get when AWS fails.

    name -> entry -> judge its age -> answer from memory, or wait for the entry's one fetch

Rules
-----
1. No I/O here. Fetching is the `Source` handed in, time the `Clock`, randomness the `random`.
2. Any number of callers of one secret share one fetch, and after a failure there is none for a while.
3. An old value is served only while its entry allows it, and always marked.

Which age allows what is decided in `entry`, who has which name in `registry`; fetches run in `fetcher`. Longer than
most modules here: it is the one place where an age, a failure and a fetch under way decide together.
"""

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence

from secrets_cache.core.backoff import Failure
from secrets_cache.core.clock import Clock, Instant, elapsed
from secrets_cache.core.entry import Entry
from secrets_cache.core.fetcher import Fetcher
from secrets_cache.core.freshness import CachedValue, FreshnessPolicy
from secrets_cache.core.registry import ListedEntry, Registry, find_member_name
from secrets_cache.core.results import CacheResult, CacheStatus, EntryReport
from secrets_cache.core.secret import Ref
from secrets_cache.core.source import Source
from secrets_cache.core.stats import FetchEvent, Stats
from secrets_cache.errors import MemberNotFound, SecretUnavailable

MAX_UNLISTED = 1000


class Cache:
    """
    Cached secrets, keyed by the names callers use.

    Args:
        listed: The secrets to prefetch and keep. Of two that claim one name, the first gets it.
        allow: Patterns of further names that may be fetched on demand.
        policy: How long values of unlisted secrets may be used.
        source: Where secrets come from.
        clock: Tells the time.
        random: Returns a random number from 0 to 1: spreads refreshes and back-offs.
        max_unlisted: How many unlisted entries are kept; the least recently used goes first.
        fetch_timeout_seconds: How long a fetch may take. One that took longer was frozen in between.

    Attributes:
        counts: Counts of answers and fetches.
        changed: Set whenever a fetch has ended; the timer clears it and waits for it.
        generation: How many fetches have ended: as long as it is the same, so are all answers.
        observers: Called with each fetch that has ended; they raise nothing.
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
        fetch_timeout_seconds: float = 0.0,
    ) -> None:
        self._registry = Registry(listed, allow, policy, max_unlisted)
        self._clock = clock
        self._fetch_timeout_seconds = fetch_timeout_seconds
        self._has_begun = False
        self.counts = Stats()
        self.changed = asyncio.Event()
        self.generation = 0
        self.observers: list[Callable[[FetchEvent], None]] = []
        self._fetcher = Fetcher(
            source=source,
            clock=clock,
            random=random,
            registry=self._registry,
            stats=self.counts,
            observe=self._note_fetch,
        )
        self._flights = self._fetcher.flights

    @property
    def in_flight(self) -> int:
        """How many fetches are under way."""
        return self._fetcher.in_flight

    async def get(
        self,
        name: str,
        *,
        version_id: str | None = None,
        version_stage: str | None = None,
        refresh: bool = False,
    ) -> CacheResult:
        """
        Return the secret called `name`, asking AWS only if no cached value is fresh enough.

        Callers that arrive while a fetch is under way share it; cancelling one of them harms neither the others nor
        the fetch. The first call starts the prefetch, if `start_prefetch` was not called before.

        Args:
            name: A listed name, an alias, an ARN, or a name that `allow` covers.
            version_id: The version to return; None for the one that `version_stage` names.
            version_stage: The staging label of the version to return; None for the current version.
            refresh: Fetch a new value, but at most once a second, and not during the back-off after a failure.

        Raises:
            SecretNotConfigured: `name` is neither listed nor allowed.
            SecretNotFound, SecretRefused: AWS gave this answer, and there is no fresh value or `refresh` was asked.
            SecretUnavailable: AWS gave no usable answer, and there is no usable cached value.
        """
        self.start_prefetch()
        awaited = self._registry.list_candidates(name)
        if awaited:
            await self._flights.settle(awaited)
        entry = self._registry.find_by_name(name, version_id, version_stage)
        return self._select_member(await self._answer(entry, math.inf, refresh=refresh), entry, name)

    async def get_any(self, ref: Ref, *, max_age_seconds: float = math.inf, refresh: bool = False) -> CacheResult:
        """
        Return the secret that `ref` means, listed and allowed or not: for callers who may ask for anything.

        A listed secret is shared with `get`.

        Args:
            ref: What is asked for.
            max_age_seconds: A value of this age or older is fetched again, though it may be fresh. 0 demands a new
                fetch, and its failure if it fails.
            refresh: As for `get`.

        Raises:
            SecretNotFound, SecretRefused, SecretUnavailable: As `get` does.
        """
        self.start_prefetch()
        awaited = self._registry.list_candidates_of_ref(ref)
        if awaited:
            await self._flights.settle(awaited)
        entry = self._registry.find_by_ref(ref)
        return self._select_member(await self._answer(entry, max_age_seconds, refresh=refresh), entry, ref.secret_id)

    def is_listed(self, ref: Ref) -> bool:
        """Return whether the configuration lists what `ref` means, so that the ttl in the configuration counts."""
        return self._registry.resolve_ref(ref) in self._registry.listed

    async def _answer(self, entry: Entry, max_age_seconds: float, *, refresh: bool) -> CacheResult:
        """Answer as the held value's age demands. A failure in force forbids a fetch."""
        now = self._clock.now()
        failure = entry.active_failure(now)
        is_forced = refresh and (failure is not None or entry.ref in self._flights or entry.may_force_refresh(now))
        is_young = not is_forced and entry.age(now) < max_age_seconds
        if is_young and entry.is_fresh(now):
            if failure is None and entry.is_refresh_due(now):
                self._start_fetch(entry)
            return self._answer_from_memory(entry, CacheStatus.HIT, max_age_seconds)
        if failure is not None:
            return self._answer_after_failure(entry, failure, now, max_age_seconds)
        if is_young and entry.may_serve_while_revalidating(now):
            self._start_fetch(entry)
            return self._answer_from_memory(entry, CacheStatus.STALE)
        reason = CacheStatus.FORCED if is_forced else CacheStatus.EXPIRED
        return await self._answer_after_fetch(entry, reason, now, max_age_seconds)

    def _answer_from_memory(self, entry: Entry, status: CacheStatus, max_age_seconds: float = math.inf) -> CacheResult:
        if status is CacheStatus.STALE:
            self.counts.stale += 1
        else:
            self.counts.hits += 1
        assert entry.held is not None  # noqa: S101 - an entry without a value has an infinite age
        is_replayable = status is CacheStatus.HIT and entry.ref in self._registry.listed
        longest = min(entry.policy.ttl_seconds, entry.held.refresh_age_seconds, max_age_seconds)
        return CacheResult(entry.held, status, longest if is_replayable else 0.0)

    async def _answer_after_fetch(
        self, entry: Entry, status: CacheStatus, asked: Instant, max_age_seconds: float
    ) -> CacheResult:
        """Wait for the entry's one fetch. `status` is the reason for it where a value was held before `asked`."""
        if entry.held is None:
            status = CacheStatus.MISS
        if status is CacheStatus.FORCED and entry.ref not in self._flights:
            entry.forced_at = self._clock.now()
        self._start_fetch(entry)
        outcome = await self._flights.wait(entry.ref)
        ttl_seconds, timeout_seconds = entry.policy.ttl_seconds, self._fetch_timeout_seconds
        if isinstance(outcome, CachedValue) and outcome.had_expired(asked, ttl_seconds, timeout_seconds):
            # That fetch was under way when the process was frozen; the next one is sent after the thaw.
            self._start_fetch(entry)
            outcome = await self._flights.wait(entry.ref)
        if isinstance(outcome, CachedValue):
            self.counts.misses += 1
            return CacheResult(outcome, status)
        return self._answer_after_failure(entry, outcome, self._clock.now(), max_age_seconds)

    def _answer_after_failure(
        self, entry: Entry, failure: Failure, now: Instant, max_age_seconds: float
    ) -> CacheResult:
        """Answer with the held value if the entry allows that, else raise the failure's error."""
        if max_age_seconds > 0 and entry.may_serve_after(failure, now):
            is_fresh = entry.is_fresh(now) and entry.age(now) < max_age_seconds
            return self._answer_from_memory(entry, CacheStatus.HIT if is_fresh else CacheStatus.STALE, max_age_seconds)
        if isinstance(failure.error, SecretUnavailable):
            failure.error.retry_after_seconds = failure.backoff_seconds - elapsed(failure.at, now).seconds
        # Every caller gets the same error: without this, each raise would lengthen its traceback.
        raise failure.error.with_traceback(None)

    def _select_member(self, answer: CacheResult, entry: Entry, name: str) -> CacheResult:
        """Return the answer for the parameter below a path that `name` means; for anything else the answer itself."""
        full = find_member_name(entry.ref, name) if entry.ref.is_path else None
        if full is None:
            return answer
        path = answer.held
        member = (path.secret.members or {}).get(full)
        if member is None:
            age_seconds = elapsed(path.sent, self._clock.now()).seconds
            raise MemberNotFound(name, path=entry.ref.secret_id, age_seconds=age_seconds)
        held = CachedValue(member, path.sent, path.received_at, path.refresh_age_seconds)
        return CacheResult(held, answer.status, answer.replayable_seconds)

    def _start_fetch(self, entry: Entry) -> None:
        """Start a fetch unless one is under way: of a parameter, together with others that are soon due."""
        if entry.ref in self._flights:
            return
        together = self._find_due_together(entry)
        if len(together) > 1:
            self._fetcher.start_round(together)
        else:
            self._fetcher.start(entry)

    def _find_due_together(self, entry: Entry) -> list[Entry]:
        """Return the entry and what to fetch with it: Parameter Store has a small quota, and gives ten in one call."""
        ref, now = entry.ref, self._clock.now()
        if not ref.is_parameter or ref.is_path or ref not in self._registry.listed:
            return [entry]
        others = (other for other in self._registry.listed.values() if other is not entry and not other.ref.is_path)
        return [entry] + [
            other
            for other in others
            if other.ref.is_parameter
            and other.ref.context == ref.context
            and other.ref not in self._flights
            and other.is_refresh_near(now)
        ]

    def _note_fetch(self, event: FetchEvent) -> None:
        self.generation += 1
        self.changed.set()
        for observe in self.observers:
            observe(event)

    async def prefetch(self) -> None:
        """
        Fetch every listed secret, once; return when every fetch has ended, well or not.

        A second call waits for the first one's fetches. Cancelling a caller harms no other.
        """
        self.start_prefetch()
        await self._flights.settle(self._registry.listed)

    def start_prefetch(self) -> None:
        """Start the prefetch unless it was started before."""
        if not self._has_begun:
            self._has_begun = True
            self._fetcher.start_round(self._registry.listed.values())

    def refresh_due(self) -> None:
        """Start a refresh of every listed secret for which one is due."""
        now = self._clock.now()
        for entry in self._registry.listed.values():
            if entry.ref not in self._flights and entry.seconds_to_refresh(now) <= 0:
                self._start_fetch(entry)

    def seconds_to_next_refresh(self) -> float | None:
        """Return the seconds until the next listed secret is due; None if none will be before something changes."""
        now = self._clock.now()
        idle = (entry for entry in self._registry.listed.values() if entry.ref not in self._flights)
        soonest = min((entry.seconds_to_refresh(now) for entry in idle), default=math.inf)
        return None if soonest == math.inf else max(soonest, 0.0)

    def report(self) -> list[EntryReport]:
        """Return the state of every listed secret, in the order of the configuration."""
        now = self._clock.now()
        return [EntryReport.of(entry, now) for entry in self._registry.listed.values()]

    async def aclose(self) -> None:
        """Cancel every fetch under way and wait until all have ended. Callers who wait are cancelled, too."""
        await self._flights.aclose()
