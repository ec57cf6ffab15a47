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

from secrets_cache.core.backoff import BACKOFF_SECONDS, Failure
from secrets_cache.core.clock import Clock, Instant, elapsed
from secrets_cache.core.demand import Demand, wait
from secrets_cache.core.entry import Entry
from secrets_cache.core.fetcher import Fetcher
from secrets_cache.core.freshness import CachedValue, FreshnessPolicy
from secrets_cache.core.registry import ListedEntry, Registry
from secrets_cache.core.results import CacheResult, CacheStatus, EntryReport
from secrets_cache.core.secret import Ref
from secrets_cache.core.source import Source
from secrets_cache.core.stats import FetchEvent, Stats
from secrets_cache.errors import MemberNotFound, SecretTimeout, SecretUnavailable

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
        fetch_timeout_seconds: How long a caller waits, unless it sets a time of its own. A fetch that took longer was
            frozen in between, or goes on for others. 0 for no limit.
        own_region: The function's region: secrets of one service, region and role recover together.

    Attributes:
        counts: Counts of answers and fetches.
        changed: Set whenever a fetch has ended; the timer clears it and waits for it.
        generation: How many fetches have ended, and configurations changed: as long as it is the same, so are all
            answers.
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
        own_region: str = "",
    ) -> None:
        self._registry = Registry(listed, allow, policy, max_unlisted)
        self._max_unlisted = max_unlisted
        self._clock = clock
        self._random = random
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
            own_region=own_region,
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
        timeout_seconds: float = 0.0,
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
            timeout_seconds: How long to wait; 0 for the cache's own limit. The fetch goes on without the caller.

        Raises:
            SecretNotConfigured: `name` is neither listed nor allowed.
            SecretNotFound, SecretRefused: AWS gave this answer, and there is no fresh value or `refresh` was asked.
            SecretUnavailable: AWS gave no usable answer, and there is no usable cached value.
        """
        self.start_prefetch()
        demand = Demand(math.inf, refresh, timeout_seconds, self._fetch_timeout_seconds, self._clock.now())
        await self._settle(self._registry.list_candidates(name), name, demand)
        return await self._resolve(name, demand, lambda: self._registry.find_by_name(name, version_id, version_stage))

    async def get_any(
        self,
        ref: Ref,
        *,
        max_age_seconds: float = math.inf,
        refresh: bool = False,
        timeout_seconds: float = 0.0,
    ) -> CacheResult:
        """
        Return the secret that `ref` means, listed and allowed or not: for callers who may ask for anything.

        A listed secret is shared with `get`.

        Args:
            ref: What is asked for.
            max_age_seconds: A value of this age or older is fetched again, though it may be fresh. 0 demands a new
                fetch, and its failure if it fails.
            refresh: As for `get`.
            timeout_seconds: As for `get`.

        Raises:
            SecretNotFound, SecretRefused, SecretUnavailable: As `get` does.
        """
        self.start_prefetch()
        demand = Demand(max_age_seconds, refresh, timeout_seconds, self._fetch_timeout_seconds, self._clock.now())
        await self._settle(self._registry.list_candidates_of_ref(ref), ref.secret_id, demand)
        return await self._resolve(ref.secret_id, demand, lambda: self._registry.find_by_ref(ref), asked=ref)

    def list_names(self) -> list[str]:
        """Return the name of every listed secret, in the order of the configuration."""
        return [entry.name for entry in self._registry.listed.values()]

    def find_known_name(self, name: str) -> str | None:
        """Return how the log calls what `name` means; None if it is neither listed nor allowed, as far as is known."""
        return self._registry.find_known_name(name)

    def is_listed(self, ref: Ref) -> bool:
        """Return whether the configuration lists what `ref` means, so that the ttl in the configuration counts."""
        return self._registry.resolve_ref(ref) in self._registry.listed

    async def _settle(self, refs: Sequence[Ref], name: str, demand: Demand) -> None:
        """Wait for the fetches that tell whether one of `refs` is called `name`."""
        if any(ref in self._flights for ref in refs):
            await wait(self._flights.settle(refs), refs[0]._replace(secret_id=name), demand, self._clock)

    async def _resolve(
        self, name: str, demand: Demand, find: Callable[[], Entry], asked: Ref | None = None
    ) -> CacheResult:
        """Return the answer of the entry that `find` finds for `name`, which may be below it, or learned for it."""
        while True:
            learned, entry = self._registry.find_learned(name), find()
            answer = await self._answer(entry, demand)
            try:
                answer = answer.select_member(entry.ref, name, self._clock)
            except MemberNotFound as error:
                if demand.refresh or not entry.may_look_for_member(error, self._clock.now(), self._random):
                    raise
                demand = demand._replace(refresh=True)
            else:
                if learned is None or entry.ref == asked or answer.secret.has_id(name):
                    return answer
                # AWS gave it this ARN or name before, and gives it another one now.
                self._registry.forget(learned, name)

    async def _answer(self, entry: Entry, demand: Demand) -> CacheResult:
        """Answer as the held value's age demands. A failure in force forbids a fetch."""
        now = self._clock.now()
        failure = entry.active_failure(now)
        is_started = failure is not None or entry.ref in self._flights
        is_forced = demand.refresh and (is_started or entry.may_force_refresh(now))
        is_young = not is_forced and entry.age(now) < demand.max_age_seconds
        if is_young and entry.is_fresh(now):
            if failure is None and entry.is_refresh_due(now):
                self._start_fetch(entry)
            return self._answer_from_memory(entry, CacheStatus.HIT, demand)
        if failure is not None:
            return self._answer_after_failure(entry, failure, now, demand)
        if is_young and entry.may_serve_while_revalidating(now):
            self._start_fetch(entry)
            return self._answer_from_memory(entry, CacheStatus.STALE, demand)
        reason = CacheStatus.FORCED if is_forced else CacheStatus.EXPIRED
        return await self._answer_after_fetch(entry, reason, now, demand)

    def _answer_from_memory(self, entry: Entry, status: CacheStatus, demand: Demand) -> CacheResult:
        if status is CacheStatus.STALE:
            self.counts.stale += 1
        else:
            self.counts.hits += 1
        assert entry.held is not None  # noqa: S101 - an entry without a value has an infinite age
        # A request to refresh has an effect, even where it is answered from memory: the next one may ask AWS.
        is_replayable = status is CacheStatus.HIT and not demand.refresh and entry.ref in self._registry.listed
        longest = min(entry.policy.ttl_seconds, entry.held.refresh_age_seconds, demand.max_age_seconds)
        return CacheResult(entry.held, status, longest if is_replayable else 0.0)

    async def _answer_after_fetch(self, entry: Entry, status: CacheStatus, now: Instant, demand: Demand) -> CacheResult:
        """Wait for the entry's one fetch. `status` is the reason for it where a value is held."""
        if entry.held is None:
            status = CacheStatus.MISS
        if status is CacheStatus.FORCED and entry.ref not in self._flights:
            entry.forced_at = self._clock.now()
        outcome = await self._fetch(entry, demand)
        ttl_seconds, timeout_seconds = entry.policy.ttl_seconds, self._fetch_timeout_seconds
        if isinstance(outcome, CachedValue) and outcome.had_expired(now, ttl_seconds, timeout_seconds):
            # That fetch was under way when the process was frozen; the next one is sent after the thaw.
            outcome = await self._fetch(entry, demand)
        if isinstance(outcome, CachedValue):
            self.counts.misses += 1
            return CacheResult(outcome, status)
        return self._answer_after_failure(entry, outcome, self._clock.now(), demand)

    async def _fetch(self, entry: Entry, demand: Demand) -> CachedValue | Failure:
        """Return what the entry's fetch brings, or a failure once the caller has waited for long enough."""
        self._start_fetch(entry)
        try:
            return await wait(self._flights.wait(entry.ref), entry.ref, demand, self._clock)
        except SecretTimeout as error:
            is_refused = entry.failure is not None and entry.failure.refused
            return Failure(error, self._clock.now(), in_a_row=1, backoff_seconds=BACKOFF_SECONDS, refused=is_refused)

    def _answer_after_failure(self, entry: Entry, failure: Failure, now: Instant, demand: Demand) -> CacheResult:
        """Answer with the held value if the entry allows that, else raise the failure's error."""
        if demand.max_age_seconds > 0 and entry.may_serve_after(failure, now):
            is_fresh = entry.is_fresh(now) and entry.age(now) < demand.max_age_seconds
            return self._answer_from_memory(entry, CacheStatus.HIT if is_fresh else CacheStatus.STALE, demand)
        if isinstance(failure.error, SecretUnavailable):
            failure.error.retry_after_seconds = failure.backoff_seconds - elapsed(failure.at, now).seconds
        # Every caller gets the same error: without this, each raise would lengthen its traceback.
        raise failure.error.with_traceback(None)

    def _start_fetch(self, entry: Entry) -> None:
        """Start a fetch unless one is under way: of a parameter, together with others that are soon due."""
        if entry.ref in self._flights:
            return
        others = self._registry.list_due_with(entry, self._clock.now())
        together = [other for other in others if other.ref not in self._flights]
        if together:
            self._fetcher.start_round([entry, *together])
        else:
            self._fetcher.start(entry)

    def _note_fetch(self, event: FetchEvent) -> None:
        self.generation += 1
        self.changed.set()
        for observe in self.observers:
            observe(event)

    async def prefetch(self) -> None:
        """Return when every listed secret was fetched once, well or not. Cancelling a caller harms no other."""
        self.start_prefetch()
        await self._flights.settle(self._registry.listed)

    def start_prefetch(self) -> None:
        """Start the prefetch unless it was started before."""
        if not self._has_begun:
            self._has_begun = True
            self._fetcher.start_round(self._registry.listed.values())

    def reconfigure(self, *, listed: Iterable[ListedEntry], allow: Sequence[str], policy: FreshnessPolicy) -> None:
        """
        Serve another configuration: fetch what is new, drop what is gone, keep the values and the ages of the others.

        Callers who wait get their answers.
        """
        registry = Registry(listed, allow, policy, self._max_unlisted)
        registry.take_over(self._registry, self._fetcher.under_way.values(), self._random)
        self._registry = self._fetcher.registry = registry
        new = [entry for entry in registry.listed.values() if entry.held is None and entry.failure is None]
        waiting = [entry for entry in new if entry.ref not in self._flights]
        if self._has_begun and waiting:
            self._fetcher.start_round(waiting)
        # Answers that were prepared are no longer good; the timer looks again.
        self.generation += 1
        self.changed.set()

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
