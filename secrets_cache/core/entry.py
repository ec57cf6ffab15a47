"""
One cache entry: the last value of a secret, the last failure, and what that allows now.

Rules
-----
1. Every question is answered for the instant that is handed in; nothing is remembered of earlier questions.
2. A definite refusal is never masked by an old value once that has expired, until AWS gives a value again.
3. Only a fetch changes the value. A forced refresh, and the search for a parameter below a path, only change when the
   next one is allowed; another configuration only changes how long the value may be used.
"""

import math
from collections.abc import Callable

from secrets_cache.core.backoff import Failure
from secrets_cache.core.clock import Instant, elapsed
from secrets_cache.core.freshness import CachedValue, FreshnessPolicy, State
from secrets_cache.core.secret import Ref
from secrets_cache.errors import MemberNotFound, SecretUnavailable

FORCED_INTERVAL_SECONDS = 1.0


class Entry:
    """
    One version of one secret or parameter, or one path.

    Attributes:
        ref: What AWS is asked for.
        name: The name in logs and reports.
        policy: How long a value may be used.
        held: The last value; None before the first.
        failure: The last fetch's failure; None if the last fetch succeeded, or there was none.
        forced_at: When the last forced refresh began; None before the first.
        member_missing: When AWS was last asked for a path again because of a parameter that is not below it; None if
            that was never so, or the path has changed since.
        fetches_ended: How many fetches have ended, well or not.
        failures: How many fetches failed.
    """

    __slots__ = ("failure", "failures", "fetches_ended", "forced_at", "held", "member_missing", "name", "policy", "ref")

    def __init__(self, ref: Ref, name: str, policy: FreshnessPolicy) -> None:
        self.ref = ref
        self.name = name
        self.policy = policy
        self.held: CachedValue | None = None
        self.failure: Failure | None = None
        self.forced_at: Instant | None = None
        self.member_missing: Failure | None = None
        self.fetches_ended = 0
        self.failures = 0

    def change(self, name: str, policy: FreshnessPolicy, random: Callable[[], float]) -> None:
        """Give it another name and another policy, as a changed configuration does. It keeps its value and its age."""
        if policy != self.policy and self.held is not None:
            held, refresh_age_seconds = self.held, policy.pick_refresh_age_seconds(random)
            self.held = CachedValue(held.secret, held.sent, held.received_at, refresh_age_seconds)
        self.name, self.policy = name, policy

    def age(self, now: Instant) -> float:
        """Return the held value's age in seconds: infinite for none, at least the ttl if the wall clock went back."""
        return math.inf if self.held is None else self.held.age(now, self.policy.ttl_seconds)

    def is_fresh(self, now: Instant) -> bool:
        """Return whether there is a value, and it is younger than its ttl."""
        return self.age(now) < self.policy.ttl_seconds

    def is_refresh_due(self, now: Instant) -> bool:
        """Return whether the held value has reached the age at which a refresh is due."""
        return self.held is not None and self.age(now) >= self.held.refresh_age_seconds

    def is_refresh_near(self, now: Instant) -> bool:
        """
        Return whether a refresh may be made now, along with another entry's.

        That is so from the beginning of the refresh-ahead window; after a passing failure, from the earliest end that
        the back-off could have had. After a refusal it is never so: the refusal would fail the whole call.
        """
        if self.failure is None:
            return self.age(now) >= self.policy.ttl_seconds * (1 - self.policy.refresh_ahead)
        since = elapsed(self.failure.at, now)
        is_over = since.backwards or since.seconds >= self.failure.shortest_backoff_seconds
        return not self.failure.refused and is_over

    def may_serve_while_revalidating(self, now: Instant) -> bool:
        """Return whether stale-while-revalidate covers the age, and AWS has not refused since."""
        if self.failure is not None and self.failure.refused:
            return False
        return self.age(now) < self.policy.ttl_seconds + self.policy.stale_while_revalidate_seconds

    def may_serve_after(self, failure: Failure, now: Instant) -> bool:
        """Return whether the held value may be served although a fetch ended in `failure`."""
        bridged = 0.0 if failure.refused else self.policy.stale_if_error_seconds
        return isinstance(failure.error, SecretUnavailable) and self.age(now) < self.policy.ttl_seconds + bridged

    def active_failure(self, now: Instant) -> Failure | None:
        """Return the failure whose back-off forbids another fetch; None if there is none, or its end is unknown."""
        return self.failure if self.failure is not None and self.failure.is_active(now) else None

    def may_force_refresh(self, now: Instant) -> bool:
        """Return whether the last forced refresh is long enough ago for another one."""
        if self.forced_at is None:
            return True
        since = elapsed(self.forced_at, now)
        return since.backwards or since.seconds >= FORCED_INTERVAL_SECONDS

    def may_look_for_member(self, error: MemberNotFound, now: Instant, random: Callable[[], float]) -> bool:
        """Return whether AWS may be asked for a path again, as it may have the parameter now; then not for a while."""
        is_waiting = self.member_missing is not None and self.member_missing.is_active(now)
        if is_waiting or error.age_seconds < FORCED_INTERVAL_SECONDS:
            return False
        self.member_missing = Failure.after(self.member_missing, error, now, random)
        return True

    def seconds_to_refresh(self, now: Instant) -> float:
        """Return the seconds until a refresh is due: infinite for never, 0 or less for now."""
        if self.failure is not None:
            since = elapsed(self.failure.at, now)
            return 0.0 if since.backwards else self.failure.backoff_seconds - since.seconds
        return math.inf if self.held is None else self.held.refresh_age_seconds - self.age(now)

    def state(self, now: Instant) -> State:
        """Return the state. An expired value without a failure is stale."""
        if self.is_fresh(now):
            return State.FRESH
        if self.failure is None:
            return State.PENDING if self.held is None else State.STALE
        return State.STALE if self.may_serve_after(self.failure, now) else State.FAILED
