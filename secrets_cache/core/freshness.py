"""
How old a value is, and what may be done with it at that age.

Terms are those of RFC 9111 (fresh, stale, age) and RFC 5861 (stale-while-revalidate, stale-if-error).

Rules
-----
1. Age is judged at the moment of reading, never by a timer: the process may have been frozen in between.
2. Age counts from when the fetch was sent. Serving a value never makes it younger.
3. A wall clock that went backwards counts as expired.
4. A definite refusal is never masked by an old value once that has expired, until AWS gives a value again.
"""

import math
from enum import Enum
from typing import NamedTuple

from secrets_cache.core.clock import Instant, elapsed
from secrets_cache.core.secret import Ref, Secret
from secrets_cache.errors import SecretError, SecretUnavailable

FORCED_INTERVAL_SECONDS = 1.0
BACKOFF_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 60.0
JITTER = 0.25


class State(Enum):
    """The state of a secret, as `/health` shows it."""

    PENDING = "pending"
    FRESH = "fresh"
    STALE = "stale"
    FAILED = "failed"


class FreshnessPolicy(NamedTuple):
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

    def refresh_after(self, chance: float) -> float:
        """
        Return the age at which a refresh is due; infinite for never.

        It lies somewhere in the earlier half of the window, as `chance` (0 to 1) has it, so that environments that
        started together do not refresh together.
        """
        ahead = self.ttl * self.refresh_ahead * (0.5 + chance / 2)
        return self.ttl - ahead if ahead > 0 else math.inf


class CachedValue(NamedTuple):
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

    def age(self, now: Instant, ttl: float) -> float:
        """Return the age in seconds; at least the ttl if the wall clock went back."""
        since = elapsed(self.sent, now)
        return max(since.seconds, ttl) if since.backwards else since.seconds

    def had_expired(self, then: Instant, ttl: float, slowest_fetch: float) -> bool:
        """
        Return whether this would have been expired already at a moment that may lie before it was asked for.

        Not if only its fetch was slow: who asks meanwhile shares it, however short the ttl.
        """
        return self.sent.monotonic <= then.monotonic and self.age(then, ttl) >= max(ttl, slowest_fetch)


class Failure(NamedTuple):
    """
    A fetch that failed, when, the how manieth in a row it is, and for how many seconds there is no other.

    Attributes:
        refused: Whether AWS has said no, this time or before in the row: that it cannot be asked now unsays nothing.
    """

    error: SecretError
    at: Instant
    in_a_row: int
    backoff: float
    refused: bool

    @classmethod
    def after(cls, earlier: "Failure | None", error: SecretError, now: Instant, chance: float) -> "Failure":
        """Return the failure that follows `earlier`: the back-off is 1 s, doubled to at most 60 s, with jitter."""
        in_a_row = 1 if earlier is None else earlier.in_a_row + 1
        refused = not isinstance(error, SecretUnavailable) or (earlier is not None and earlier.refused)
        doubled = _doubled(in_a_row)
        return cls(error, now, in_a_row, doubled * (1 - JITTER + 2 * JITTER * chance), refused)

    @property
    def shortest_backoff(self) -> float:
        """The shortest that chance could have made the back-off."""
        return _doubled(self.in_a_row) * (1 - JITTER)


def _doubled(in_a_row: int) -> float:
    # Cut off before chance has its say: the longest ones are those that a fleet must not make in step.
    return min(math.ldexp(BACKOFF_SECONDS, min(in_a_row - 1, 16)), MAX_BACKOFF_SECONDS / (1 + JITTER))


class Entry:
    """
    One version of one secret: what is held of it, and what last went wrong.

    Attributes:
        ref: What AWS is asked for.
        name: What it is called in logs and reports.
        policy: How long a value may be used.
        held: The last value; None if there never was one.
        failure: The last fetch's failure; None if it succeeded or there was none.
        forced: When a forced refresh was last begun.
        refreshes: How many fetches of it have ended, well or not.
        failures: How many of them failed.
    """

    __slots__ = ("failure", "failures", "forced", "held", "name", "policy", "ref", "refreshes")

    def __init__(self, ref: Ref, name: str, policy: FreshnessPolicy) -> None:
        self.ref = ref
        self.name = name
        self.policy = policy
        self.held: CachedValue | None = None
        self.failure: Failure | None = None
        self.forced: Instant | None = None
        self.refreshes = 0
        self.failures = 0

    def age(self, now: Instant) -> float:
        """Return the held value's age in seconds, infinite for none; at least the ttl if the wall clock went back."""
        return math.inf if self.held is None else self.held.age(now, self.policy.ttl)

    def is_fresh(self, now: Instant) -> bool:
        """Return whether a value is held and younger than its ttl."""
        return self.age(now) < self.policy.ttl

    def is_refresh_due(self, now: Instant) -> bool:
        """Return whether a held value has come to the age at which a refresh is due."""
        return self.held is not None and self.age(now) >= self.held.refresh_after

    def is_refresh_near(self, now: Instant) -> bool:
        """
        Return whether the window has begun in which a refresh is due, so that it may be made with others.

        After a failure that may pass, it is the one in which the back-off ends; what was refused would fail the others.
        """
        if self.failure is None:
            return self.age(now) >= self.policy.ttl * (1 - self.policy.refresh_ahead)
        since = elapsed(self.failure.at, now)
        return not self.failure.refused and (since.backwards or since.seconds >= self.failure.shortest_backoff)

    def may_serve_while_revalidating(self, now: Instant) -> bool:
        """Return whether stale-while-revalidate covers the age, and AWS has not refused since."""
        if self.failure is not None and self.failure.refused:
            return False
        return self.age(now) < self.policy.ttl + self.policy.stale_while_revalidate

    def may_serve_after(self, failure: Failure, now: Instant) -> bool:
        """Return whether a value may be served though a fetch has just failed so."""
        bridged = 0.0 if failure.refused else self.policy.stale_if_error
        return isinstance(failure.error, SecretUnavailable) and self.age(now) < self.policy.ttl + bridged

    def failure_in_force(self, now: Instant) -> Failure | None:
        """Return the failure that forbids another fetch for now; None if there is none."""
        if self.failure is None:
            return None
        since = elapsed(self.failure.at, now)
        return self.failure if not since.backwards and since.seconds < self.failure.backoff else None

    def may_force(self, now: Instant) -> bool:
        """Return whether the last forced refresh is long enough ago for another."""
        if self.forced is None:
            return True
        since = elapsed(self.forced, now)
        return since.backwards or since.seconds >= FORCED_INTERVAL_SECONDS

    def seconds_to_refresh(self, now: Instant) -> float:
        """Return in how many seconds a refresh is due; infinite for never, 0 or less for now."""
        if self.failure is not None:
            since = elapsed(self.failure.at, now)
            return 0.0 if since.backwards else self.failure.backoff - since.seconds
        return math.inf if self.held is None else self.held.refresh_after - self.age(now)

    def state(self, now: Instant) -> State:
        """Return the state; an expired value that nothing is known to be wrong with is stale."""
        if self.is_fresh(now):
            return State.FRESH
        if self.failure is None:
            return State.PENDING if self.held is None else State.STALE
        return State.STALE if self.may_serve_after(self.failure, now) else State.FAILED
