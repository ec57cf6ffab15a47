"""
What callers saw: how old what they got was, how often they got nothing, how long they waited. Pure.

Invocations that were not made one by one count by their expected number.
"""

from collections import defaultdict
from itertools import accumulate


class Tally:
    """
    What callers saw.

    Args:
        ttl: Past which age, in seconds, a value counts as stale.

    Attributes:
        invocations: How many there were.
        failures: How many failed for want of a secret.
        values: How many values were served.
        stale: How many of these were past their ttl.
        oldest: The greatest age that was served, in seconds.
        longest_wait: How long the secrets of one invocation took that then succeeded, in seconds.
        last_failure: When an invocation last failed, in seconds from the beginning.
    """

    def __init__(self, ttl: float) -> None:
        self._ttl = ttl
        # By age in whole seconds: by how much more often, for each second of age, a value is served from there on.
        self._steps: defaultdict[int, float] = defaultdict(float)
        self.invocations = 0.0
        self.failures = 0.0
        self.values = 0.0
        self.stale = 0.0
        self.oldest = 0.0
        self.longest_wait = 0.0
        self.last_failure = 0.0

    def served(self, age: float) -> None:
        """Count one value."""
        self._count(int(age), int(age) + 1, 1.0)
        self.values += 1
        self.stale += age >= self._ttl
        self.oldest = max(self.oldest, age)

    def served_between(self, youngest: float, oldest: float, rate: float) -> None:
        """Count values served `rate` times a second while they grew from one age to another."""
        self._count(int(youngest), int(oldest), rate)
        self.values += rate * (oldest - youngest)
        self.stale += rate * max(oldest - max(youngest, self._ttl), 0.0)
        self.oldest = max(self.oldest, oldest)

    def _count(self, first: int, end: int, density: float) -> None:
        self._steps[first] += density
        self._steps[end] -= density

    def succeeded(self, began: float, ended: float) -> None:
        """Count an invocation that had all its secrets."""
        self.invocations += 1
        self.longest_wait = max(self.longest_wait, ended - began)

    def failed(self, until: float, times: float = 1.0) -> None:
        """Count invocations that failed for want of a secret, the last of them at the moment `until`."""
        self.last_failure = max(self.last_failure, until)
        self.invocations += times
        self.failures += times

    def age_at(self, share: float) -> float:
        """Return the age, in whole seconds, that so great a share of the values did not exceed."""
        ages = range(max(self._steps, default=0) + 1)
        densities = accumulate(self._steps[age] for age in ages)
        sums = list(accumulate(densities))
        return next((float(age + 1) for age, total in zip(ages, sums, strict=True) if total >= share * sums[-1]), 0.0)
