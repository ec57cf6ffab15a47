"""The fault matrix: every fault, at every moment, on the fast paths and on the libraries."""

import os

import pytest

from secrets_cache.config.environment import uses_fast_paths
from tests.support.fault_matrix import (
    FAULTS,
    Asked,
    Fault,
    Kind,
    Moment,
    Outcome,
    expected,
    faults_of,
    moments_of,
    seen,
)
from tests.support.fault_stage import play, staged
from tests.support.fault_tables import PAGE, written


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
async def test_a_fault_has_the_outcome_that_the_table_states(fault: Fault, fast_paths, monkeypatch, tmp_path):
    """What callers get, how fast, what is logged, how many calls arrive, and how it recovers."""
    moments = moments_of(fault)
    with staged(fault, monkeypatch, tmp_path) as (stage, certificate):
        outcomes = await play(fault, moments, stage, lambda: stage.end(certificate))

    assert cells({moment: expected(fault, moment) for moment in moments}) == cells(outcomes)


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        pytest.param(asked, fault, id=f"{asked.name.lower()}, {fault.what}")
        for asked in (Asked.PARAMETER, Asked.ROLE, Asked.CONTAINER)
        for fault in faults_of(asked)
    ],
)
async def test_a_fault_of_another_service_has_the_same_outcome(asked, fault, fast_paths, monkeypatch, tmp_path):
    """Of Parameter Store; of STS, for a secret by a role; of a container's endpoint, for the credentials."""
    with staged(fault, monkeypatch, tmp_path, asked) as (stage, certificate):
        outcomes = await play(fault, asked.moments, stage, lambda: stage.end(certificate))

    is_fast = uses_fast_paths(os.environ)
    same = seen(fault, asked, is_fast=is_fast)
    # How often botocore asks a container is its own business; a time-out for that is on the machine's clock.
    is_exact = asked is not Asked.CONTAINER or (is_fast and fault.kind is not Kind.SILENT)
    without = () if is_exact else ("calls", "recovered_calls")
    wanted = {moment: expected(same, moment) for moment in asked.moments}
    assert cells(wanted, without) == cells(outcomes, without)


def test_the_page_shows_the_tables_of_the_list():
    """`python -m tests.support.fault_tables` puts them there."""
    page = PAGE.read_text(encoding="utf-8")

    assert written(page) == page
    assert all(fault.what in page for fault in FAULTS)


def cells(outcomes: dict[Moment, Outcome], without: tuple[str, ...] = ()) -> dict[tuple[str, str], object]:
    """Return outcomes part by part, so that a failure shows which."""
    return {
        (moment.value, part): value
        for moment, outcome in outcomes.items()
        for part, value in outcome._asdict().items()
        if part not in without
    }
