"""
The oracle: which answers the contract allows, by what AWS had and gave.

Rules
-----
1. When the process judged an answer nobody outside knows: between the question and the arrival. A rule is broken only
   if it is broken for every such moment.
2. What the process holds came with a call that arrived at AWS after the fetch had begun. So "younger than its bound" is
   exact: the call arrived less than the bound before the question. No margin is needed, whatever was frozen.
3. "An error, though a value was held" and its like need the other direction: how long before the call its fetch may
   have begun. That is `Known.reach_seconds`, which freezes make longer.
"""

import json
import math
from typing import TYPE_CHECKING

from tests.conftest import PATIENCE_SECONDS
from tests.soak.client import Answer, Request
from tests.soak.errors import Errors, code_of
from tests.soak.history import History
from tests.soak.known import Known
from tests.soak.values import Values
from tests.soak.world import Policy
from tests.support.fakes import CANARY

if TYPE_CHECKING:
    from collections.abc import Callable

# After all that a fetch may take the answer has to come, from a process that shares its cores with the soak itself.
LATE_SECONDS = PATIENCE_SECONDS / 15


class Oracle:
    """
    Judges the answers of one execution environment.

    Attributes:
        staleness: The worst that was seen, by ttl and way of serving.
        late_seconds: How much longer than its fetch may take a caller has waited, at most; less than 0 for never.
    """

    def __init__(self, policy: Policy, history: History) -> None:
        self._known = Known(policy, history)
        self._values = Values(self._known)
        self._errors = Errors(self._known)
        self.staleness = self._values.staleness
        self.late_seconds = -math.inf

    def judge(self, request: Request, answer: Answer) -> str | None:
        """Return which rule an answer breaks; None if it breaks none."""
        rules: tuple[Callable[[Request, Answer], str | None], ...] = (self._in_time, self._secrecy, self._meaning)
        return next((broken for rule in rules if (broken := rule(request, answer)) is not None), None)

    def _in_time(self, request: Request, answer: Answer) -> str | None:
        bound = self._known.reach_seconds(answer.received)
        took, allowed = answer.received - answer.sent, bound + LATE_SECONDS
        self.late_seconds = max(self.late_seconds, took - bound)
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
            return self._values.judge(request, answer)
        return self._errors.judge(request, answer)

    def _health(self, answer: Answer) -> str | None:
        """Look whether the report is whole and agrees with itself: status code, status, states, ages."""
        report = json.loads(answer.body)
        states = {secret["state"] for secret in report["secrets"]}
        status = "failing" if states & {"failed", "pending"} else "degraded" if "stale" in states else "ok"
        if (report["status"], answer.status) != (status, 503 if status == "failing" else 200):
            return f"/health is {answer.status} {report['status']}, with states {sorted(states)}"
        if [secret["name"] for secret in report["secrets"]] != [
            listed.names[0] for listed in self._known.policy.listed
        ]:
            return "/health does not name what is listed"
        for listed, secret in zip(self._known.policy.listed, report["secrets"], strict=True):
            if secret["state"] == "fresh" and secret["age_seconds"] > listed.ttl:
                return f"/health calls {listed.secret} fresh at {secret['age_seconds']} s"
            version = self._known.history.version(secret["version_id"] or "")
            if secret["version_id"] and (version is None or version.secret != listed.secret):
                return f"/health names a version that {listed.secret} never had"
        return None
