"""
Failed fetches, and how long the next fetch waits after them.

Rules
-----
1. The pause is 1 s, doubled with each failure in a row to at most 60 s, a quarter more or less at random.
2. A refusal by AWS counts until AWS gives a value again: a passing failure after it does not take it back.
3. What is left of a pause is cut to a second or two once AWS answers for another secret of the same place. A secret
   that fails alone, while others are answered, doubles that time; one that is throttled doubles it in any case.
"""

import math
from collections.abc import Callable

from secrets_cache.core.clock import Instant, elapsed
from secrets_cache.core.named_tuple import NamedTuple
from secrets_cache.errors import SecretError, SecretUnavailable

BACKOFF_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 60.0
JITTER = 0.25
# A secret that fails alone is asked again after at most 8 s; one that is throttled, after its whole back-off.
MAX_ALONE = 2


class Failure(NamedTuple):
    """
    A failed fetch: the error, the time, how many failed in a row, and the seconds until the next try.

    Attributes:
        refused: Whether AWS gave a definite refusal, now or earlier in the row. A passing failure after a refusal does
            not take the refusal back.
        is_shortened: Whether AWS has answered for another secret since, so that the back-off was cut.
        alone_in_a_row: How many failures before this one, in a row, were of tries that such a cut had brought about.
    """

    error: SecretError
    at: Instant
    in_a_row: int
    backoff_seconds: float
    refused: bool
    is_shortened: bool = False
    alone_in_a_row: int = 0

    @classmethod
    def after(
        cls, earlier: "Failure | None", error: SecretError, now: Instant, random: Callable[[], float]
    ) -> "Failure":
        """Return the failure that follows `earlier`: the back-off is 1 s, doubled to at most 60 s, with jitter."""
        in_a_row = 1 if earlier is None else earlier.in_a_row + 1
        refused = not isinstance(error, SecretUnavailable) or (earlier is not None and earlier.refused)
        backoff_seconds = _compute_backoff(in_a_row) * (1 - JITTER + 2 * JITTER * random())
        alone_in_a_row = 0 if earlier is None else earlier.alone_in_a_row + earlier.is_shortened
        return cls(error, now, in_a_row, backoff_seconds, refused, alone_in_a_row=alone_in_a_row)

    @property
    def is_passing(self) -> bool:
        """Whether AWS gave no usable answer, for a reason that may pass."""
        return isinstance(self.error, SecretUnavailable)

    @property
    def shortest_backoff_seconds(self) -> float:
        """The shortest back-off that the jitter could have given."""
        return min(_compute_backoff(self.in_a_row) * (1 - JITTER), self.backoff_seconds)

    def is_active(self, now: Instant) -> bool:
        """Return whether the back-off forbids another try; False if its end is unknown."""
        since = elapsed(self.at, now)
        return not since.backwards and since.seconds < self.backoff_seconds

    def shorten(self, now: Instant, share: float, *, is_alone: bool) -> "Failure":
        """
        Return this failure with what is left of its back-off cut, now that AWS has answered for another secret.

        Args:
            now: When AWS answered.
            share: A random number from 0 to 1.
            is_alone: Whether no other secret of the place waits for a passing failure to end.
        """
        is_throttled = isinstance(self.error, SecretUnavailable) and self.error.is_throttled
        alone = self.alone_in_a_row if is_throttled else min(self.alone_in_a_row, MAX_ALONE) if is_alone else 0
        until = elapsed(self.at, now).seconds + math.ldexp(BACKOFF_SECONDS + share, min(alone, 16))
        backoff_seconds = min(self.backoff_seconds, until)
        return self._replace(backoff_seconds=backoff_seconds, is_shortened=True, alone_in_a_row=alone)


def _compute_backoff(in_a_row: int) -> float:
    # Cut off before the jitter is added: the longest back-offs are those that a fleet must not make in step.
    return min(math.ldexp(BACKOFF_SECONDS, min(in_a_row - 1, 16)), MAX_BACKOFF_SECONDS / (1 + JITTER))
