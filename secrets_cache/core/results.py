"""What the cache gives: an answer and how it came about; a report on each listed secret."""

from enum import Enum
from typing import Final

from secrets_cache.core.clock import Clock, Instant, elapsed
from secrets_cache.core.entry import Entry
from secrets_cache.core.freshness import CachedValue, State
from secrets_cache.core.named_tuple import NamedTuple
from secrets_cache.core.registry import find_member_name
from secrets_cache.core.secret import Confidential, Ref, Secret
from secrets_cache.errors import MemberNotFound, ValueMissing


class CacheStatus(Enum):
    """How an answer came about; the values are RFC 9211 parameters."""

    HIT = "hit"
    MISS = "fwd=miss"
    EXPIRED = "fwd=stale"
    FORCED = "fwd=request"
    STALE = "hit; detail=stale"


class CacheResult(Confidential):
    """
    An answer: a held value, and how the answer came about.

    Attributes:
        held: The value and when it was fetched.
        status: How the answer came about.
        replayable_seconds: The age of `held`, in seconds, up to which this answer may be given again without asking the
            cache, as long as the cache's `generation` is the same; 0 for never.
    """

    __slots__ = ("held", "replayable_seconds", "status")

    def __init__(self, held: CachedValue, status: CacheStatus, replayable_seconds: float = 0.0) -> None:
        self.held: Final = held
        self.status: Final = status
        self.replayable_seconds: Final = replayable_seconds

    @property
    def secret(self) -> Secret:
        """The cached secret."""
        return self.held.secret

    def select_member(self, path: Ref, name: str, clock: Clock) -> "CacheResult":
        """
        Return the answer for the parameter below `path` that `name` means; for anything but a path this answer.

        Raises:
            MemberNotFound: AWS did not have it when it was asked for the path.
        """
        full = find_member_name(path, name) if path.is_path else None
        if full is None:
            return self
        held = self.held
        member = (held.secret.members or {}).get(full)
        if member is None:
            age_seconds = elapsed(held.sent, clock.now()).seconds
            raise MemberNotFound(name, path=path.secret_id, age_seconds=age_seconds)
        value = CachedValue(member, held.sent, held.received_at, held.refresh_age_seconds)
        return CacheResult(value, self.status, self.replayable_seconds)


class EntryKind(Enum):
    """What can be listed, as `/health` names it."""

    SECRET = "secret"  # noqa: S105 - the word for one
    PARAMETER = "parameter"
    PATH = "path"

    @classmethod
    def of(cls, ref: Ref) -> "EntryKind":
        """Return the kind of what AWS is asked for."""
        if ref.is_path:
            return cls.PATH
        return cls.PARAMETER if ref.is_parameter else cls.SECRET


class EntryReport(NamedTuple):
    """
    What `/health` shows of one listed secret; never its value.

    Attributes:
        name: The name in the configuration.
        kind: What is listed: a secret, a parameter, or a path of parameters.
        state: Whether there is a value, and whether it is fresh.
        age: Seconds since the fetch of the held value was sent; None without a value.
        version_id: The held version; None without a value.
        error: The code of the last fetch's failure; None if that fetch succeeded.
        reason: The reason for `error`, as one sentence.
        fetches_ended: How many fetches have ended, well or not.
        failures: How many fetches failed.
    """

    name: str
    kind: EntryKind
    state: State
    age: float | None
    version_id: str | None
    error: str | None
    reason: str | None
    fetches_ended: int
    failures: int

    @classmethod
    def of(cls, entry: Entry, now: Instant) -> "EntryReport":
        """Return the report on an entry."""
        state, error = entry.state(now), None if entry.failure is None else entry.failure.error
        if entry.held is not None and not entry.held.secret.has_value:
            state, error = State.FAILED, error or ValueMissing(entry.name)
        return cls(
            name=entry.name,
            kind=EntryKind.of(entry.ref),
            state=state,
            age=None if entry.held is None else entry.age(now),
            version_id=None if entry.held is None else entry.held.secret.version_id,
            error=None if error is None else error.code,
            reason=None if error is None else str(error),
            fetches_ended=entry.fetches_ended,
            failures=entry.failures,
        )

    @property
    def is_servable(self) -> bool:
        """Whether a request would be answered with a value, as far as is known."""
        return self.state in {State.FRESH, State.STALE}
