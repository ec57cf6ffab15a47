"""The promises: each can be broken, by a change that fits the package, and names tests that exist."""

import ast

import pytest

from tests.support.promises import PROMISES, Promise, table
from tools.emulator import ROOT
from tools.mutation import Mutation, locate
from tools.promises import survivors

BY_TEXT = [pytest.param(promise, id=promise.text[:60]) for promise in PROMISES]


@pytest.mark.parametrize("promise", BY_TEXT)
def test_a_promise_names_what_breaks_it_and_tests_that_exist(promise: Promise):
    """Else the table would tell of a proof that nobody can repeat."""
    path, text = promise.mutation.apply(ROOT / "secrets_cache")

    assert ast.dump(ast.parse(path.read_text(encoding="utf-8"))) != ast.dump(ast.parse(text))
    assert promise.tests
    for test in promise.tests:
        assert locate(test, ROOT / "tests").name.startswith("test_")


def test_a_promise_that_nobody_looks_at_is_found_out():
    """A change that no test of a promise notices survives, and is named; one that they notice does not."""
    noticed = next(promise for promise in PROMISES if promise.text == "The back-off has jitter.")
    place, old, _ = noticed.mutation
    unnoticed = noticed._replace(mutation=Mutation(place, old, f"1 * ({old})"))

    assert [] == survivors(noticed)
    assert len(unnoticed.tests) == len(survivors(unnoticed))


def test_the_page_has_the_promises():
    """To write it anew: python -m tools.promises --table."""
    assert table() in (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
