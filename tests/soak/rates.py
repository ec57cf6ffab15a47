"""
How often AWS was asked: single flight, back-off, attempts, and no fetch without a reason.

Judged at the end, over all calls for each listed secret. Where the process was frozen or kept from running between two
calls, the time between them says nothing, and counting begins anew.
"""

import bisect
import itertools
import math
from collections.abc import Iterator, Sequence

from tests.soak.history import Asked, History, Outcome
from tests.soak.world import FORCED_SECONDS, MAX_BACKOFF_SECONDS, ONLY_FORCED, Listed, Policy, Ref

MAX_ATTEMPTS = 3
BACKOFF_SECONDS = 0.75
# How much later than its fetch a call may arrive, and than it ended its end may be noticed.
TRANSIT_SECONDS = 0.45
# How much of what led to a violation is told.
TOLD_SECONDS = 15


def broken(history: History, policy: Policy) -> list[str]:
    """Return what the calls of one execution environment break, in words."""
    recoveries = Recoveries(history)
    found = [text for ref, calls in history.asked.items() for text in _overlaps(history, ref, calls)]
    for listed in policy.listed:
        found += _Sequence(history, policy, listed, recoveries).broken()
    return found


class Recoveries:
    """When AWS has answered, and for what: what had failed in passing may then be asked for again sooner."""

    def __init__(self, history: History) -> None:
        answered = (
            (call.ended, ref)
            for ref, calls in history.asked.items()
            for call in calls
            if call.is_answered and call.outcome is not Outcome.PASSING
        )
        self._answered = sorted(answered)

    def are_between(self, before: Asked, call: Asked) -> bool:
        """Return whether AWS has answered for anything else since a call failed, and before the next one."""
        if before.outcome is not Outcome.PASSING:
            return False
        first = bisect.bisect_right(self._answered, (before.ended,))
        for index in range(first, len(self._answered)):
            ended, ref = self._answered[index]
            if ended > call.arrived:
                return False
            if ref != call.ref:
                return True
        return False


def _overlaps(history: History, ref: Ref, calls: Sequence[Asked]) -> Iterator[str]:
    """Two calls for one thing at once: the first must have been given up, and so be about to end."""
    for before, call in itertools.pairwise(calls):
        together = min(before.ended, call.ended) - call.arrived
        if together > TRANSIT_SECONDS and not _is_disturbed(history, call.arrived - 1, before.ended):
            yield f"{ref}: two calls at once, for {together:.2f} s"


def _is_disturbed(history: History, since: float, until: float) -> bool:
    if history.was_blocked(since - 1, until):
        return True
    for began, ended in history.beats.gaps_until(until):
        if ended >= since - 1:
            return True
        if began < since - 1:
            return False
    return False


class _Sequence:
    """The calls for one listed secret, one after the other."""

    def __init__(self, history: History, policy: Policy, listed: Listed, recoveries: Recoveries) -> None:
        self._history = history
        self._policy = policy
        self._listed = listed
        self._recoveries = recoveries
        self._attempts = 1
        self._failures = 0
        self._is_recovery = False
        # The first fetch of all began before its call arrived by the time that imports take.
        self._began = -math.inf

    def broken(self) -> Iterator[str]:
        calls = self._history.calls(self._listed.ref)
        for before, call in itertools.pairwise(calls):
            if _is_disturbed(self._history, before.arrived, call.arrived):
                self._attempts, self._failures, self._is_recovery = 1, 0, True
                # After a failure it may be a further attempt of the same fetch.
                self._began = call.arrived if before.outcome is Outcome.GOOD else self._began
                continue
            text = (
                self._after_good(before, call) if before.outcome is Outcome.GOOD else self._after_failure(before, call)
            )
            if text is not None:
                yield f"{self._listed.secret}: {text}{self._tell(call)}"

    def _tell(self, last: Asked) -> str:
        """Return the calls up to this one, in seconds before it."""
        return "".join(
            f"\n  {call.arrived - last.arrived:+.3f}..{call.ended - last.arrived:+.3f} {call.kind}"
            for call in self._history.calls(self._listed.ref)
            if last.arrived - TOLD_SECONDS < call.arrived <= last.arrived
        )

    def _after_good(self, before: Asked, call: Asked) -> str | None:
        least = self._least_between()
        between = call.arrived - self._began
        self._attempts, self._failures, self._began, self._is_recovery = 1, 0, call.arrived, False
        if between >= least - TRANSIT_SECONDS or not before.is_answered:
            return None
        return f"asked again {between:.2f} s after a fetch had begun; {least:.2f} s are the least"

    def _least_between(self) -> float:
        """Return how long after a fetch has begun nothing asks for another."""
        if self._listed.secret == ONLY_FORCED:
            # What a timer fetched after a failure may be fetched anew at once.
            return 0.0 if self._is_recovery else FORCED_SECONDS
        if self._listed.may_be_forced:
            return 0.0
        return self._listed.ttl * (1 - self._policy.refresh_ahead_percent / 100)

    def _after_failure(self, before: Asked, call: Asked) -> str | None:
        pause = call.arrived - before.ended
        has_recovered = self._recoveries.are_between(before, call)
        # A call that hung has used up the budget.
        if before.outcome is Outcome.PASSING and before.is_answered:
            if pause < BACKOFF_SECONDS:
                self._attempts = 1 if has_recovered and self._attempts == MAX_ATTEMPTS else self._attempts + 1
                return None if self._attempts <= MAX_ATTEMPTS else f"{self._attempts} attempts in a row"
            if pause < BACKOFF_SECONDS + TRANSIT_SECONDS and self._attempts < MAX_ATTEMPTS:
                # The longest pause after a throttled attempt is as long as the shortest back-off: it may be either.
                self._attempts = 1
                return None
        self._failures += 1
        least = min(BACKOFF_SECONDS * 2 ** min(self._failures - 1, 10), MAX_BACKOFF_SECONDS)
        self._attempts, self._began, self._is_recovery = 1, call.arrived, True
        if pause >= least - TRANSIT_SECONDS or has_recovered:
            return None
        return f"asked again {pause:.2f} s after failure {self._failures} in a row; {least:.2f} s are the least"
