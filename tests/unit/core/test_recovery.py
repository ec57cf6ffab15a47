"""When others that failed are asked again, once AWS answers for one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secrets_cache.core.backoff import Failure
from secrets_cache.core.entry import Entry
from secrets_cache.core.freshness import CachedValue
from secrets_cache.core.recovery import Recovery, find_place
from secrets_cache.core.secret import AwsContext, Ref
from secrets_cache.errors import SecretError, SecretNotFound, SecretRefused, SecretTimeout, SecretUnavailable
from tests.conftest import EXAMPLES
from tests.support.caches import REFUSED, UNAVAILABLE, policy
from tests.support.fakes import FakeClock, secret
from tests.support.upstream import arn_of

OWN = "eu-west-1"
ROLE = AwsContext(role_arn="arn:aws:iam::123456789012:role/reader")
THROTTLED = SecretUnavailable("db", code="ThrottlingException", cause="too many calls")
THROTTLED.is_throttled = True
ROLE_REFUSED = SecretRefused("reader", code="AccessDenied")
ROLE_REFUSED.what = "role"
LONG = 8


class World:
    """Entries, and what their fetches bring."""

    def __init__(self, *refs: Ref) -> None:
        self.clock = FakeClock()
        self.random = 0.5
        self.draws = 0
        self.recovery = Recovery(OWN, self.draw)
        self.entries = [Entry(ref, ref.secret_id, policy()) for ref in refs]

    def draw(self) -> float:
        self.draws += 1
        return self.random

    def fail(self, entry: Entry, error: SecretError = UNAVAILABLE, times: int = 1) -> None:
        for _ in range(times):
            entry.failure = Failure.after(entry.failure, error, self.clock.now(), lambda: 0.5)
            self.recovery.note(entry, entry.failure, self.entries, self.clock.now())

    def answer(self, entry: Entry) -> None:
        now = self.clock.now()
        entry.held, entry.failure = CachedValue(secret(), now, now.wall, 1.0), None
        self.recovery.note(entry, entry.held, self.entries, now)

    def left(self, entry: Entry) -> float:
        return entry.seconds_to_refresh(self.clock.now())


def test_what_failed_with_it_is_asked_again_within_two_seconds():
    """Whatever is left of its own back-off, and at any time in it."""
    world = World(Ref("a"), Ref("b"), Ref("c"))
    for entry in world.entries:
        world.fail(entry, times=LONG)
    assert 48.0 == world.left(world.entries[1])
    world.clock.tick(10)

    world.answer(world.entries[0])

    assert [1.5, 1.5] == [world.left(entry) for entry in world.entries[1:]]


def test_a_refusal_is_an_answer_too():
    """AWS works, though it refuses this one."""
    world = World(Ref("a"), Ref("b"))
    world.fail(world.entries[1], times=LONG)

    world.fail(world.entries[0], SecretNotFound("a"))

    assert 1.5 == world.left(world.entries[1])


@pytest.mark.parametrize("error", [UNAVAILABLE, ROLE_REFUSED, THROTTLED, SecretTimeout("a", budget_seconds=5)])
def test_what_is_no_answer_for_a_secret_shortens_nothing(error):
    """Another failure, or one that STS answered for the role."""
    world = World(Ref("a"), Ref("b"))
    world.fail(world.entries[1], times=LONG)

    world.fail(world.entries[0], error)

    assert 48.0 == world.left(world.entries[1])


@pytest.mark.parametrize(
    "ref",
    [
        Ref("a", is_parameter=True),
        Ref("a", context=ROLE),
        Ref("a", context=AwsContext(region="us-east-1")),
        Ref(arn_of("a").replace(OWN, "us-east-1")),
    ],
)
def test_another_service_region_or_role_says_nothing(ref):
    """Each fails and recovers as a whole."""
    world = World(Ref("b"), ref)
    world.fail(world.entries[0], times=LONG)

    world.answer(world.entries[1])

    assert 48.0 == world.left(world.entries[0])


def test_the_functions_own_region_is_one_place_however_it_is_written():
    """By name, with `region:`, or in an ARN."""
    refs = [Ref("a"), Ref("a", context=AwsContext(region=OWN)), Ref(arn_of("a"))]

    assert {find_place(refs[0], OWN)} == {find_place(ref, OWN) for ref in refs}


def test_a_back_off_is_never_made_longer_and_cut_once():
    """A first failure waits a second anyway; and a secret asked for often does not put off the others."""
    world = World(Ref("a"), Ref("b"), Ref("c"))
    world.fail(world.entries[1])
    world.fail(world.entries[2], times=LONG)

    world.answer(world.entries[0])
    assert [1.0, 1.5] == [world.left(entry) for entry in world.entries[1:]]
    world.clock.tick(0.5)
    world.answer(world.entries[0])

    assert [0.5, 1.0] == [world.left(entry) for entry in world.entries[1:]]


def test_a_refused_secret_waits_out_its_own_back_off():
    """It was answered; but not one that then failed for a passing reason, though the refusal stands."""
    world = World(Ref("a"), Ref("b"), Ref("c"))
    for entry in world.entries[1:]:
        world.fail(entry, REFUSED, times=LONG)
    world.fail(world.entries[2])

    world.answer(world.entries[0])

    assert [48.0, 1.5] == [world.left(entry) for entry in world.entries[1:]]
    assert world.entries[2].failure is not None
    assert world.entries[2].failure.refused


@pytest.mark.parametrize(
    ("error", "waits"),
    [(UNAVAILABLE, [1.5, 3.0, 6.0, 6.0, 6.0, 6.0, 6.0]), (THROTTLED, [1.5, 3.0, 6.0, 12.0, 24.0, 48.0, 48.0])],
    ids=["unavailable", "throttled"],
)
def test_what_fails_alone_is_not_asked_all_the_time(error, waits):
    """Others are answered, so the fault may be with this one; what is throttled is left alone as long as ever."""
    world = World(Ref("a"), Ref("b"))
    world.fail(world.entries[1], error, times=LONG)
    found = []
    for _ in waits:
        world.answer(world.entries[0])
        found.append(world.left(world.entries[1]))
        world.clock.tick(found[-1])
        world.fail(world.entries[1], error)

    assert waits == found


def test_what_fails_in_company_is_asked_again_as_soon_as_at_first():
    """Faults that come and go hit several: a secret that had bad luck does not pay for it when they end."""
    world = World(Ref("a"), Ref("b"), Ref("c"))
    for _ in range(LONG):
        for entry in world.entries[1:]:
            world.fail(entry)
        world.answer(world.entries[0])
        world.clock.tick(2)

    for entry in world.entries[1:]:
        world.fail(entry)
    world.answer(world.entries[0])

    assert [1.5, 1.5] == [world.left(entry) for entry in world.entries[1:]]


def test_parameters_share_one_random_number():
    """As they share calls: they are due together, and may be fetched with the first that is."""
    world = World(*(Ref(name, is_parameter=True) for name in "abcd"))
    for entry in world.entries:
        world.fail(entry, times=LONG)

    world.answer(world.entries[0])
    world.clock.tick(1.5)

    assert 1 == world.draws
    assert [True] * 3 == [entry.is_refresh_near(world.clock.now()) for entry in world.entries[1:]]


PLACES = [Ref("a"), Ref("b"), Ref("c"), Ref(arn_of("d").replace(OWN, "us-east-1")), Ref("e", is_parameter=True)]
OUTCOMES = st.sampled_from([None, None, UNAVAILABLE, UNAVAILABLE, THROTTLED, REFUSED, ROLE_REFUSED])
STEPS = st.tuples(
    st.integers(0, len(PLACES) - 1), OUTCOMES, st.sampled_from([0.0, 0.3, 1.0, 5.0, 61.0]), st.floats(0, 1)
)


@settings(max_examples=EXAMPLES)
@given(st.lists(STEPS, max_size=40))
def test_whatever_happens_a_back_off_is_cut_and_never_lost(steps):
    """Only where AWS answered in the same place, after a passing failure; to 8 s at most, if it is not throttled."""
    world = World(*PLACES)
    for number, error, seconds, draw in steps:
        world.random = draw
        world.clock.tick(seconds)
        entry = world.entries[number]
        before = [(each, each.failure) for each in world.entries if each is not entry]
        if error is None:
            world.answer(entry)
        else:
            world.fail(entry, error)
        is_answer = error is None or error is REFUSED
        place = find_place(entry.ref, OWN)
        for each, failure in before:
            if failure is None or not is_answer or not failure.is_passing or find_place(each.ref, OWN) != place:
                assert each.failure is failure
                continue
            assert each.failure is not None
            assert each.failure.backoff_seconds <= failure.backoff_seconds
            assert failure.error is THROTTLED or world.left(each) <= LONG
            assert failure.is_shortened or each.failure.backoff_seconds >= min(
                failure.backoff_seconds, world.clock.monotonic - failure.at.monotonic + 1.0
            )
