"""The promises: each can be broken, by a change that fits the package, and names tests that exist."""

import ast

from tests.support.promises import PROMISES, table
from tools.emulator import ROOT
from tools.mutation import locate


def test_each_promise_names_what_breaks_it_and_tests_that_exist():
    """`make promises` can then repeat each proof. One test, since it parses all the tests once."""
    for promise in PROMISES:
        path, text = promise.mutation.apply(ROOT / "secrets_cache")

        assert ast.dump(ast.parse(path.read_text(encoding="utf-8"))) != ast.dump(ast.parse(text)), promise.text
        assert promise.tests
        for test in promise.tests:
            assert locate(test, ROOT / "tests").name.startswith("test_"), promise.text


def test_the_page_has_the_promises():
    """To write it anew: python -m tools.promises --table."""
    assert table() in (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
