"""What the cache gives."""

import pickle

import pytest

from secrets_cache.core.clock import Instant
from secrets_cache.core.entry import Entry
from secrets_cache.core.freshness import CachedValue, State
from secrets_cache.core.results import CacheResult, CacheStatus, EntryKind, EntryReport
from secrets_cache.core.secret import ParameterFacts, Ref
from tests.support.caches import policy
from tests.support.fakes import CANARY, secret, with_fields


def result(value: str = CANARY) -> CacheResult:
    """Return an answer from memory."""
    return CacheResult(CachedValue(secret("db", value), Instant(1, 2), 3, 4), CacheStatus.HIT, 5)


def test_an_answer_shows_all_but_the_secrets_value():
    """How it came about, and which version it holds."""
    for shown in (repr(result()), str(result()), f"{result()}"):
        assert CANARY not in shown
        assert "status=<CacheStatus.HIT: 'hit'>" in shown
        assert "version_id='version-1'" in shown


def test_answers_are_equal_by_what_they_hold():
    """Down to the value."""
    assert result() == result()
    assert result() != result("another")


def test_what_has_no_value_cannot_be_served(clock):
    """A reference to a binary secret without its bytes: AWS answered, and a request for it fails."""
    entry = Entry(Ref("/x", is_parameter=True), "x", policy())
    facts = ParameterFacts("String", 0, has_value=False)
    now = clock.now()
    entry.held = CachedValue(with_fields(secret(), value=b"", is_text=False, parameter=facts), now, now.wall, 1.0)

    report = EntryReport.of(entry, now)

    assert (State.FAILED, "no-value", False) == (report.state, report.error, report.is_servable)
    assert report.reason is not None
    assert "refers to a binary secret" in report.reason


def test_an_answer_is_neither_pickled_nor_taken_apart():
    """Either would show the value to a reader of the bytes, or the loop."""
    with pytest.raises(TypeError, match="a CacheResult holds a secret"):
        pickle.dumps(result())
    with pytest.raises(TypeError):
        iter(result())  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("ref", "kind"),
    [
        (Ref("a"), EntryKind.SECRET),
        (Ref("a/"), EntryKind.SECRET),
        (Ref("/a", is_parameter=True), EntryKind.PARAMETER),
        (Ref("/a/", is_parameter=True), EntryKind.PATH),
    ],
)
def test_the_kind_of_what_is_listed(ref, kind):
    """A slash at its end makes a parameter a path."""
    assert kind is EntryKind.of(ref)
