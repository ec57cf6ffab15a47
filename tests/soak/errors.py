"""The oracle's rules for an error: whether AWS gave reason for it, and whether a value had to be served instead."""

import json
import math
from dataclasses import dataclass

from tests.soak.client import Answer, Request
from tests.soak.history import Outcome
from tests.soak.known import TRANSIT_SECONDS, Known
from tests.soak.world import MAX_BACKOFF_SECONDS

BACKOFF_JITTER = 1.25

MEANING = {
    (502, "upstream-refused"): Outcome.DEFINITE,
    (404, "secret-not-found"): Outcome.DEFINITE,
    (404, "version-not-found"): Outcome.DEFINITE,
    (503, "upstream-unavailable"): Outcome.PASSING,
    (504, "upstream-timeout"): Outcome.PASSING,
}
# In AWS's protocol: the layer has 400 for everything, the agent some more.
AWS_STATUSES = (400, 500, 502, 503, 504)
REFUSALS = (
    "AccessDeniedException",
    "DecryptionFailure",
    "InvalidRequestException",
    "ResourceNotFoundException",
)


@dataclass
class Errors:
    """Judges errors."""

    known: Known

    def judge(self, request: Request, answer: Answer) -> str | None:
        """Return which rule an error breaks; None if it breaks none."""
        if request.is_aws:
            return self._judge_aws(request, answer)
        found = (answer.status, code_of(answer))
        if request.method == "HEAD":
            # Without a body there is no code; each status has one here.
            found = next((pair for pair in MEANING if pair[0] == answer.status), found)
        if found == request.wrong_key:
            return None
        outcome = MEANING.get(found)
        if outcome is None:
            return f"{found} is no answer to this"
        if outcome is Outcome.PASSING and not 1 <= int(answer.headers.get("retry-after", "0")) <= MAX_BACKOFF_SECONDS:
            return f"Retry-After is {answer.headers.get('retry-after')}"
        return self._judge_outcome(request, answer, outcome)

    def _judge_aws(self, request: Request, answer: Answer) -> str | None:
        """The same in AWS's protocol, where the type in the body tells a refusal from a passing failure."""
        try:
            kind = json.loads(answer.body)["__type"]
        except (ValueError, KeyError, TypeError):
            return f"{answer.status} without the type of an error"
        if answer.status not in AWS_STATUSES:
            return f"{answer.status} is no answer to this"
        return self._judge_outcome(request, answer, Outcome.DEFINITE if kind in REFUSALS else Outcome.PASSING)

    def _judge_outcome(self, request: Request, answer: Answer, outcome: Outcome) -> str | None:
        rules = (self._cause, self._remembered, self._though_held)
        return next((broken for rule in rules if (broken := rule(request, answer, outcome)) is not None), None)

    def _cause(self, request: Request, answer: Answer, outcome: Outcome) -> str | None:
        """Look whether AWS gave reason for such an error since it last gave the value."""
        given = self.known.settled_good(request, answer)
        since = -math.inf if given is None else given.arrived
        failed = any(
            asked.outcome is outcome and asked.arrived > since for asked in self.known.until(request, answer.received)
        )
        is_blocked = outcome is Outcome.PASSING and self.known.history.was_blocked(since, answer.received)
        return (
            None if failed or is_blocked else f"{answer.status}, though AWS gave no such answer since it gave the value"
        )

    def _remembered(self, request: Request, answer: Answer, _: Outcome) -> str | None:
        """Look whether the failure was too long ago to be remembered without asking again."""
        asked = self.known.until(request, answer.received)
        failures = 0
        for last in reversed(asked):
            if last.outcome is Outcome.GOOD:
                break
            failures += 1
        if not failures or asked[-1].ended == math.inf:
            return None
        backoff = min(BACKOFF_JITTER * 2 ** min(failures - 1, 10), MAX_BACKOFF_SECONDS)
        allowed = backoff + TRANSIT_SECONDS + self.known.reach_seconds(answer.received)
        since = answer.sent - asked[-1].ended
        return None if since <= allowed else f"AWS was not asked again for {since:.1f} s; {allowed:.1f} s are allowed"

    def _though_held(self, request: Request, answer: Answer, outcome: Outcome) -> str | None:
        """Look whether a value was held that had to be served."""
        held = self.known.held(request, answer)
        if held is None:
            return None
        age = answer.received - held.arrived + self.known.reach_seconds(held.arrived)
        if age < request.ttl and not (request.is_forced and outcome is Outcome.DEFINITE):
            return f"an error, though a fresh value was held, no older than {age:.2f} s"
        since = [asked for asked in self.known.until(request, answer.received) if asked.arrived > held.arrived]
        is_refused = any(asked.outcome is Outcome.DEFINITE for asked in since)
        if outcome is Outcome.PASSING and not is_refused and age < request.ttl + self.known.policy.stale_if_error:
            return f"an error, though a value was held that may be served, no older than {age:.2f} s"
        return None


def code_of(answer: Answer) -> str:
    """Return the code of an error; empty for an answer that is none."""
    if answer.headers.get("content-type") != "application/problem+json":
        return ""
    return str(json.loads(answer.body or b"{}").get("code", "")) if answer.body else ""
