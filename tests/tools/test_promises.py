"""The promises: each can be broken, by a change that fits the source, and names tests that there are."""

import ast

import pytest

from tests.support.promises import PROMISES, ROOT, Promise, table
from tools.promises import survivors

BY_TEXT = [pytest.param(promise, id=promise.text[:60]) for promise in PROMISES]


def names_in(file: str) -> set[str]:
    """Return the names of a module's tests."""
    tree = ast.parse((ROOT / "tests" / f"{file}.py").read_text(encoding="utf-8"))
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    # A state machine is a test by assignment.
    return names | {ast.unparse(node.targets[0]) for node in tree.body if isinstance(node, ast.Assign)}


@pytest.mark.parametrize("promise", BY_TEXT)
def test_a_promise_names_what_breaks_it_and_tests_that_there_are(promise: Promise):
    """Else the table would tell of a proof that nobody can repeat."""
    source = (ROOT / "secrets_cache" / promise.file).read_text(encoding="utf-8")

    assert 1 == source.count(promise.line)
    ast.parse(source.replace(promise.line, promise.broken))
    for file, tests in promise.tests.items():
        assert set() == set(tests) - names_in(file)


def test_a_promise_that_nobody_looks_at_is_found_out():
    """A change that no test of a promise notices survives, and is named; one that they notice does not."""
    noticed = next(promise for promise in PROMISES if promise.text == "The back-off has jitter.")
    unnoticed = noticed._replace(broken=f"{noticed.line}  # the same")

    assert [] == survivors(noticed)
    assert unnoticed.ids() == survivors(unnoticed)


def test_the_page_has_the_promises():
    """To write it anew: python -m tools.promises --table."""
    assert table() in (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
