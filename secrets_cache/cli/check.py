"""
`secrets-cache check`: what is wrong with a configuration, what it means, and with `--fetch` whether all can be had.

    file and environment -> Config and rules -> facts -> (tried) -> a table, or JSON

Never a value, nor anything made of one but the names of keys.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence

from secrets_cache.cli import facts
from secrets_cache.cli.facts import Facts
from secrets_cache.cli.inputs import configuration, function_variables, quiet
from secrets_cache.cli.terminal import Cell, Screen, Style
from secrets_cache.config import Config
from secrets_cache.errors import VariablesFailed
from secrets_cache.variables.rules import Rule, names_of, rules_of

STATES = {"fresh": Style.GOOD, "fetched": Style.GOOD, "stale": Style.BAD, "failed": Style.BAD, "pending": Style.BAD}


def run(given: argparse.Namespace) -> int:
    """Check, and say what was found; return 0 if nothing is wrong."""
    quiet()
    variables = function_variables(given.environment) if given.environment else dict(os.environ)
    file, config = configuration(given, variables)
    problems = [facts.of_problem(problem) for problem in config.problems]
    rules: Sequence[Rule] = []
    try:
        rules = rules_of(config.env, {**variables, "AWS_REGION": _own_region(variables)})
    except VariablesFailed as error:
        problems.append(facts.of_failure(error))
    listed = [facts.of_listed(config, item) for item in config.listed]
    wanted = [facts.of_rule(rule, names_of(config.listed)) for rule in rules]
    if given.fetch:
        _fetch(config, rules, variables, listed, wanted)
    failed = [row for row in (*listed, *wanted) if row.get("state") in {"failed", "pending"}]
    found: Facts = {
        "ok": not problems and not failed,
        "file": file.path,
        "file_exists": file.data is not None,
        "fetched": given.fetch,
        "problems": problems,
        "listed": listed,
        "variables": wanted,
        "allow": list(config.allow),
    }
    if given.json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        _show(found, Screen(sys.stdout, os.environ))
    return 0 if found["ok"] else 1


def _own_region(variables: Mapping[str, str]) -> str:
    # A function's own variables do not hold its region.
    return variables.get("AWS_REGION") or os.environ.get("AWS_REGION", "")


def _fetch(
    config: Config, rules: Sequence[Rule], variables: Mapping[str, str], listed: list[Facts], wanted: list[Facts]
) -> None:
    """Add to the facts what comes of trying."""
    from secrets_cache.cli.probe import tried  # noqa: PLC0415 - slow to import

    screen = Screen(sys.stderr, os.environ)
    of_listed, of_rules = asyncio.run(
        tried(config, rules, variables, lambda done, total: screen.progress(f"{done}/{total} fetched"))
    )
    screen.progress("")
    for row, more in zip((*listed, *wanted), (*of_listed, *of_rules), strict=True):
        row.update(more)


# For a reader.


def _show(found: Facts, screen: Screen) -> None:
    name = found["file"] if found["file_exists"] else f"{found['file']} (not there)"
    count = len(found["problems"])
    screen.line(f"{name}: {count or 'no'} problem{'' if count == 1 else 's'}", Style.BAD if count else Style.GOOD)
    for problem in found["problems"]:
        screen.line(f"  {problem['text']}")
    if found["listed"]:
        screen.line()
        screen.table(
            ("NAME", "KIND", "ASKED FOR", "REGION", "ROLE", "TTL", "REQUIRED", "STATE", "VERSION", "TOOK", "ERROR"),
            [_listed_row(row) for row in found["listed"]],
        )
    if found["variables"]:
        screen.line()
        screen.table(
            ("VARIABLES", "FROM", "KIND", "ASKED FOR", "REGION", "ROLE", "REQUIRED", "STATE"),
            [_variables_row(row) for row in found["variables"]],
        )
    if found["allow"]:
        screen.line()
        screen.line(f"On demand: {', '.join(found['allow'])}")
    _show_reasons(found, screen)


def _show_reasons(found: Facts, screen: Screen) -> None:
    rows = [*found["listed"], *found["variables"]]
    lines = [(row["reason"], Style.BAD) for row in rows if row.get("reason")]
    lines += [
        (f"variable {one['name']!r} is not set: {one['reason']}", Style.PLAIN)
        for row in found["variables"]
        for one in row.get("refused", ())
    ]
    if lines:
        screen.line()
    for text, style in lines:
        screen.line(text, style)


def _listed_row(row: Facts) -> list[Cell]:
    state = row.get("state", "")
    return [
        Cell(row["name"]),
        Cell(row["kind"]),
        Cell(_asked(row["id"], row["version"])),
        Cell(row["region"] or ""),
        Cell(row["role_arn"] or ""),
        Cell(_duration(row["ttl_seconds"])),
        Cell("yes" if row["required"] else ""),
        Cell(state, STATES.get(state, Style.PLAIN)),
        Cell(row.get("version_id") or "", Style.FAINT),
        Cell("" if row.get("took_ms") is None else f"{row['took_ms']} ms"),
        Cell(row.get("code") or "", Style.BAD),
    ]


def _variables_row(row: Facts) -> list[Cell]:
    state = row.get("state", "")
    names = [*row["variables"], *(f"{name} (unset)" for name in row.get("unset", ()))]
    return [
        Cell(", ".join(names) or "none"),
        Cell(row["source"]),
        Cell(row["kind"]),
        Cell(_asked(row["id"], row["key"], "#")),
        Cell(row["region"] or ""),
        Cell(row["role_arn"] or ""),
        Cell("yes" if row["required"] else ""),
        Cell(state, STATES.get(state, Style.PLAIN)),
    ]


def _asked(name: str, what: str | None, separator: str = " ") -> str:
    return name if what is None else f"{name}{separator}{what}"


def _duration(seconds: float) -> str:
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"
