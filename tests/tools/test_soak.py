"""The soak's judge finds a stale value. `make soak` runs the soak itself."""

import pytest

from tests.soak.client import Answer, Request
from tests.soak.history import Asked, History, Outcome
from tests.soak.oracle import Oracle
from tests.soak.world import LISTED, POLICIES


@pytest.mark.parametrize(("age_seconds", "is_broken"), [(29, False), (31, True)])
def test_the_judge_finds_a_value_that_is_older_than_its_ttl(age_seconds, is_broken):
    """The answer is a hit; what counts is when AWS gave that version last."""
    now = 100.0
    history = History(lambda: now - age_seconds)
    listed = next(one for one in LISTED if one.ttl == 30)
    version = history.rotate(listed.secret, listed.form)
    given = Asked(listed.ref, now - age_seconds, "told", Outcome.GOOD, version.id, now - age_seconds, is_answered=True)
    history.asked[listed.ref].append(given)
    for hundredth in range(1000):
        history.beats.add(now - 5 + hundredth / 100, now - 5 + hundredth / 100 + 0.001)
    headers = {"cache-control": "no-store", "content-type": listed.form.value, "etag": f'"{version.id}"'}
    request = Request("told", f"/cache/{listed.secret}", ref=listed.ref, listed=listed, ttl=listed.ttl)
    answer = Answer(200, {**headers, "cache-status": "secrets-cache; hit"}, str(version.value).encode(), now, now)

    broken = Oracle(POLICIES[0], history).judge(request, answer) or ""

    assert is_broken == ("older than" in broken), broken
