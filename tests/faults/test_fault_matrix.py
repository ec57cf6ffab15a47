"""The fault matrix: every fault, at every moment, on the fast paths and on the libraries."""

import pytest

from tests.support.fault_matrix import FAULTS, Fault, Moment, Outcome, expected, moments_of
from tests.support.fault_stage import play, staged
from tests.support.fault_tables import PAGE, written


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
async def test_a_fault_has_the_outcome_that_the_table_states(fault: Fault, fast_paths, monkeypatch, tmp_path):
    """What callers get, how fast, what is logged, how many calls arrive, and how it recovers."""
    moments = moments_of(fault)
    with staged(fault, monkeypatch, tmp_path) as (stage, certificate):
        outcomes = await play(fault, moments, stage, lambda: stage.end(certificate))

    assert cells({moment: expected(fault, moment) for moment in moments}) == cells(outcomes)


def test_the_page_shows_the_tables_of_the_list():
    """`python -m tests.support.fault_tables` puts them there."""
    page = PAGE.read_text(encoding="utf-8")

    assert written(page) == page
    assert all(f"| {fault.what} | " in page for fault in FAULTS)


def cells(outcomes: dict[Moment, Outcome]) -> dict[tuple[str, str], object]:
    """Return outcomes part by part, so that a failure shows which."""
    return {
        (moment.value, part): value for moment, outcome in outcomes.items() for part, value in outcome._asdict().items()
    }
