"""
Credentials that expire, and are renewed before they do.

Rules
-----
1. The two windows before the end are botocore's. In the first, one caller renews: a failure does not matter, and the
   others do not wait. In the second, all wait, and a failure is theirs.
2. Callers who wait for a renewal share its outcome. One that its caller cancels has none: the next caller renews.
3. Age is judged at reading, by both clocks: the process may have been frozen. No timer, and no task.
"""

import asyncio
import sys
from abc import ABC, abstractmethod

from secrets_cache.aws.credentials import Credentials
from secrets_cache.aws.errors import NO_CREDENTIALS, STILL_EXPIRED, make_unanswered
from secrets_cache.core.clock import Clock, elapsed
from secrets_cache.core.named_tuple import NamedTuple
from secrets_cache.core.retry import RetryableError
from secrets_cache.errors import SecretError

ADVISORY_SECONDS = 15 * 60.0
MANDATORY_SECONDS = 10 * 60.0


class Grant(NamedTuple):
    """Credentials, and when they expire, in seconds since the epoch."""

    credentials: Credentials
    expires_at: float


class RenewedCredentials(ABC):
    """A `CredentialsProvider` that asks for credentials when first needed, and again in time."""

    source: str
    was_given_up = False

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._grant: Grant | None = None
        self._granted_at = clock.now()
        self._renewing = asyncio.Lock()
        # How many renewals have ended; what the last one lacked.
        self._renewals = 0
        self._failure: SecretError | RetryableError | str | None = None

    @abstractmethod
    async def _fetch(self) -> Grant | None:
        """Ask for credentials. None if there are none. Raises SecretError or RetryableError, which name no secret."""

    async def get(self, name: str) -> Credentials:
        """Return credentials that are valid now, as `CredentialsProvider` says."""
        try:
            return await self._get_valid(name)
        finally:
            self.was_given_up = isinstance(sys.exception(), asyncio.CancelledError)

    async def _get_valid(self, name: str) -> Credentials:
        left, renewals = self._left_seconds(), self._renewals
        may_fail = left >= MANDATORY_SECONDS
        if left < ADVISORY_SECONDS and not (may_fail and self._renewing.locked()):
            async with self._renewing:
                if self._renewals == renewals:
                    await self._renew()
            left = self._left_seconds()
            failure = None if may_fail and left >= 0 else self._failure
            if failure is not None:
                # What has none has made all attempts that are worth making.
                raise make_unanswered(name, failure).error if isinstance(failure, str) else failure
        if self._grant is None or left < 0:
            raise make_unanswered(name, STILL_EXPIRED)
        return self._grant.credentials

    def reject(self, credentials: Credentials) -> bool:
        """Forget these credentials, unless they were renewed meanwhile; return True."""
        if self._grant is not None and self._grant.credentials == credentials:
            self._grant = None
        return True

    async def _renew(self) -> None:
        self._failure = None
        try:
            grant = await self._fetch()
        except (SecretError, RetryableError) as failure:
            self._failure = failure
        else:
            if grant is None:
                self._failure = NO_CREDENTIALS
            else:
                self._grant, self._granted_at = grant, self._clock.now()
        self._renewals += 1

    def _left_seconds(self) -> float:
        """Return how long the credentials are still valid; negative if they are not, or if there are none."""
        if self._grant is None:
            return float("-inf")
        return self._grant.expires_at - self._granted_at.wall - elapsed(self._granted_at, self._clock.now()).seconds
