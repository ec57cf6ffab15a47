"""Mutations find their place by name, and the code there by its syntax tree."""

import ast
from pathlib import Path

import pytest

from tools.mutation import Mutation, MutationError, locate

SOURCE = """
LIMIT: int = 20

class Door:
    def close(self, hard):
        if hard and (  # a comment
            not self.closed
        ):
            self.slam()
        self.closed = True; self.count += 1

def close(door):
    return door.close(True), 20
"""
CONDITION = SOURCE[SOURCE.index("hard and (") : SOURCE.index(":\n            self.slam")]
STATEMENTS = "self.closed = True; self.count += 1"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Return a package with one module that has all there is to change, and two that share a name."""
    (tmp_path / "wood").mkdir()
    (tmp_path / "door.py").write_text(SOURCE)
    (tmp_path / "wood" / "oak.py").write_text("def paint(): return 1")
    (tmp_path / "wood" / "ash.py").write_text("def paint(): return 1")
    return tmp_path


@pytest.mark.parametrize(
    ("place", "old", "new", "before", "after"),
    [
        ("Door.close", "hard and not self.closed", "False", CONDITION, "False"),
        ("Door.close", "self.closed = True\nself.count += 1", "return", STATEMENTS, "return"),
        ("close", "door.close(True)", "None", "door.close(True)", "None"),
        ("LIMIT", "20", "21", "int = 20", "int = 21"),
    ],
)
def test_an_expression_or_statements_are_replaced_within_their_place(package, place, old, new, before, after):
    """Layout, comments and brackets do not matter, and the same code elsewhere stays as it is."""
    path, text = Mutation(place, old, new).apply(package)

    assert package / "door.py" == path
    assert ast.unparse(ast.parse(SOURCE.replace(before, after))) + "\n" == text


@pytest.mark.parametrize(
    ("place", "old", "message"),
    [
        ("Door.close", "self.open()", "Door.close has 'self.open()' 0 times, not once"),
        ("Door.close", "self", "Door.close has 'self' 4 times, not once"),
        ("Door.open", "1", "must be defined by one file, not by none"),
        ("wood:paint", "1", "must be defined by one file, not by wood/ash.py, wood/oak.py"),
    ],
)
def test_what_is_not_there_exactly_once_is_an_error(package, place, old, message):
    """A mutation that changes nothing proves nothing; one that changes two things does not show which was noticed."""
    with pytest.raises(MutationError, match=f"{message.replace('(', '.').replace(')', '.')}$"):
        Mutation(place, old, "0").apply(package)


@pytest.mark.parametrize("name", ["oak:paint", "wood.oak:paint"])
def test_parts_of_a_modules_name_tell_apart_what_several_define(package, name):
    """As few parts as are needed, so that a module may move."""
    assert package / "wood" / "oak.py" == locate(name, package)
