"""
Fetches under way: AWS is asked for entries, one by one or many in a round, and each result is kept as it arrives.

    entries -> Source -> Secret or SecretError -> entry.held or entry.failure -> the callers who wait

Rules
-----
1. At most one fetch is under way for each entry, and any number of callers wait for it. In a round, too, each entry's
   callers get its result at once, not at the end of the round.
2. Whatever a fetch raises, and whatever a round leaves out, ends in the entry as a failure; never in the task that ran
   the fetch.
3. How old a value may be and when a fetch is allowed is not decided here.
"""

import asyncio
import functools
import logging
from collections.abc import Callable, Iterable

from secrets_cache.core.backoff import Failure
from secrets_cache.core.clock import Clock, Instant, elapsed
from secrets_cache.core.entry import Entry
from secrets_cache.core.freshness import CachedValue
from secrets_cache.core.recovery import Recovery
from secrets_cache.core.registry import Registry
from secrets_cache.core.secret import Ref, Secret
from secrets_cache.core.single_flight import SingleFlight
from secrets_cache.core.source import FetchResult, Source
from secrets_cache.core.stats import FetchEvent, Stats
from secrets_cache.errors import SecretError, SecretUnavailable

logger = logging.getLogger(__name__)


class Fetcher:
    """
    Runs the fetches of one cache.

    Args:
        source: Where secrets come from.
        clock: Tells the time.
        random: Returns a random number from 0 to 1: spreads refreshes and back-offs.
        registry: Learns each secret's other names.
        own_region: The function's region.
        stats: Counts the fetches.
        observe: Called with each fetch that has ended; raises nothing.

    Attributes:
        registry: As above; a changed configuration brings another one.
        flights: The fetches under way, to be waited for. A failed fetch has a result too: a `Failure`.
        under_way: Their entries.
        in_flight: How many there are.
    """

    def __init__(
        self,
        *,
        source: Source,
        clock: Clock,
        random: Callable[[], float],
        registry: Registry,
        own_region: str,
        stats: Stats,
        observe: Callable[[FetchEvent], None],
    ) -> None:
        self._source = source
        self._clock = clock
        self._random = random
        self.registry = registry
        self._recovery = Recovery(own_region, random)
        self._stats = stats
        self._observe = observe
        self.flights: SingleFlight[Ref, CachedValue | Failure] = SingleFlight()
        self.under_way: dict[Ref, Entry] = {}
        self.in_flight = 0

    def start(self, entry: Entry) -> None:
        """Start the fetch of one entry that has no fetch under way."""
        self.flights.start(entry.ref, lambda: self._fetch_one(entry))
        self.under_way[entry.ref] = entry
        # Counted before the first step of any: the first fetch to end must know of the others.
        self.in_flight += 1
        self._stats.fetches_started += 1

    def start_round(self, entries: Iterable[Entry]) -> None:
        """Start one round for entries that have no fetch under way."""
        by_ref = {entry.ref: entry for entry in entries}
        self.flights.start_round(by_ref, functools.partial(self._fetch_round, by_ref))
        self.under_way.update(by_ref)
        self.in_flight += len(by_ref)
        self._stats.fetches_started += len(by_ref)

    async def _fetch_one(self, entry: Entry) -> CachedValue | Failure:
        sent = self._clock.now()
        result: FetchResult
        try:
            result = await self._source.fetch(entry.ref)
        except SecretError as error:
            result = error
        except BaseException as error:
            if _is_ending(error):
                self.in_flight -= 1
                raise
            result = _unexpected(entry, error)
        return self._keep(entry, result, sent, self._random)

    async def _fetch_round(
        self, left: dict[Ref, Entry], flights: "dict[Ref, asyncio.Future[CachedValue | Failure]]"
    ) -> None:
        sent = self._clock.now()
        shared = functools.cache(self._random)
        results = self._source.fetch_many(tuple(left))
        try:
            async for ref, result in results:
                if (entry := left.pop(ref, None)) is not None:
                    flights[ref].set_result(self._keep(entry, result, sent, shared))
        except BaseException as error:
            if _is_ending(error):
                self.in_flight -= len(left)
                raise
            logger.error("internal.error", {"where": "prefetch", "error": type(error).__name__})  # noqa: TRY400
            await results.aclose()
        for ref, entry in left.items():
            missed = SecretUnavailable(
                ref.secret_id, code="internal-error", cause="the batch ended without a result for it"
            )
            missed.what = ref.what
            flights[ref].set_result(self._keep(entry, missed, sent, shared))

    def _keep(
        self, entry: Entry, result: FetchResult, sent: Instant, shared: Callable[[], float]
    ) -> CachedValue | Failure:
        """Keep in the entry what its fetch brought, count the fetch, and call the observer."""
        now = self._clock.now()
        # Parameters that came together are due together: one draw for all, not the earliest of ten draws.
        random = shared if entry.ref.is_parameter else self._random
        outcome: CachedValue | Failure
        try:
            if isinstance(result, Secret):
                outcome = self._keep_value(entry, result, sent, now, random)
            else:
                outcome = self._keep_failure(entry, result, now, random)
        except Exception as error:  # noqa: BLE001 - rule 2
            outcome = self._keep_failure(entry, _unexpected(entry, error), now, random)
        self._recovery.note(entry, outcome, self.registry.list_all(), now)
        has_failed = isinstance(outcome, Failure)
        # Not `elapsed`: how long the process was frozen says nothing about AWS.
        seconds = max(0.0, now.monotonic - sent.monotonic)
        is_listed = self.registry.listed.get(entry.ref) is entry
        self.in_flight -= 1
        self.under_way.pop(entry.ref, None)
        self._stats.latency.add(seconds)
        self._stats.failures += has_failed
        entry.fetches_ended += 1
        entry.failures += has_failed
        self._observe(FetchEvent(entry.name, is_listed, seconds, has_failed, self.in_flight))
        return outcome

    def _keep_value(
        self, entry: Entry, secret: Secret, sent: Instant, now: Instant, random: Callable[[], float]
    ) -> CachedValue:
        is_first = entry.held is None
        changed = entry.held is not None and entry.held.secret.version_id != secret.version_id
        recovered = entry.failure is not None
        held = CachedValue(secret, sent, now.wall, entry.policy.pick_refresh_age_seconds(random))
        entry.held, entry.failure = held, None
        if changed:
            entry.member_missing = None
        self.registry.learn(entry, secret)
        if is_first:
            for sharing, name in self.registry.list_sharing(entry, secret):
                logger.warning("secret.name_shared", {"secret": sharing, "name": name})
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
        return held

    def _keep_failure(self, entry: Entry, error: SecretError, now: Instant, random: Callable[[], float]) -> Failure:
        # It is kept for a while, but not the frames that it came through, which may hold AWS's answer.
        error.__traceback__ = error.__context__ = error.__cause__ = None
        entry.failure = failure = Failure.after(entry.failure, error, now, random)
        is_bridged = entry.is_fresh(now) or entry.may_serve_after(failure, now)
        logger.log(
            logging.WARNING if is_bridged else logging.ERROR,
            "secret.fetch_failed",
            {
                "secret": entry.name,
                **entry.ref.selectors,
                "code": error.code,
                "reason": str(error),
                "still_served": is_bridged,
                "next_try_s": round(failure.backoff_seconds, 1),
            },
        )
        return failure


def _is_ending(error: BaseException) -> bool:
    """Return whether `error` ends the running task because its owner wants it to, and not the fetch alone."""
    if isinstance(error, GeneratorExit):
        # The loop is gone, and the task with it.
        return True
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _unexpected(entry: Entry, error: BaseException) -> SecretUnavailable:
    # Only the type: the text might hold anything.
    cause = f"internal error ({type(error).__name__})"
    failure = SecretUnavailable(entry.name, code="internal-error", cause=cause)
    failure.what = entry.ref.what
    return failure
