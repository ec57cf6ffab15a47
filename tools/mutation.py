"""
Mutations: small changes of a package that break it on purpose.

Rules
-----
1. A place is named, not numbered: it is found wherever its module lies.
2. Code is compared as syntax trees: layout, comments, quotes and brackets do not matter.
3. What matches nothing, or more than once, is an error.
"""

import ast
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple


class MutationError(Exception):
    """A name or a piece of code is not there exactly once; the text says which."""


class Mutation(NamedTuple):
    """
    One change of a package.

    Attributes:
        place: What is changed, as `locate` finds it.
        old: An expression, or one or more statements in a row, that the place has exactly once.
        new: What replaces it; `pass` where statements are deleted.
    """

    place: str
    old: str
    new: str

    def apply(self, package: Path) -> tuple[Path, str]:
        """
        Return the file to change and its text with the change, which has no comments.

        Raises:
            MutationError: The place is not in the package exactly once, or `old` not in the place.
        """
        path = locate(self.place, package)
        module = ast.parse(path.read_text(encoding="utf-8"))
        place = dict(_list_definitions(module.body))[self.place.rpartition(":")[2]]
        count = _replace(place, *_parse(self.old, self.new))
        if count != 1:
            raise MutationError(f"{self.place} has {self.old!r} {count} times, not once")
        return path, ast.unparse(module) + "\n"


def locate(name: str, folder: Path) -> Path:
    """
    Return the one file below a folder that defines a function, a class or a constant.

    Args:
        name: The qualified name, such as `Entry.is_fresh`, `elapsed` or `BATCH_SIZE`. Where several files define it,
            one or more parts of the module's name come first: `logs:describe`, `server.target:parse`.
        folder: A package, or a folder of tests.

    Raises:
        MutationError: No file defines it, or several do.
    """
    module, _, qualified = name.rpartition(":")
    files = [file for file in _index(folder).get(qualified, ()) if not module or f".{module}." in _join_parts(file)]
    if len(files) != 1:
        raise MutationError(f"{name} must be defined by one file, not by {', '.join(map(str, files)) or 'none'}")
    return folder / files[0]


def _join_parts(file: Path) -> str:
    return f".{'.'.join(file.with_suffix('').parts)}."


@functools.cache
def _index(folder: Path) -> dict[str, list[Path]]:
    """Return the files below a folder by the names that they define."""
    index: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*.py")):
        for name, _ in _list_definitions(ast.parse(path.read_text(encoding="utf-8")).body):
            index.setdefault(name, []).append(path.relative_to(folder))
    return index


def _list_definitions(body: Sequence[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.stmt]]:
    """Return what a module, or a class, defines, with the qualified names."""
    for statement in body:
        if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + statement.name, statement
        if isinstance(statement, ast.ClassDef):
            yield from _list_definitions(statement.body, f"{prefix}{statement.name}.")
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            yield from ((prefix + ast.unparse(target), statement) for target in targets)


def _parse(old: str, new: str) -> tuple[Sequence[ast.AST], Sequence[ast.AST]]:
    """Return two pieces of code as nodes: as an expression each if both are one, else as statements."""
    before, after = ast.parse(old).body, ast.parse(new).body
    match before, after:
        case [ast.Expr(expression)], [ast.Expr(replacement)]:
            return [expression], [replacement]
    return before, after


def _replace(place: ast.AST, old: Sequence[ast.AST], new: Sequence[ast.AST]) -> int:
    """Replace nodes in a row by others, wherever they are within a place; return how often."""
    wanted, count = [ast.dump(node) for node in old], 0
    for parent in list(ast.walk(place)):
        for field, value in ast.iter_fields(parent):
            children = value if isinstance(value, list) else [value]
            dumps = [ast.dump(child) if isinstance(child, ast.AST) else None for child in children]
            for start in reversed(range(len(dumps))):
                if dumps[start : start + len(wanted)] == wanted:
                    children[start : start + len(wanted)] = new
                    setattr(parent, field, children if isinstance(value, list) else children[0])
                    count += 1
    return count
