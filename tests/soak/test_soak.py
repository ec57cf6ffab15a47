"""
The soak: a minute of it against the extension's process, and the proof that what judges it can find fault.

`make soak` runs it for longer. Each rule of the oracle is told a story that breaks it, and one that almost does.
"""

import json
import os
import random
import secrets
from typing import Any

import pytest

from tests.soak import rates
from tests.soak.client import Answer, Request
from tests.soak.history import Asked, History, Outcome, Version
from tests.soak.log import wrong_in_log
from tests.soak.oracle import Oracle
from tests.soak.requests import Requests
from tests.soak.resources import Sample, grown
from tests.soak.run import soak
from tests.soak.upstream import KINDS
from tests.soak.values import EXPIRED, FORCED, HIT, MISS, STALE
from tests.soak.world import LISTED, Form, Policy, rotating
from tests.support.fakes import CANARY

SECONDS = float(os.environ.get("SECRETS_CACHE_TEST_SOAK_SECONDS", "60"))
SEED = int(os.environ.get("SECRETS_CACHE_TEST_SOAK_SEED") or secrets.randbelow(2**32))
POLICY = Policy("told", 10, 0, 5, 20, 1, "never", is_lane=True)
BY_NAME = {listed.secret: listed for listed in LISTED}
# Of the secret that is told of: a ttl of 30 s, 5 s more while AWS answers, 20 s more when it does not.
TOLD = BY_NAME["thirty"]
GOOD, PASSING, DEFINITE = Outcome.GOOD, Outcome.PASSING, Outcome.DEFINITE


# The soak itself.


@pytest.mark.timeout(240 + 3 * SECONDS)
async def test_nothing_is_broken_while_everything_happens_at_once(tmp_path):
    """No answer but those the contract allows, none older than its bound, no call too many, nothing that grows."""
    report = await soak(SECONDS, SEED, tmp_path)

    assert [] == report.violations, str(report)
    # It was a soak: there was load of each kind, AWS failed in every way, and it showed.
    assert 10 * SECONDS < report.total("plain")
    assert all(report.total(label) for label in ("refresh", "version", "on demand", "HEAD", "odd", "garbage", "health"))
    assert report.total("If-None-Match", 304)
    assert report.total(status=503)
    assert report.total(status=502)
    if SECONDS >= 60:
        assert {kind.name for kind in KINDS} <= report.episodes.keys()


def test_the_same_seed_asks_the_same(story):
    """What failed can be run again."""
    story.history = History(lambda: 1.0)
    for secret, form in [*rotating(), *rotating()]:
        story.history.rotate(secret, form)
    first, second, other = (Requests(POLICY, story.history, random.Random(seed)) for seed in (1, 1, 2))

    asked = [first.any() for _ in range(50)]
    assert [second.any() for _ in range(50)] == asked
    assert [other.any() for _ in range(50)] != asked


# The oracle, told stories.


class Story:
    """
    What happened, told at will. Times are seconds; the question comes at 100, its answer a hundredth later.

    Attributes:
        versions: Those of the secret that is told of, by when they became current.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.history = History(lambda: self.now)
        self.oracle = Oracle(POLICY, self.history)
        self.versions: list[Version] = []

    def rotate(self, at: float) -> "Story":
        self.now = at
        self.versions.append(self.history.rotate(TOLD.secret, TOLD.form))
        return self

    def call(self, at: float, outcome: Outcome = GOOD, *, version: int = -1, took: float = 0.01) -> "Story":
        """Let AWS be asked, and give, unless it fails, that one of the versions so far."""
        given = self.versions[version].id if outcome is GOOD else ""
        self.history.asked[TOLD.ref].append(Asked(TOLD.ref, at, "told", outcome, given, at + took, is_answered=True))
        return self

    def beats(self, since: float = 0.0, until: float = 190.0) -> "Story":
        """Let pings be answered, from one moment to another."""
        for number in range(int((until - since) * 100)):
            self.history.beats.add(since + number / 100, since + number / 100 + 0.001)
        return self

    def judged(
        self, status: int = 200, *, mark: str = HIT, version: int = -1, took: float = 0.01, sent: float = 100, **more
    ) -> str:
        """Ask; return which rule the answer breaks."""
        request = Request("told", f"/cache/{TOLD.secret}", **{"ref": TOLD.ref, "listed": TOLD, "ttl": TOLD.ttl, **more})
        held = self.versions[version]
        headers = {"cache-control": "no-store", "content-type": Form.JSON.value}
        headers |= {"etag": f'"{held.id}"', "cache-status": f"secrets-cache; {mark}"}
        body = b"" if status == 304 else str(held.value).encode()
        return self.oracle.judge(request, Answer(status, headers, body, sent, sent + took)) or ""

    def failed(self, status: int, code: str, *, retry_after: str = "1", detail: str = "", **more) -> str:
        """Ask at 100; return which rule an error breaks."""
        request = Request("told", f"/cache/{TOLD.secret}", **{"ref": TOLD.ref, "listed": TOLD, "ttl": TOLD.ttl, **more})
        headers = {"cache-control": "no-store", "content-type": "application/problem+json"}
        headers |= {"retry-after": retry_after}
        body = json.dumps({"code": code, "detail": detail}).encode()
        return self.oracle.judge(request, Answer(status, headers, body, 100, 100.01)) or ""


@pytest.fixture(name="story")
def _story() -> Story:
    return Story().beats()


@pytest.mark.parametrize(
    ("given", "mark", "broken"),
    [
        (70.5, HIT, ""),
        (69.5, HIT, "older than 30.00 s"),
        (65.5, STALE, ""),
        (64.5, STALE, "AWS has not failed"),
        (49.5, STALE, "older than 50.00 s"),
        (99, "fwd=bogus", "Cache-Status is"),
    ],
)
def test_a_value_that_is_too_old_for_what_it_is_called_is_found(story, given, mark, broken):
    """Fresh up to the ttl; stale, and called so, for as long as a refresh is under way."""
    story.rotate(1).call(given)

    assert broken in story.judged(mark=mark)
    assert bool(broken) == bool(story.judged(mark=mark))


@pytest.mark.parametrize(("given", "broken"), [(50.5, ""), (49.5, "older than 50.00 s")])
def test_a_value_that_is_too_old_for_an_outage_is_found(story, given, broken):
    """While AWS fails, stale-if-error is the bound."""
    story.rotate(1).call(given).call(99, PASSING)

    assert broken in story.judged(mark=STALE)
    assert bool(broken) == bool(story.judged(mark=STALE))


def test_a_version_from_before_is_found_though_a_later_one_was_given(story):
    """It is this version's last call that counts, not the last call."""
    story.rotate(1).call(60).rotate(61).call(95)

    assert "older than" in story.judged(version=-2)
    assert "" == story.judged()


def test_an_older_version_after_a_newer_one_is_found(story):
    """Though each is young enough: what was served before this was asked for is never taken back."""
    story.rotate(1).call(80).rotate(81).call(85)

    assert "" == story.judged(version=-2)
    assert "" == story.judged()
    assert "" == story.judged(version=-2), "both were asked for at the same time"
    assert "version 1, though version 2 was served before" == story.judged(version=-2, sent=100.02)


def test_the_staleness_that_was_seen_is_noted(story):
    """Since when the version had no longer been current, beside its bound."""
    story.rotate(1).call(80).rotate(88)

    assert "" == story.judged(version=-2)
    (seen,) = story.oracle.staleness.values()
    assert (12, 30, 1) == (seen.seconds, seen.bound, seen.answers)


@pytest.mark.parametrize("then", [None, PASSING])
def test_an_expired_value_after_a_refusal_is_found(story, then):
    """Whatever comes after the refusal, but a good answer."""
    story.rotate(1).call(66).call(98, DEFINITE)
    if then is not None:
        story.call(98.2, then)
    assert "AWS had refused" in story.judged(mark=STALE)

    story.call(99.9, took=0.2)
    assert "" == story.judged(mark=STALE)


def test_a_refusal_that_the_process_may_not_have_seen_yet_breaks_nothing():
    """Frozen, it answers no ping: the question may have come to it before the refusal did."""
    story = Story().beats(until=97).rotate(1).call(66).call(98, DEFINITE)

    assert "" == story.judged(mark=STALE)


@pytest.mark.parametrize(
    ("mark", "given", "broken"),
    [
        (MISS, 99, "a miss, though"),
        (EXPIRED, 99, "though a value no older than"),
        (STALE, 99, "though a value no older than"),
        (EXPIRED, 70.5, ""),
    ],
)
def test_a_young_value_that_is_called_otherwise_is_found(story, mark, given, broken):
    """What is fresh and was surely there is a hit; near the end of its ttl nobody outside can say."""
    story.rotate(1).call(given).call(100.005)

    assert broken in story.judged(mark=mark)
    assert bool(broken) == bool(story.judged(mark=mark))


def test_a_wrong_body_is_found(story):
    """Of another version, or of another type; with the key, that key and nothing else."""
    story.rotate(1).rotate(2).call(99)
    first, second = story.versions

    assert "" == story.judged()
    story.versions[1] = Version(second.id, second.secret, second.form, second.number, first.value, second.since)
    assert "the body is not the value" in story.judged()
    assert "and not text/plain" in story.judged(key="password")
    assert "a key that is not there" in story.judged(wrong_key=(404, "key-not-found"))


def test_a_version_that_never_was_is_found(story):
    """Whatever the body is."""
    story.rotate(1).call(99)
    story.versions.append(Version("never", TOLD.secret, TOLD.form, 9, "{}", 1))

    assert "a version that never was" == story.judged()


def test_conditional_answers_are_judged(story):
    """304 for the version that the caller has, and for no other."""
    story.rotate(1).call(99)
    tag = f'"{story.versions[0].id}"'

    assert "" == story.judged(304, entity_tag=tag)
    assert "304 for another version" in story.judged(304, entity_tag='"another"')
    assert "200 though the caller has" in story.judged(200, entity_tag=tag)


def test_a_forced_refresh_that_is_none_is_found(story):
    """A new fetch gives what AWS has after the question, unless it is shared; a hit needs another within a second."""
    story.rotate(1).call(98.9)
    assert "of a version that AWS gave before" in story.judged(mark=FORCED, is_forced=True)
    assert "longer ago than a second" in Story().beats().rotate(1).call(95).judged(mark=HIT, is_forced=True)
    assert "without having been asked" in story.judged(mark=FORCED)

    story.call(100.005)
    assert "" == story.judged(mark=FORCED, is_forced=True)


@pytest.mark.parametrize("mark", [FORCED, HIT])
def test_a_forced_refresh_that_was_shared_or_just_made_breaks_nothing(story, mark):
    """A call that was under way, or had just ended, when the question came."""
    story.rotate(1).call(99.9, took=0.2)

    assert "" == story.judged(mark=mark, is_forced=True)


def test_errors_that_nothing_explains_are_found(story):
    """AWS must have failed so since it last gave the value; and no status is allowed that the contract has not."""
    story.rotate(1).call(10)

    assert "is no answer to this" in story.failed(500, "internal-error")
    assert "503, though AWS gave no such answer" in story.failed(503, "upstream-unavailable")
    assert "502, though AWS gave no such answer" in story.failed(502, "upstream-refused")
    story.call(99, PASSING)
    assert "" == story.failed(503, "upstream-unavailable")
    assert "502, though AWS gave no such answer" in story.failed(502, "upstream-refused")
    assert "Retry-After is 0" == story.failed(503, "upstream-unavailable", retry_after="0")
    story.call(99.3, DEFINITE)
    assert "" == story.failed(404, "secret-not-found")


def test_an_error_that_was_made_good_is_found(story):
    """What AWS gave since then, and the process surely took, ends it."""
    story.rotate(1).call(10).call(90, PASSING).call(92)

    assert "503, though AWS gave no such answer" in story.failed(503, "upstream-unavailable")


def test_an_error_in_place_of_a_value_that_is_held_is_found(story):
    """A fresh one hides every failure, but from who forces; a stale one those that may pass."""
    story.rotate(1).call(95).call(97, DEFINITE)
    assert "a fresh value was held" in story.failed(502, "upstream-refused")
    assert "" == story.failed(502, "upstream-refused", is_forced=True)

    other = Story().beats().rotate(1).call(60).call(99, PASSING)
    assert "a value was held that may be served" in other.failed(503, "upstream-unavailable")
    assert "" == other.failed(503, "upstream-unavailable", listed=None)


def test_an_error_that_is_remembered_for_too_long_is_found(story):
    """The back-off after a first failure is a second and a quarter at most."""
    story.rotate(1).call(10).call(80, PASSING)
    assert "AWS was not asked again for 20.0 s" in story.failed(503, "upstream-unavailable")

    for at in (81, 83, 87, 95):
        story.call(at, PASSING)
    assert "" == story.failed(503, "upstream-unavailable")


def test_a_late_answer_is_found(story):
    """Later than all attempts together, and what a slow machine needs."""
    story.rotate(1).call(90)

    assert "the answer took 80.0 s" in story.judged(took=80)


def test_a_value_that_shows_is_found(story):
    """In an error, or in any header."""
    story.rotate(1).call(10).call(99, PASSING)

    assert "a value shows" in story.failed(503, "upstream-unavailable", detail=CANARY)
    assert "a value shows" in story.failed(503, "upstream-unavailable", retry_after=CANARY)


@pytest.mark.parametrize(
    ("change", "status", "broken"),
    [
        ({}, 200, ""),
        ({}, 503, "/health is 503 ok"),
        ({"state": "failed"}, 200, "/health is 200 ok"),
        ({"state": "fresh", "age_seconds": 99.0}, 200, "fresh at 99.0 s"),
        ({"name": "another"}, 200, "does not name what is listed"),
        ({"version_id": "never"}, 200, "a version that"),
    ],
)
def test_a_report_that_contradicts_itself_is_found(story, change, status, broken):
    """Status code, status, states and ages of /health belong together."""
    fresh = {"state": "fresh", "age_seconds": 0.1, "version_id": None, "error": None}
    entries = [{"name": listed.names[0], **fresh} for listed in LISTED]
    entries[0].update(change)
    body = json.dumps({"status": "ok", "problems": [], "secrets": entries}).encode()
    answer = Answer(status, {"cache-control": "no-store"}, body, 100, 100.01)

    assert broken in (story.oracle.judge(Request("health", "/health"), answer) or "")
    assert bool(broken) == bool(story.oracle.judge(Request("health", "/health"), answer))


# How often AWS is asked.


def broken_rates(*calls: tuple[float, Outcome, float], secret: str = "thirty", gap: bool = False) -> list[str]:
    """Return what calls break: when each arrived, what came of it, when it had ended."""
    history = History()
    for number in range(4000):
        if not gap or not 40 < number / 20 < 60:
            history.beats.add(number / 20, number / 20 + 0.001)
    ref = BY_NAME[secret].ref
    history.asked[ref] = [Asked(ref, at, "told", outcome, "", ended, is_answered=True) for at, outcome, ended in calls]
    return rates.broken(history, POLICY)


def test_calls_with_a_reason_break_nothing():
    """One fetch for each ttl; three attempts; pauses that double."""
    assert [] == broken_rates((1, GOOD, 1.1), (31, GOOD, 31.1), (61.1, PASSING, 61.2), (61.3, PASSING, 61.4))
    doubling = ((1, GOOD, 1), (31, PASSING, 31), (31.1, PASSING, 31.1), (31.3, DEFINITE, 31.3))
    assert [] == broken_rates(*doubling, (32.2, PASSING, 32.2), (34, DEFINITE, 34), (38, GOOD, 38))


def test_a_fetch_that_was_throttled_begins_with_its_first_attempt():
    """Its pauses may be as long as a back-off; its answer may be older than a short ttl when it comes."""
    throttled = ((28.0, PASSING, 28.0), (28.4, PASSING, 28.4), (29.2, GOOD, 29.2))

    assert [] == broken_rates((1, GOOD, 1.1), *throttled, (58.0, GOOD, 58.0))


@pytest.mark.parametrize(
    ("calls", "broken"),
    [
        ([(31, GOOD, 32), (31.2, GOOD, 32)], "two calls at once"),
        ([(1, GOOD, 1.1), (31, GOOD, 31.1), (50, GOOD, 50.1)], "asked again 19.00 s"),
        ([(30 + n / 10, PASSING, 30 + n / 10) for n in range(4)], "4 attempts in a row"),
        ([(30, DEFINITE, 30), (30.2, DEFINITE, 30.2)], "0.20 s after failure 1 in a row"),
        ([(30, DEFINITE, 30), (31, DEFINITE, 31), (32, DEFINITE, 32)], "1.00 s after failure 2 in a row"),
    ],
)
def test_calls_without_a_reason_are_found(calls, broken):
    """Two at once, too soon, too many attempts, no back-off, one that does not double."""
    (found,) = broken_rates(*calls)

    assert broken in found


def test_a_second_forced_refresh_within_a_second_is_found():
    """Where only a forced refresh can be the reason."""
    calls = ((1, GOOD, 1), (10, GOOD, 10), (10.5, GOOD, 10.5))

    (found,) = broken_rates(*calls, secret="hour")
    assert "hour: asked again 0.50 s after a fetch had begun; 1.00 s are the least" in found
    assert [] == broken_rates(*calls[:2], (11, GOOD, 11), secret="hour")


def test_what_a_frozen_process_asks_for_is_not_counted():
    """The time between its calls says nothing."""
    assert [] == broken_rates((1, GOOD, 1.1), (31, GOOD, 31.1), (50, GOOD, 50.1), gap=True)


# What the process uses.


@pytest.mark.parametrize(
    ("end", "broken"),
    [
        ({}, ""),
        ({"megabytes": 45.9}, ""),
        ({"megabytes": 46.1}, "memory: at most 40.0 MB"),
        ({"descriptors": 14}, "descriptors: 10 after the warm-up, 14 at the end"),
        ({"tasks": 7}, "tasks: 2 after the warm-up, 7 at the end"),
        ({"threads": 5}, "threads: 2 after the warm-up, 5 at the end"),
        ({"entries": 1001}, "1001 entries; 1000 are allowed"),
    ],
)
def test_growth_is_found(end, broken):
    """From the end of the warm-up to the end, beyond a small bound."""
    first: dict[str, Any] = {"megabytes": 40.0, "descriptors": 10, "threads": 2, "tasks": 2, "entries": 1000}
    found = grown([*[Sample(**first)] * 4, Sample(**{**first, **end})])

    assert broken in "".join(found)
    assert int(bool(broken)) == len(found)


@pytest.mark.parametrize(
    ("line", "broken"),
    [
        ('{"event": "secret.refreshed"}', ""),
        ('{"event": "internal.error"}', "the log has internal.error"),
        ("Traceback (most recent call last):", "is not ours"),
        (f'{{"event": "secret.refreshed", "x": "{CANARY}"}}', "the log has a value"),
        ("\n".join(['{"event": "secret.refreshed"}'] * 6), "6 lines for 2 calls"),
    ],
)
def test_what_the_log_must_not_say_is_found(line, broken):
    """Only the events of a soak, one line for each call at most, and no value."""
    found = wrong_in_log(line, 2)

    assert broken in "".join(found)
    assert int(bool(broken)) == len(found)
