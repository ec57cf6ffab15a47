"""The soak's judge finds each fault it is there for, in forged histories; `make soak` runs the soak itself."""

import json

import pytest

from tests.soak import rates
from tests.soak.aws_layer import as_native
from tests.soak.client import Answer, Request, count_whole
from tests.soak.environment import Environment
from tests.soak.history import Asked, History, Outcome
from tests.soak.oracle import LATE_SECONDS, Oracle
from tests.soak.resources import MAX_MEGABYTES, MORE_MEGABYTES_AT_WORK, Sample, grown
from tests.soak.world import LISTED, POLICIES
from tests.support.upstream import arn_of

NOW = 100.0
AHEAD = POLICIES[0]
QUIET = next(policy for policy in POLICIES if policy.is_quiet)
THIRTY = next(one for one in LISTED if one.ttl == 30)


def told(age_seconds):
    """Return a history in which AWS gave the one version there is so long ago, and the process was never silent."""
    history = History(lambda: NOW - age_seconds)
    version = history.rotate(THIRTY.secret, THIRTY.form)
    sent = NOW - age_seconds
    history.asked[THIRTY.ref].append(Asked(THIRTY.ref, sent, "told", Outcome.GOOD, version.id, sent, is_answered=True))
    for hundredth in range(1000):
        history.beats.add(NOW - 5 + hundredth / 100, NOW - 5 + hundredth / 100 + 0.001)
    return history, version


def native_answer(version, mark="hit", *, took=0.0):
    """Return a good answer in the extension's own protocol."""
    headers = {"cache-control": "no-store", "content-type": version.form.value, "etag": f'"{version.id}"'}
    marked = {**headers, "cache-status": f"secrets-cache; {mark}"}
    return Answer(200, marked, str(version.value).encode(), NOW, NOW + took)


def aws_answer(version, **changes):
    """Return a good answer in AWS's protocol."""
    body = {
        "ARN": arn_of(version.secret),
        "CreatedDate": "2026-11-23T06:40:55.000Z",
        "Name": version.secret,
        "SecretBinary": None,
        "SecretString": version.value,
        "VersionId": version.id,
        "VersionStages": ["AWSCURRENT"],
        "ResultMetadata": {},
        **changes,
    }
    headers = {"cache-control": "no-store", "cache-status": "secrets-cache; hit"}
    return Answer(200, headers, json.dumps(body).encode(), NOW, NOW)


def request(*, is_forced=False, is_aws=False):
    """Return a request for the secret of the history."""
    return Request(
        "told",
        f"/cache/{THIRTY.secret}",
        ref=THIRTY.ref,
        listed=THIRTY,
        ttl=THIRTY.ttl,
        is_forced=is_forced,
        is_aws=is_aws,
    )


@pytest.mark.parametrize(("age_seconds", "is_broken"), [(29, False), (31, True)])
def test_the_judge_finds_a_value_that_is_older_than_its_ttl(age_seconds, is_broken):
    """The answer is a hit; what counts is when AWS gave that version last."""
    history, version = told(age_seconds)

    broken = Oracle(AHEAD, history).judge(request(), native_answer(version)) or ""

    assert is_broken == ("older than" in broken), broken


@pytest.mark.parametrize("is_aws", [False, True], ids=["native", "AWS"])
@pytest.mark.parametrize(("age_seconds", "is_broken"), [(0.9, False), (1.2, True)])
def test_the_judge_finds_a_forced_refresh_that_was_answered_from_memory(is_aws, age_seconds, is_broken):
    """Within a second of the last fetch that is right; later it is a response that was remembered."""
    history, version = told(age_seconds)
    asked = request(is_forced=True, is_aws=is_aws)
    answer = as_native(asked, aws_answer(version)) if is_aws else native_answer(version)

    broken = Oracle(AHEAD, history).judge(asked, answer) or ""

    assert is_broken == ("no new fetch" in broken), broken


def test_the_judge_lets_a_forced_refresh_be_a_hit_where_a_fetch_may_have_failed_unseen():
    """A process that was frozen may have given a fetch up before AWS was asked."""
    history, version = told(1.2)
    history.beats.gaps.append((NOW - 1.8, NOW - 1.3))

    assert Oracle(AHEAD, history).judge(request(is_forced=True), native_answer(version)) is None


@pytest.mark.parametrize(
    "changes",
    [{"SecretString": "another"}, {"VersionId": "never"}, {"Name": "one"}, {"ARN": ""}, {"SecretBinary": "eA=="}],
    ids=lambda changes: next(iter(changes)),
)
def test_the_judge_finds_a_wrong_answer_in_aws_protocol(changes):
    """The value is that of the version, the version is one that was, and the name is that of what was asked for."""
    history, version = told(1)
    asked, oracle = request(is_aws=True), Oracle(AHEAD, history)

    assert oracle.judge(asked, as_native(asked, aws_answer(version))) is None
    try:
        broken = oracle.judge(asked, as_native(asked, aws_answer(version, **changes)))
    except ValueError as error:
        broken = str(error)

    assert broken is not None


@pytest.mark.parametrize(("kind", "outcome"), [("TimeoutError", "PASSING"), ("AccessDeniedException", "DEFINITE")])
def test_the_judge_finds_an_error_in_aws_protocol_that_aws_gave_no_reason_for(kind, outcome):
    """AWS has failed in that way since it last gave the value, or the error is none of AWS's."""
    history, _ = told(40)
    body = json.dumps({"__type": kind, "message": "x"}).encode()
    answer, oracle = Answer(400, {"cache-control": "no-store"}, body, NOW, NOW), Oracle(AHEAD, history)

    assert "gave no such answer" in (oracle.judge(request(is_aws=True), answer) or "")
    failed = Asked(THIRTY.ref, NOW - 0.1, "told", Outcome[outcome], "", NOW - 0.05, is_answered=True)
    history.asked[THIRTY.ref].append(failed)
    assert oracle.judge(request(is_aws=True), answer) is None


@pytest.mark.parametrize(("more_seconds", "is_broken"), [(-0.1, False), (0.1, True)])
def test_the_judge_finds_a_caller_that_waits_too_long(more_seconds, is_broken):
    """The bound: `fetch_timeout`, and what this machine may add."""
    history, version = told(1)
    oracle = Oracle(AHEAD, history)
    bound = AHEAD.fetch_timeout + 0.8 + LATE_SECONDS

    broken = oracle.judge(request(), native_answer(version, took=bound + more_seconds)) or ""

    assert is_broken == ("are allowed" in broken), broken


@pytest.mark.parametrize(
    ("rest", "more", "is_broken"),
    [
        (40.0, MORE_MEGABYTES_AT_WORK, False),
        (40.0, MORE_MEGABYTES_AT_WORK + 1, True),
        (MAX_MEGABYTES, 0.0, False),
        (MAX_MEGABYTES, 1.0, True),
    ],
)
def test_the_judge_finds_memory_that_was_in_use_for_a_moment(rest, more, is_broken):
    """At rest all may be as before: the kernel keeps the most that there ever was."""
    samples = [Sample(rest, 20, 2, rest), Sample(rest, 20, 2, rest + more)]

    assert is_broken == ("at its most" in " ".join(grown(samples)))


def test_responses_are_counted_and_one_that_is_cut_off_is_found():
    """What comes after a caller has sent its last byte is a whole response, or nothing."""
    one = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"

    assert [0, 1, 2] == [count_whole(one * number) for number in range(3)]
    for end in (10, len(one) - 1):
        with pytest.raises(ValueError, match="cut off"):
            count_whole(one[:end])


@pytest.mark.parametrize("has_recovered", [True, False])
def test_a_pause_after_failures_ends_sooner_only_if_aws_has_answered_for_something_else(has_recovered):
    """Recovery is shared: what AWS gives for one secret lets others be asked for again."""
    history = History(lambda: 0.0)
    for sent in (10.0, 10.2):
        history.asked[THIRTY.ref].append(Asked(THIRTY.ref, sent, "hang", Outcome.PASSING, "", sent + 0.01))
    if has_recovered:
        other = ("other", "", "")
        history.asked[other].append(Asked(other, 10.05, "good", Outcome.GOOD, "v", 10.1, is_answered=True))

    found = [text for text in rates.broken(history, AHEAD) if "asked again" in text]

    assert has_recovered == (not found), found


@pytest.mark.parametrize(("next_seconds", "is_broken"), [(53.2, False), (52.0, True)])
def test_a_fetch_began_with_its_first_attempt_whatever_was_disturbed_later(next_seconds, is_broken):
    """So the value's ttl, and the refresh ahead of its end, count from there: 21 s, less what a call may take."""
    history = History(lambda: 0.0)
    history.beats.gaps.append((31.2, 31.6))
    for sent, outcome in ((10.0, "GOOD"), (32.0, "PASSING"), (32.4, "PASSING"), (32.9, "GOOD"), (next_seconds, "GOOD")):
        history.asked[THIRTY.ref].append(
            Asked(THIRTY.ref, sent, outcome, Outcome[outcome], "v", sent + 0.01, is_answered=True)
        )

    found = [text for text in rates.broken(history, AHEAD) if "had begun" in text]

    assert is_broken == bool(found), found


async def test_what_is_sent_twice_is_fetched_again_later_by_both_protocols(tmp_path):
    """A few seconds of the quiet environment, where no other fetch ends what may have been remembered."""
    with Environment(QUIET, 1, tmp_path) as environment:
        await environment.stretch(5.5, is_warm_up=True)
        await environment.end()

    assert [] == environment.violations
    # In one protocol, and then in the other: three times each, the same bytes.
    assert 2 <= environment.tally["refreshes sent twice"]
    asked = sum(count for (label, *_), count in environment.counts.items() if label == "refresh twice")
    assert 3 * environment.tally["refreshes sent twice"] == asked
