"""What is known of the process from outside: what it has surely taken and still holds, how long a fetch may take it."""

from dataclasses import dataclass

from tests.soak.client import Answer, Request
from tests.soak.history import Asked, History, Outcome
from tests.soak.world import Policy

# The pauses between three attempts, and the moment that an attempt which was frozen has to end well.
PAUSES_SECONDS = 0.3
GRACE_SECONDS = 0.5
# From the decision to fetch to the call's arrival, with nothing in the way; and from an answer to the entry.
TRANSIT_SECONDS = 0.5
# The first pause after a failure, at its longest; failures that follow one another are seen.
FIRST_BACKOFF_SECONDS = 1.25
# A row of failures is shorter than this.
LAST_CALLS = 60


@dataclass
class Known:
    """The history of one execution environment, as far as it tells of the process."""

    policy: Policy
    history: History

    def until(self, request: Request, moment: float) -> list[Asked]:
        """Return the last calls for a secret that had arrived by a moment."""
        return [asked for asked in self.history.calls(request.ref)[-LAST_CALLS:] if asked.arrived <= moment]

    def settled_good(self, request: Request, answer: Answer) -> Asked | None:
        """Return the last call whose good answer the process had surely taken when it was asked."""
        settled = self.history.beats.settled(answer.sent)
        for asked in reversed(self.history.calls(request.ref)):
            if asked.outcome is Outcome.GOOD and asked.is_answered and asked.ended < settled:
                return asked
        return None

    def held(self, request: Request, answer: Answer) -> Asked | None:
        """The same, if the value is surely held still: what is not listed may have had to go."""
        return None if request.listed is None else self.settled_good(request, answer)

    def failed_since(self, request: Request, answer: Answer, given: Asked) -> bool:
        """Return whether AWS has failed in passing, or not been reached, since it gave a value."""
        failed = any(
            asked.outcome is Outcome.PASSING and asked.arrived >= given.arrived
            for asked in self.until(request, answer.received)
        )
        return failed or self.history.was_blocked(given.arrived, answer.received)

    def may_have_failed_unseen(self, since: float, until: float) -> bool:
        """Return whether, shortly before or in between, a fetch may have ended in a failure without a call to AWS."""
        began = since - self.policy.fetch_timeout - PAUSES_SECONDS - FIRST_BACKOFF_SECONDS
        gaps = self.history.beats.gaps_until(until)
        return self.history.was_blocked(began, until) or any(ended >= began for _, ended in gaps)

    def reach_seconds(self, moment: float) -> float:
        """Return how long before `moment` a fetch may have begun that was under way then, all attempts together."""
        budget = self.policy.fetch_timeout
        reach = budget + PAUSES_SECONDS + TRANSIT_SECONDS
        if self.history.was_blocked(moment - reach - budget, moment):
            reach += 2 * budget
        for began, ended in self.history.beats.gaps_until(moment):
            if ended < moment - reach:
                break
            reach += ended - began + budget + GRACE_SECONDS
        return reach
