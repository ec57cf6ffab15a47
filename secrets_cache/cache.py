"""
The cache itself: which secrets are held, how old they are, when to ask again, and what to answer when AWS fails.

Terms are those of RFC 9111 and RFC 5861.

Rules
-----
1. No I/O here. Fetching is the `Source` handed in, time the `Clock`, chance the `random`.
2. An entry's age is judged when it is read: the process may have been frozen in between.
3. Serving an old value never makes it younger: age counts from when its fetch was sent.
4. A definite refusal is never masked by an old value once that has expired.
5. Any number of callers of one secret share one fetch, and after a failure there is none for a while.
6. Whatever a fetch raises ends in the entry or at the caller, never in the task that ran it.

Over the house's length for a module, on purpose: it is one state machine, and easier to check in one place.
"""

import asyncio
import functools
import logging
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from fnmatch import fnmatchcase
from typing import Protocol

from secrets_cache.clock import Clock, Instant, elapsed
from secrets_cache.errors import SecretError, SecretNotConfigured, SecretUnavailable
from secrets_cache.flight import Flights
from secrets_cache.secret import Ref, Secret

logger = logging.getLogger(__name__)

MAX_UNLISTED = 1000
FORCED_INTERVAL_SECONDS = 1.0
BACKOFF_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 60.0


class Source(Protocol):
    """Where secrets come from."""

    async def fetch(self, ref: Ref) -> Secret:
        """Return the secret, or raise a `SecretError` within a bounded time."""
        ...

    async def fetch_many(self, refs: Sequence[Ref], deliver: Callable[[Ref, Secret | SecretError], None]) -> None:
        """Call `deliver` once for each of `refs`, as soon as it is known, within a bounded time."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """
    How long a value may be used. Seconds.

    Attributes:
        ttl: A value younger than this is fresh.
        refresh_ahead: The share of the ttl, 0 to 1, before its end in which a refresh is due; 0 for never.
        stale_while_revalidate: How long past its ttl a value is served while a refresh is under way.
        stale_if_error: How long past its ttl a value is served when AWS cannot be reached.
    """

    ttl: float
    refresh_ahead: float
    stale_while_revalidate: float
    stale_if_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A secret that is kept at hand: the names it is served as, first the one it is reported under."""

    ref: Ref
    names: tuple[str, ...]
    policy: Policy


class Served(Enum):
    """How an answer came about; the values are RFC 9211 parameters."""

    HIT = "hit"
    MISS = "fwd=miss"
    EXPIRED = "fwd=stale"
    FORCED = "fwd=request"
    STALE = "hit; detail=stale"


class State(Enum):
    """The state of a listed secret, as `/health` shows it."""

    PENDING = "pending"
    FRESH = "fresh"
    STALE = "stale"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Held:
    """
    A value, and when it was had.

    Attributes:
        sent: When the fetch that brought it was sent.
        received_at: When AWS gave it, seconds since the epoch.
        refresh_after: The age in seconds at which a refresh is due; infinite for never.
    """

    secret: Secret
    sent: Instant
    received_at: float
    refresh_after: float


@dataclass(frozen=True, slots=True)
class Failure:
    """A fetch that failed, when, how often in a row, and for how many seconds there is no other."""

    error: SecretError
    at: Instant
    count: int
    backoff: float

    @property
    def is_passing(self) -> bool:
        """Whether asking again may help."""
        return isinstance(self.error, SecretUnavailable)


@dataclass(frozen=True, slots=True)
class Answer:
    """A secret, and how the answer came about."""

    held: Held
    served: Served

    @property
    def secret(self) -> Secret:
        """The secret."""
        return self.held.secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """
    What `/health` says of one listed secret; never its value.

    Attributes:
        age: Seconds since the fetch of the held value was sent; None if none is held.
        error: The code of the last fetch's failure; None if it succeeded.
        servable: Whether a request would be answered with a value, as far as is known.
    """

    name: str
    state: State
    age: float | None
    version_id: str | None
    error: str | None
    servable: bool


@dataclass(slots=True)
class Counts:
    """How often what happened."""

    hits: int = 0
    misses: int = 0
    stale: int = 0
    refreshes: int = 0
    failures: int = 0


@dataclass(slots=True)
class _Entry:
    ref: Ref
    name: str
    policy: Policy
    held: Held | None = None
    failure: Failure | None = None
    forced: Instant | None = None
    aliases: list[str] = field(default_factory=list)


class Cache:
    """
    The secrets held, by what they are asked by.

    Args:
        listed: The secrets to keep at hand. Where two claim one name, the first has it.
        allow: Patterns of further names that may be fetched on demand.
        policy: For what is not listed.
        source: Where secrets come from.
        clock: What time it is.
        random: Chance, from 0 to 1: spreads refreshes, so that environments do not refresh in step.
        max_unlisted: How many entries are kept besides the listed ones; the least recently used goes first.
    """

    def __init__(
        self,
        *,
        listed: Iterable[Listed],
        allow: Sequence[str],
        policy: Policy,
        source: Source,
        clock: Clock,
        random: Callable[[], float],
        max_unlisted: int = MAX_UNLISTED,
    ) -> None:
        self._allow = tuple(allow)
        self._policy = policy
        self._source = source
        self._clock = clock
        self._random = random
        self._max_unlisted = max_unlisted
        self._listed: dict[Ref, _Entry] = {}
        self._unlisted: OrderedDict[Ref, _Entry] = OrderedDict()
        self._names: dict[str, Ref] = {}
        self._learned: dict[str, Ref] = {}
        self._flights: Flights[Ref, Held | Failure] = Flights()
        self._prefetch: asyncio.Task[None] | None = None
        self.counts = Counts()
        self.changed = asyncio.Event()
        for item in listed:
            self._listed.setdefault(item.ref, _Entry(item.ref, item.names[0], item.policy))
            for name in item.names:
                self._names.setdefault(name, item.ref)

    # Asking.

    async def get(
        self,
        name: str,
        *,
        version_id: str | None = None,
        version_stage: str | None = None,
        refresh: bool = False,
    ) -> Answer:
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
        prefetch = self.start_prefetch()
        if name not in self._names and name not in self._learned:
            # It may be the other name of a listed secret: that is learned by fetching it.
            await asyncio.shield(prefetch)
        entry = self._entry(name, version_id, version_stage)
        now = self._clock.now()
        backing_off = self._is_backing_off(entry, now)
        if refresh and not backing_off and self._may_force(entry, now):
            return await self._fetch(entry, Served.FORCED)
        held = entry.held
        if held is not None and self._is_fresh(entry, held, now):
            if refresh and backing_off:
                return self._without_fetch(entry, now)
            if not backing_off and self._is_refresh_due(held, now):
                self._start(entry)
            self.counts.hits += 1
            return Answer(held, Served.HIT)
        if backing_off:
            return self._without_fetch(entry, now)
        if held is not None and self._may_serve_while_revalidating(entry, held, now):
            self._start(entry)
            self.counts.stale += 1
            return Answer(held, Served.STALE)
        return await self._fetch(entry, Served.EXPIRED)

    async def _fetch(self, entry: _Entry, served: Served) -> Answer:
        """Wait for the one fetch of this entry; `served` says why, if a value was held before."""
        if entry.held is None:
            served = Served.MISS
        if served is Served.FORCED and entry.ref not in self._flights:
            entry.forced = self._clock.now()
        outcome = await self._flights.join(entry.ref, lambda: self._refresh(entry))
        if isinstance(outcome, Held):
            self.counts.misses += 1
            return Answer(outcome, served)
        return self._without_fetch(entry, self._clock.now(), outcome)

    def _without_fetch(self, entry: _Entry, now: Instant, failure: Failure | None = None) -> Answer:
        """Answer after a failure: with the old value where that may be, else with the failure."""
        failure = failure or entry.failure
        held = entry.held
        if held is not None and (failure is None or failure.is_passing):
            if self._is_fresh(entry, held, now):
                self.counts.hits += 1
                return Answer(held, Served.HIT)
            if self._may_serve_on_error(entry, held, now):
                self.counts.stale += 1
                return Answer(held, Served.STALE)
        if failure is None:
            raise SecretUnavailable(entry.name, code="internal-error", cause="nothing is known of it")
        if isinstance(failure.error, SecretUnavailable):
            failure.error.retry_after_seconds = failure.backoff - elapsed(failure.at, now).seconds
        # Shared by every caller: without this, each raise would lengthen the traceback it holds.
        raise failure.error.with_traceback(None)

    # Judging. All of it at the moment of reading.

    @staticmethod
    def _is_fresh(entry: _Entry, held: Held, now: Instant) -> bool:
        age = elapsed(held.sent, now)
        return not age.backwards and age.seconds < entry.policy.ttl

    @staticmethod
    def _is_refresh_due(held: Held, now: Instant) -> bool:
        return elapsed(held.sent, now).seconds >= held.refresh_after

    @staticmethod
    def _is_backing_off(entry: _Entry, now: Instant) -> bool:
        if entry.failure is None:
            return False
        since = elapsed(entry.failure.at, now)
        return not since.backwards and since.seconds < entry.failure.backoff

    @staticmethod
    def _may_serve_while_revalidating(entry: _Entry, held: Held, now: Instant) -> bool:
        if entry.failure is not None and not entry.failure.is_passing:
            return False
        age = elapsed(held.sent, now)
        return age.seconds < entry.policy.ttl + entry.policy.stale_while_revalidate

    @staticmethod
    def _may_serve_on_error(entry: _Entry, held: Held, now: Instant) -> bool:
        return elapsed(held.sent, now).seconds < entry.policy.ttl + entry.policy.stale_if_error

    @staticmethod
    def _may_force(entry: _Entry, now: Instant) -> bool:
        if entry.forced is None:
            return True
        since = elapsed(entry.forced, now)
        return since.backwards or since.seconds >= FORCED_INTERVAL_SECONDS

    # Fetching.

    def _start(self, entry: _Entry) -> None:
        self._flights.start(entry.ref, lambda: self._refresh(entry))

    async def _refresh(self, entry: _Entry, delivery: Awaitable[Secret] | None = None) -> Held | Failure:
        """Fetch one entry and keep what comes of it. `delivery`, if given, is a fetch under way elsewhere."""
        sent = self._clock.now()
        self.counts.refreshes += 1
        try:
            secret = await (delivery if delivery is not None else self._source.fetch(entry.ref))
            return self._keep(entry, secret, sent)
        except SecretError as error:
            return self._keep_failure(entry, error)
        except Exception as error:  # noqa: BLE001 - rule 6: a fault of ours must not end anything else
            # Only its type: its text might hold anything.
            cause = f"internal error ({type(error).__name__})"
            return self._keep_failure(entry, SecretUnavailable(entry.name, code="internal-error", cause=cause))
        finally:
            self.changed.set()

    def _keep(self, entry: _Entry, secret: Secret, sent: Instant) -> Held:
        policy = entry.policy
        # Somewhere in the window, so that environments that started together do not refresh together.
        ahead = policy.ttl * policy.refresh_ahead * (0.5 + self._random() / 2)
        now = self._clock.now()
        held = Held(secret, sent, now.wall, policy.ttl - ahead if ahead > 0 else math.inf)
        before = entry.held
        recovered = entry.failure is not None
        entry.held, entry.failure = held, None
        self._learn(entry, secret)
        changed = before is not None and before.secret.version_id != secret.version_id
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

    def _keep_failure(self, entry: _Entry, error: SecretError) -> Failure:
        now = self._clock.now()
        count = entry.failure.count + 1 if entry.failure else 1
        jitter = 0.75 + self._random() / 2
        backoff = min(BACKOFF_SECONDS * 2 ** min(count - 1, 16) * jitter, MAX_BACKOFF_SECONDS)
        failure = entry.failure = Failure(error, now, count, backoff)
        self.counts.failures += 1
        held = entry.held
        usable = held is not None and (
            self._is_fresh(entry, held, now) or (failure.is_passing and self._may_serve_on_error(entry, held, now))
        )
        logger.log(
            logging.WARNING if usable else logging.ERROR,
            "secret.fetch_failed",
            {
                "secret": entry.name,
                "code": error.code,
                "reason": str(error),
                "still_served": usable,
                "next_try_s": round(backoff, 1),
            },
        )
        return failure

    # Names.

    def _entry(self, name: str, version_id: str | None, version_stage: str | None) -> _Entry:
        """Return the entry for what was asked, made if it may be."""
        ref = self._names.get(name) or self._learned.get(name)
        if ref is None:
            if not any(fnmatchcase(name, pattern) for pattern in self._allow):
                raise SecretNotConfigured(name)
            ref = Ref(name)
        base = self._listed.get(ref)
        if version_id is not None or version_stage is not None:
            stage = None if version_stage == "AWSCURRENT" else version_stage
            ref = replace(ref, version_id=version_id, version_stage=stage)
        entry = self._listed.get(ref) or self._unlisted.get(ref)
        if entry is None:
            entry = _Entry(ref, name, base.policy if base else self._policy)
            self._unlisted[ref] = entry
            while len(self._unlisted) > self._max_unlisted:
                self._forget(self._unlisted.popitem(last=False)[1])
        elif ref in self._unlisted:
            self._unlisted.move_to_end(ref)
        return entry

    def _learn(self, entry: _Entry, secret: Secret) -> None:
        """Let a secret asked for by name answer to its ARN, and the other way round."""
        ref = entry.ref
        is_kept = self._listed.get(ref) is entry or self._unlisted.get(ref) is entry
        # Of several entries for one secret, the one that its id stands for gets the other name as well.
        if not is_kept or ref != self._names.get(ref.secret_id, Ref(ref.secret_id)):
            return
        for alias in (secret.arn, secret.name):
            if alias not in self._names and self._learned.setdefault(alias, ref) == ref and alias not in entry.aliases:
                entry.aliases.append(alias)

    def _forget(self, entry: _Entry) -> None:
        for alias in entry.aliases:
            del self._learned[alias]

    # Keeping the listed ones at hand.

    async def prefetch(self) -> None:
        """
        Fetch every listed secret that was never fetched, once; return when all have settled.

        The first `get` starts it too, if nobody did before. Called again, it waits for the first call's end.
        A caller that is cancelled harms no other.
        """
        await asyncio.shield(self.start_prefetch())

    def start_prefetch(self) -> "asyncio.Task[None]":
        """Start the prefetch unless it was started before; return its task, which is the cache's to cancel."""
        if self._prefetch is None:
            loop = asyncio.get_running_loop()
            deliveries: dict[Ref, asyncio.Future[Secret]] = {ref: loop.create_future() for ref in self._listed}
            # Before anything else runs, so that a request for one of them joins in.
            for ref, entry in self._listed.items():
                self._flights.start(ref, functools.partial(self._refresh, entry, deliveries[ref]))
            self._prefetch = loop.create_task(self._fetch_many(deliveries))
        return self._prefetch

    async def _fetch_many(self, deliveries: "dict[Ref, asyncio.Future[Secret]]") -> None:
        def deliver(ref: Ref, outcome: Secret | SecretError) -> None:
            delivery = deliveries[ref]
            if delivery.done():
                return
            if isinstance(outcome, Secret):
                delivery.set_result(outcome)
            else:
                delivery.set_exception(outcome)

        try:
            await self._source.fetch_many(tuple(deliveries), deliver)
        except Exception as error:  # noqa: BLE001 - rule 6
            logger.error("internal.error", {"where": "prefetch", "error": type(error).__name__})  # noqa: TRY400
        finally:
            for ref in deliveries:
                deliver(ref, SecretUnavailable(ref.secret_id, code="internal-error", cause="it was not fetched"))
        await self._flights.settle(deliveries)

    def refresh_due(self) -> None:
        """Start a refresh of every listed secret for which one is due."""
        now = self._clock.now()
        for entry in self._listed.values():
            if entry.ref not in self._flights and self._seconds_to_refresh(entry, now) <= 0:
                self._start(entry)

    def seconds_to_next_refresh(self) -> float | None:
        """Return after how many seconds a listed secret is due; None if none will be before something changes."""
        now = self._clock.now()
        waits = [
            self._seconds_to_refresh(entry, now) for entry in self._listed.values() if entry.ref not in self._flights
        ]
        soonest = min(waits, default=math.inf)
        return None if soonest == math.inf else max(soonest, 0.0)

    @staticmethod
    def _seconds_to_refresh(entry: _Entry, now: Instant) -> float:
        if entry.failure is not None:
            since = elapsed(entry.failure.at, now)
            return 0.0 if since.backwards else entry.failure.backoff - since.seconds
        if entry.held is None:
            return math.inf
        age = elapsed(entry.held.sent, now)
        return 0.0 if age.backwards else entry.held.refresh_after - age.seconds

    def report(self) -> list[Report]:
        """Return the state of every listed secret, in the order of the configuration."""
        now = self._clock.now()
        return [self._report(entry, now) for entry in self._listed.values()]

    def _report(self, entry: _Entry, now: Instant) -> Report:
        held, failure = entry.held, entry.failure
        age = None if held is None else elapsed(held.sent, now).seconds
        if held is not None and self._is_fresh(entry, held, now):
            state = State.FRESH
        elif held is not None and (
            failure is None or (failure.is_passing and self._may_serve_on_error(entry, held, now))
        ):
            state = State.STALE
        else:
            state = State.PENDING if failure is None else State.FAILED
        return Report(
            name=entry.name,
            state=state,
            age=age,
            version_id=None if held is None else held.secret.version_id,
            error=None if failure is None else failure.error.code,
            servable=state in {State.FRESH, State.STALE},
        )

    async def aclose(self) -> None:
        """Cancel whatever is under way."""
        if self._prefetch is not None:
            self._prefetch.cancel()
            await asyncio.gather(self._prefetch, return_exceptions=True)
        await self._flights.aclose()
