"""
Failed fetches, and how long the next fetch waits after them.

Rules
-----
1. The pause is 1 s, doubled with each failure in a row to at most 60 s, a quarter more or less at random.
2. A refusal by AWS counts until AWS gives a value again: a passing failure after it does not take it back.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from secrets_cache.core.clock import Instant
from secrets_cache.errors import SecretError, SecretUnavailable

BACKOFF_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 60.0
JITTER = 0.25


class Failure(NamedTuple):
    """
    A failed fetch: the error, the time, how many failed in a row, and the seconds until the next try.

    Attributes:
        refused: Whether AWS gave a definite refusal, now or earlier in the row. A passing failure after a refusal does
            not take the refusal back.
    """

    error: SecretError
    at: Instant
    in_a_row: int
    backoff_seconds: float
    refused: bool

    @classmethod
    def after(
        cls, earlier: "Failure | None", error: SecretError, now: Instant, random: Callable[[], float]
    ) -> "Failure":
        """Return the failure that follows `earlier`: the back-off is 1 s, doubled to at most 60 s, with jitter."""
        in_a_row = 1 if earlier is None else earlier.in_a_row + 1
        refused = not isinstance(error, SecretUnavailable) or (earlier is not None and earlier.refused)
        backoff_seconds = _compute_backoff(in_a_row) * (1 - JITTER + 2 * JITTER * random())
        return cls(error, now, in_a_row, backoff_seconds, refused)

    @property
    def shortest_backoff_seconds(self) -> float:
        """The shortest back-off that the jitter could have given."""
        return _compute_backoff(self.in_a_row) * (1 - JITTER)


def _compute_backoff(in_a_row: int) -> float:
    # Cut off before the jitter is added: the longest back-offs are those that a fleet must not make in step.
    return min(math.ldexp(BACKOFF_SECONDS, min(in_a_row - 1, 16)), MAX_BACKOFF_SECONDS / (1 + JITTER))
