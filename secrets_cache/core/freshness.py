"""
How old a value is, and how long it may be used.

Terms are those of RFC 9111 (fresh, stale, age) and RFC 5861 (stale-while-revalidate, stale-if-error). What may be done
with a value at its age is decided in `entry`.

Rules
-----
1. Age is judged at the moment of reading, never by a timer: the process may have been frozen in between.
2. Age counts from when the fetch was sent. Serving a value never makes it younger.
3. A wall clock that went backwards counts as expired.
"""

import math
from collections.abc import Callable
from enum import Enum
from typing import Final

from secrets_cache.core.clock import Instant, elapsed
from secrets_cache.core.named_tuple import NamedTuple
from secrets_cache.core.secret import Confidential, Secret

MIN_REFRESH_AGE_SECONDS = 1.0


class State(Enum):
    """The state of an entry, as `/health` shows it."""

    PENDING = "pending"
    FRESH = "fresh"
    STALE = "stale"
    FAILED = "failed"


class FreshnessPolicy(NamedTuple):
    """
    How long a value may be used.

    Attributes:
        ttl_seconds: A value younger than this is fresh.
        refresh_ahead: The last part of the ttl, as a share from 0 to 1, in which a refresh is due; 0 for never.
        stale_while_revalidate_seconds: How long past its ttl a value is served while a refresh is under way.
        stale_if_error_seconds: How long past its ttl a value is served when AWS cannot be reached.
    """

    ttl_seconds: float
    refresh_ahead: float
    stale_while_revalidate_seconds: float
    stale_if_error_seconds: float

    def pick_refresh_age_seconds(self, random: Callable[[], float]) -> float:
        """
        Return the age at which a refresh is due; infinite for never.

        `random` (0 to 1) picks it from the earlier half of the refresh-ahead window, so that environments that started
        together do not refresh together. It is at least a second, or half of a ttl of less than two.
        """
        ahead = self.ttl_seconds * self.refresh_ahead * (0.5 + random() / 2)
        return (
            max(self.ttl_seconds - ahead, min(MIN_REFRESH_AGE_SECONDS, self.ttl_seconds / 2)) if ahead > 0 else math.inf
        )


class CachedValue(Confidential):
    """
    A value, when it was fetched, and when to refresh it.

    Attributes:
        secret: The value.
        sent: When the fetch that brought it was sent.
        received_at: When AWS gave it, in seconds since the epoch.
        refresh_age_seconds: The age at which a refresh is due; infinite for never.
    """

    __slots__ = ("received_at", "refresh_age_seconds", "secret", "sent")

    def __init__(self, secret: Secret, sent: Instant, received_at: float, refresh_age_seconds: float) -> None:
        self.secret: Final = secret
        self.sent: Final = sent
        self.received_at: Final = received_at
        self.refresh_age_seconds: Final = refresh_age_seconds

    def age(self, now: Instant, ttl_seconds: float) -> float:
        """Return the age in seconds; at least the ttl if the wall clock went back."""
        since = elapsed(self.sent, now)
        return max(since.seconds, ttl_seconds) if since.backwards else since.seconds

    def had_expired(self, then: Instant, ttl_seconds: float, fetch_timeout_seconds: float) -> bool:
        """
        Return whether this value was expired at the instant `then`, because its fetch was frozen before that.

        A fetch that took no longer than its timeout was only slow: callers share it, however short the ttl.
        """
        age = self.age(then, ttl_seconds)
        return self.sent.monotonic <= then.monotonic and age >= max(ttl_seconds, fetch_timeout_seconds)
