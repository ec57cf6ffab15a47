"""The oracle's rules for an answer with a value: which version, how old, and what it is called."""

import bisect
from dataclasses import dataclass, field

from tests.soak.client import Answer, Request
from tests.soak.history import Outcome, Version
from tests.soak.known import Known
from tests.soak.world import FORCED_SECONDS, Ref, parts_of

HIT, STALE = "hit", "hit; detail=stale"
MISS, EXPIRED, FORCED = "fwd=miss", "fwd=stale", "fwd=request"
FETCHED = (MISS, EXPIRED, FORCED)


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
class Values:
    """
    Judges answers with a value.

    Attributes:
        staleness: The worst that was seen, by ttl and way of serving.
    """

    known: Known
    staleness: dict[tuple[float, str], Staleness] = field(default_factory=dict)
    _served: dict[Ref, list[tuple[float, int]]] = field(default_factory=dict)

    def judge(self, request: Request, answer: Answer) -> str | None:
        """Return which rule an answer breaks; None if it breaks none."""
        version = self.known.history.version(answer.headers.get("etag", "").strip('"'))
        mark = answer.headers.get("cache-status", "").removeprefix("secrets-cache; ")
        if version is None:
            return "a version that never was"
        rules = (self._body, self._age, self._mark, self._refusal, self._newness, self._order)
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
            STALE: fresh + self.known.policy.stale_seconds(has_failed=True),
            **dict.fromkeys(FETCHED, self.known.reach_seconds(answer.received)),
        }
        if mark not in bounds:
            return f"Cache-Status is {mark!r}"
        bound = bounds[mark]
        given = self.known.history.given(request.ref, version.id, answer.sent - bound, answer.received)
        if given is None:
            return f"older than {bound:.2f} s, which is the bound for {mark!r}"
        covered = fresh + self.known.policy.stale_seconds(has_failed=False)
        if (
            mark == STALE
            and answer.sent - given.arrived >= covered
            and not self.known.failed_since(request, answer, given)
        ):
            return f"stale for longer than {covered:.2f} s, and AWS has not failed"
        self._note(request, answer, version, mark, bound)
        return None

    def _order(self, request: Request, answer: Answer, version: Version, _: str) -> str | None:
        """Look whether an older version comes after a newer one."""
        served = self._served.setdefault(request.ref, [(0.0, 0)])
        before = served[bisect.bisect_left(served, (answer.sent, 0)) - 1][1]
        if version.number > served[-1][1]:
            served.append((answer.received, version.number))
        return (
            f"version {version.number}, though version {before} was served before" if version.number < before else None
        )

    def _note(self, request: Request, answer: Answer, version: Version, mark: str, bound: float) -> None:
        way = "fetched" if mark in FETCHED else mark
        stale = self.staleness.setdefault((request.ttl, way), Staleness(bound))
        stale.bound = max(bound, stale.bound)
        stale.answers += 1
        stale.seconds = max(stale.seconds, answer.sent - self.known.history.ceased(version, request.ref))

    def _mark(self, request: Request, answer: Answer, _: Version, mark: str) -> str | None:
        """Look whether what is called missing, stale or expired could be."""
        held = self.known.held(request, answer)
        if held is None or mark in {HIT, FORCED}:
            return None
        if mark == MISS:
            return "a miss, though a value was held"
        age = answer.received - held.arrived + self.known.reach_seconds(held.arrived)
        return f"{mark!r}, though a value no older than {age:.2f} s was held" if age < request.ttl else None

    def _refusal(self, request: Request, answer: Answer, _: Version, mark: str) -> str | None:
        """Look whether AWS had refused: then only what is fresh, or newly fetched, may be served."""
        if mark != STALE:
            return None
        settled = self.known.history.beats.settled(answer.sent)
        for asked in reversed(self.known.until(request, answer.received)):
            if asked.outcome is Outcome.GOOD:
                return None
            if asked.outcome is Outcome.DEFINITE and asked.is_answered and asked.ended < settled:
                return f"an expired value, though AWS had refused: {asked.kind}"
        return None

    def _newness(self, request: Request, answer: Answer, version: Version, mark: str) -> str | None:
        """Look whether who wanted a new fetch got one, or was told the truth."""
        if not request.is_forced:
            return f"{mark!r} without having been asked" if mark == FORCED else None
        until = self.known.until(request, answer.received)
        if mark == HIT:
            # The call arrived after the forced refresh had begun, which forbids another for a second.
            latest = answer.sent - FORCED_SECONDS
            if self.known.may_have_failed_unseen(latest, answer.received):
                latest -= self.known.reach_seconds(answer.received)
            is_known = any(
                asked.arrived > latest or asked.outcome is not Outcome.GOOD or not asked.is_answered
                for asked in until[-1:]
            )
            return None if is_known else "no new fetch, though the last one was longer ago than a second"
        settled = self.known.history.beats.settled(answer.sent)
        is_shared = any(asked.arrived <= answer.sent and asked.ended >= settled for asked in until)
        if mark == FORCED and not is_shared:
            given = self.known.history.given(request.ref, version.id, answer.sent, answer.received)
            return None if given is not None else "a new fetch, but of a version that AWS gave before"
        return None
