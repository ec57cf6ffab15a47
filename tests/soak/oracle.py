"""
The oracle: which answers the contract allows, by what AWS had and gave.

Rules
-----
1. When the process judged an answer nobody outside knows: between the question and the arrival. A rule is broken only
   if it is broken for every such moment.
2. What the process holds came with a call that arrived at AWS after the fetch had begun. So "younger than its bound" is
   exact: the call arrived less than the bound before the question. No margin is needed, whatever was frozen.
3. "An error, though a value was held" and its like need the other direction: how long before the call its fetch may
   have begun. That is `reach_seconds`, which freezes make longer.
"""

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.conftest import PATIENCE_SECONDS
from tests.fakes import CANARY
from tests.soak.client import Answer, Request
from tests.soak.history import Asked, History, Outcome, Version
from tests.soak.world import LISTED, Policy, parts_of

if TYPE_CHECKING:
    from collections.abc import Callable

HIT, STALE = "hit", "hit; detail=stale"
MISS, EXPIRED, FORCED = "fwd=miss", "fwd=stale", "fwd=request"
FETCHED = (MISS, EXPIRED, FORCED)
# DESIGN section 5.
FORCED_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 60.0
BACKOFF_JITTER = 1.25
# The pauses between three attempts, and the moment that an attempt which was frozen has to end well.
PAUSES_SECONDS = 0.3
GRACE_SECONDS = 0.5
# From the decision to fetch to the call's arrival, with nothing in the way; and from an answer to the entry.
TRANSIT_SECONDS = 0.5
# After all that a fetch may take: the answer has to come.
LATE_SECONDS = PATIENCE_SECONDS

MEANING = {
    (502, "upstream-refused"): Outcome.DEFINITE,
    (404, "secret-not-found"): Outcome.DEFINITE,
    (503, "upstream-unavailable"): Outcome.PASSING,
    (504, "upstream-timeout"): Outcome.PASSING,
}


@dataclass
class Staleness:
    """
    The worst that was seen of one way of serving one ttl.

    Attributes:
        seconds: For how long a served version had no longer been current when it was asked for.
        bound: For how long it may have been.
        answers: How many answers were looked at.
    """

    bound: float
    seconds: float = 0.0
    answers: int = 0


@dataclass
class Oracle:
    """
    Judges the answers of one execution environment.

    Attributes:
        staleness: By ttl and way of serving.
    """

    policy: Policy
    history: History
    staleness: dict[tuple[float, str], Staleness] = field(default_factory=dict)

    def judge(self, request: Request, answer: Answer) -> str | None:
        """Return which rule an answer breaks; None if it breaks none."""
        rules: tuple[Callable[[Request, Answer], str | None], ...] = (self._in_time, self._secrecy, self._meaning)
        return next((broken for rule in rules if (broken := rule(request, answer)) is not None), None)

    # For every answer.

    def _in_time(self, request: Request, answer: Answer) -> str | None:
        allowed = self.reach_seconds(answer.received) + LATE_SECONDS
        took = answer.received - answer.sent
        return None if took <= allowed else f"the answer took {took:.1f} s; {allowed:.1f} s are allowed"

    def _secrecy(self, request: Request, answer: Answer) -> str | None:
        shown = repr(answer.headers) + ("" if answer.status == 200 and request.ref[0] else repr(answer.body))
        return "a value shows where none may be" if CANARY in shown else None

    def _meaning(self, request: Request, answer: Answer) -> str | None:
        if answer.headers.get("cache-control") != "no-store" and request.target != "/ping" and answer.status != 400:
            return "it may be kept by others: Cache-Control is not no-store"
        if request.target == "/health":
            return self._health(answer)
        if request.expected is not None:
            found = (answer.status, code_of(answer))
            return None if found == request.expected else f"{found}, and not {request.expected}"
        if answer.status in {200, 304}:
            return self._value(request, answer)
        return self._error(request, answer)

    def _health(self, answer: Answer) -> str | None:
        """Look whether the report is whole and agrees with itself: status code, status, states, ages."""
        report = json.loads(answer.body)
        states = {secret["state"] for secret in report["secrets"]}
        status = "failing" if states & {"failed", "pending"} else "degraded" if "stale" in states else "ok"
        if (report["status"], answer.status) != (status, 503 if status == "failing" else 200):
            return f"/health is {answer.status} {report['status']}, with states {sorted(states)}"
        if [secret["name"] for secret in report["secrets"]] != [listed.names[0] for listed in LISTED]:
            return "/health does not name what is listed"
        for listed, secret in zip(LISTED, report["secrets"], strict=True):
            if secret["state"] == "fresh" and secret["age_seconds"] > listed.ttl:
                return f"/health calls {listed.secret} fresh at {secret['age_seconds']} s"
            version = self.history.version(secret["version_id"] or "")
            if secret["version_id"] and (version is None or version.secret != listed.secret):
                return f"/health names a version that {listed.secret} never had"
        return None

    # A value.

    def _value(self, request: Request, answer: Answer) -> str | None:
        version = self.history.version(answer.headers.get("etag", "").strip('"'))
        mark = answer.headers.get("cache-status", "").removeprefix("secrets-cache; ")
        if version is None:
            return "a version that never was"
        rules = (self._body, self._age, self._mark, self._refusal, self._newness)
        return next((broken for rule in rules if (broken := rule(request, answer, version, mark)) is not None), None)

    def _body(self, request: Request, answer: Answer, version: Version, _: str) -> str | None:
        if answer.status == 304:
            is_asked_for = request.entity_tag in {"*", f'"{version.id}"'}
            return None if is_asked_for else "304 for another version than the caller has"
        if request.wrong_key is not None:
            return "a key that is not there was found"
        if request.entity_tag in {"*", f'"{version.id}"'}:
            return "200 though the caller has this version"
        if request.key is None:
            text, form = version.value, version.form
        else:
            text, form = parts_of(str(version.value))[request.key]
        expected = text.encode() if isinstance(text, str) else text
        if answer.headers["content-type"] != form.value:
            return f"{answer.headers['content-type']}, and not {form.value}"
        if request.method == "HEAD":
            return None if int(answer.headers["content-length"]) == len(expected) else "HEAD: another Content-Length"
        return None if answer.body == expected else "the body is not the value of the version that ETag names"

    def _age(self, request: Request, answer: Answer, version: Version, mark: str) -> str | None:
        """Look whether the version was given late enough to be served so."""
        fresh = request.ttl
        bounds = {
            HIT: fresh,
            STALE: fresh + self.policy.stale_seconds(has_failed=True),
            **dict.fromkeys(FETCHED, self.reach_seconds(answer.received)),
        }
        if mark not in bounds:
            return f"Cache-Status is {mark!r}"
        bound = bounds[mark]
        given = self.history.given(request.ref, version.id, answer.sent - bound, answer.received)
        if given is None:
            return f"older than {bound:.2f} s, which is the bound for {mark!r}"
        covered = fresh + self.policy.stale_seconds(has_failed=False)
        if mark == STALE and answer.sent - given.arrived >= covered and not self._failed_since(request, answer, given):
            return f"stale for longer than {covered:.2f} s, and AWS has not failed"
        self._note(request, answer, version, mark, bound)
        return None

    def _note(self, request: Request, answer: Answer, version: Version, mark: str, bound: float) -> None:
        way = "fetched" if mark in FETCHED else mark
        stale = self.staleness.setdefault((request.ttl, way), Staleness(bound))
        stale.bound = max(bound, stale.bound)
        stale.answers += 1
        stale.seconds = max(stale.seconds, answer.sent - self.history.ceased(version, request.ref))

    def _mark(self, request: Request, answer: Answer, _: Version, mark: str) -> str | None:
        """Look whether what is called missing, stale or expired could be."""
        held = self._held(request, answer)
        if held is None or mark in {HIT, FORCED}:
            return None
        if mark == MISS:
            return "a miss, though a value was held"
        age = answer.received - held.arrived + self.reach_seconds(held.arrived)
        return f"{mark!r}, though a value no older than {age:.2f} s was held" if age < request.ttl else None

    def _refusal(self, request: Request, answer: Answer, _: Version, mark: str) -> str | None:
        """Look whether AWS had refused: then only what is fresh, or newly fetched, may be served."""
        if mark != STALE:
            return None
        settled = self.history.beats.settled(answer.sent)
        for asked in reversed(self._until(request, answer.received)):
            if asked.outcome is Outcome.GOOD:
                return None
            if asked.outcome is Outcome.DEFINITE and asked.is_answered and asked.ended < settled:
                return f"an expired value, though AWS had refused: {asked.kind}"
        return None

    def _newness(self, request: Request, answer: Answer, version: Version, mark: str) -> str | None:
        """Look whether who wanted a new fetch got one, or was told the truth."""
        if not request.is_forced:
            return f"{mark!r} without having been asked" if mark == FORCED else None
        until = self._until(request, answer.received)
        if mark == HIT:
            latest = answer.sent - FORCED_SECONDS - self.reach_seconds(answer.received)
            is_known = any(asked.arrived > latest or asked.outcome is not Outcome.GOOD for asked in until[-1:])
            return None if is_known else "no new fetch, though the last one was longer ago than a second"
        settled = self.history.beats.settled(answer.sent)
        is_shared = any(asked.arrived <= answer.sent and asked.ended >= settled for asked in until)
        if mark == FORCED and not is_shared:
            given = self.history.given(request.ref, version.id, answer.sent, answer.received)
            return None if given is not None else "a new fetch, but of a version that AWS gave before"
        return None

    # An error.

    def _error(self, request: Request, answer: Answer) -> str | None:
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
        rules = (self._cause, self._remembered, self._though_held)
        return next((broken for rule in rules if (broken := rule(request, answer, outcome)) is not None), None)

    def _cause(self, request: Request, answer: Answer, outcome: Outcome) -> str | None:
        """Look whether AWS gave reason for such an error since it last gave the value."""
        given = self._settled_good(request, answer)
        since = -math.inf if given is None else given.arrived
        failed = any(
            asked.outcome is outcome and asked.arrived > since for asked in self._until(request, answer.received)
        )
        is_blocked = outcome is Outcome.PASSING and self.history.was_blocked(since, answer.received)
        return (
            None if failed or is_blocked else f"{answer.status}, though AWS gave no such answer since it gave the value"
        )

    def _remembered(self, request: Request, answer: Answer, _: Outcome) -> str | None:
        """Look whether the failure was too long ago to be remembered without asking again."""
        asked = self._until(request, answer.received)
        failures = 0
        for last in reversed(asked):
            if last.outcome is Outcome.GOOD:
                break
            failures += 1
        if not failures or asked[-1].ended == math.inf:
            return None
        backoff = min(BACKOFF_JITTER * 2 ** min(failures - 1, 10), MAX_BACKOFF_SECONDS)
        allowed = backoff + TRANSIT_SECONDS + self.reach_seconds(answer.received)
        since = answer.sent - asked[-1].ended
        return None if since <= allowed else f"AWS was not asked again for {since:.1f} s; {allowed:.1f} s are allowed"

    def _though_held(self, request: Request, answer: Answer, outcome: Outcome) -> str | None:
        """Look whether a value was held that had to be served."""
        held = self._held(request, answer)
        if held is None:
            return None
        age = answer.received - held.arrived + self.reach_seconds(held.arrived)
        if age < request.ttl and not (request.is_forced and outcome is Outcome.DEFINITE):
            return f"an error, though a fresh value was held, no older than {age:.2f} s"
        since = [asked for asked in self._until(request, answer.received) if asked.arrived > held.arrived]
        is_refused = any(asked.outcome is Outcome.DEFINITE for asked in since)
        if outcome is Outcome.PASSING and not is_refused and age < request.ttl + self.policy.stale_if_error:
            return f"an error, though a value was held that may be served, no older than {age:.2f} s"
        return None

    # What is known of the process.

    def _until(self, request: Request, moment: float) -> list[Asked]:
        """Return the last calls for a secret that had arrived by a moment."""
        return [asked for asked in self.history.calls(request.ref)[-60:] if asked.arrived <= moment]

    def _settled_good(self, request: Request, answer: Answer) -> Asked | None:
        """Return the last call whose good answer the process had surely taken when it was asked."""
        settled = self.history.beats.settled(answer.sent)
        for asked in reversed(self.history.calls(request.ref)):
            if asked.outcome is Outcome.GOOD and asked.is_answered and asked.ended < settled:
                return asked
        return None

    def _held(self, request: Request, answer: Answer) -> Asked | None:
        """The same, if the value is surely held still: what is not listed may have had to go."""
        return None if request.listed is None else self._settled_good(request, answer)

    def _failed_since(self, request: Request, answer: Answer, given: Asked) -> bool:
        failed = any(
            asked.outcome is Outcome.PASSING and asked.arrived >= given.arrived
            for asked in self._until(request, answer.received)
        )
        return failed or self.history.was_blocked(given.arrived, answer.received)

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


def code_of(answer: Answer) -> str:
    """Return the code of an error; empty for an answer that is none."""
    if answer.headers.get("content-type") != "application/problem+json":
        return ""
    return str(json.loads(answer.body or b"{}").get("code", "")) if answer.body else ""
