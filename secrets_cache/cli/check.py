"""
`secrets-cache check`: every problem in a configuration, what it means, and with `--fetch` what cannot be fetched.

    file and environment -> Config and rules -> report -> (probe) -> tables, or JSON

Of a value, nothing is ever printed but the names of its keys.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence

from secrets_cache.cli import check_reasons, check_report
from secrets_cache.cli.check_findings import (
    find_nothing_served,
    find_relative_parameters,
    find_unknown_regions,
    find_unknown_variables,
    find_wrong_schemes,
)
from secrets_cache.cli.check_report import Row
from secrets_cache.cli.inputs import (
    UnusableVariables,
    read_function_configuration,
    read_function_variables,
    silence_logs,
)
from secrets_cache.cli.terminal import Cell, Screen, Style
from secrets_cache.config import Config, Problem
from secrets_cache.config.suggestions import write_duration
from secrets_cache.core.arn import SecretReference
from secrets_cache.errors import VariablesFailed
from secrets_cache.variables.rules import Rule, index_names, make_rules

STATES = {"fresh": Style.GOOD, "fetched": Style.GOOD, "stale": Style.BAD, "failed": Style.BAD, "pending": Style.BAD}


def run(given: argparse.Namespace) -> int:
    """Check, and print what was found; return 0 if nothing is wrong."""
    silence_logs()
    variables, problems = _read_variables(given)
    file, config = read_function_configuration(given, variables)
    problems += config.problems
    rules: Sequence[Rule] = []
    try:
        rules = make_rules(config.env, {**variables, "AWS_REGION": _find_own_region(variables)})
    except VariablesFailed as error:
        problems.append(Problem("environment", None, "", error.reason, ""))
    if not problems:
        problems += find_nothing_served(file, config, rules)
    problems += [
        *find_relative_parameters(file, config),
        *find_unknown_regions(file, config, rules, variables),
        *find_unknown_variables(variables),
        *find_wrong_schemes(variables),
    ]
    listed = [check_report.make_listed_row(config, item) for item in config.listed]
    wanted = [check_report.make_rule_row(rule, index_names(config.listed)) for rule in rules]
    if given.fetch:
        _fetch(config, rules, variables, listed, wanted)
    failed = [row for row in (*listed, *wanted) if row.get("state") in check_reasons.FAILED]
    found: Row = {
        "ok": not problems and not failed,
        "file": file.path,
        "file_exists": file.exists,
        "fetched": given.fetch,
        "problems": [check_report.make_problem_row(problem) for problem in problems],
        "listed": listed,
        "variables": wanted,
        "allow": list(config.allow),
    }
    if given.json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        _show(found, Screen(sys.stdout))
    return 0 if found["ok"] else 1


def _read_variables(given: argparse.Namespace) -> tuple[dict[str, str], list[Problem]]:
    """Return the function's variables, and the problem if they cannot be used."""
    try:
        return read_function_variables(given.environment) if given.environment else dict(os.environ), []
    except UnusableVariables as error:
        return {}, [Problem(error.source, None, "", error.reason, "")]


def _find_own_region(variables: Mapping[str, str]) -> str:
    # A function's own variables do not hold its region.
    return variables.get("AWS_REGION") or os.environ.get("AWS_REGION", "")


def _fetch(
    config: Config, rules: Sequence[Rule], variables: Mapping[str, str], listed: list[Row], wanted: list[Row]
) -> None:
    """Add to the rows what fetching gives."""
    from secrets_cache.cli.check_probe import probe  # noqa: PLC0415 - slow to import
    from secrets_cache.cli.event_loop import run_to_end  # noqa: PLC0415 - likewise

    with Screen(sys.stderr).progress("Fetching") as show:
        of_listed, of_rules = run_to_end(probe(config, rules, variables, show))
    for row, more in zip((*listed, *wanted), (*of_listed, *of_rules), strict=True):
        row.update(more)


# Tables.


def _show(found: Row, screen: Screen) -> None:
    name = found["file"] if found["file_exists"] else f"{found['file']} (no such file)"
    summary = _summarize(found)
    screen.line(f"{name}: {summary}", Style.GOOD if found["ok"] else Style.BAD)
    for problem in found["problems"]:
        screen.line(f"  {problem['text']}")
    for rows, make_cells in ((found["listed"], _make_listed_cells), (found["variables"], _make_variables_cells)):
        if rows:
            screen.line()
            screen.table([make_cells(row) for row in rows])
    if found["allow"]:
        screen.line()
        screen.line(f"On demand: {', '.join(found['allow'])}")
    _show_reasons(found, screen)


def _summarize(found: Row) -> str:
    failures = check_reasons.count_failures(found["listed"], found["variables"]) if found["fetched"] else []
    count = len(found["problems"])
    if count:
        mistakes = f"{count} problem{'' if count == 1 else 's'}"
    elif failures:
        mistakes = "no mistakes in the file" if found["file_exists"] else "no mistakes"
    else:
        mistakes = "no problems"
    return "; ".join([mistakes, *failures])


def _show_reasons(found: Row, screen: Screen) -> None:
    rows = [*found["listed"], *found["variables"]]
    lines = [(reason, Style.BAD) for reason in check_reasons.list_reasons(rows)]
    lines += [
        (f"variable {one['name']!r} is not set: {one['reason']}", Style.PLAIN)
        for row in found["variables"]
        for one in row.get("refused", ())
    ]
    if lines:
        screen.line()
    for text, style in lines:
        screen.line(text, style)


def _make_listed_cells(row: Row) -> dict[str, Cell]:
    asked = _join(row["id"], row["version"], ":" if row["kind"] == "parameter" else " ")
    return {
        "NAME": Cell(row["name"]),
        "KIND": Cell(row["kind"]),
        "ASKED FOR": Cell("" if asked == row["name"] else asked),
        "REGION": Cell(row["region"] or ""),
        "ROLE": Cell(row["role_arn"] or ""),
        "TTL": Cell(write_duration(row["ttl_seconds"])),
        "REQUIRED": Cell("yes" if row["required"] else ""),
        "STATE": _make_state_cell(row),
        "VERSION": Cell(row.get("version_id") or "", Style.FAINT),
        "TOOK": Cell("" if row.get("took_ms") is None else f"{row['took_ms']} ms"),
        "ERROR": Cell(row.get("code") or "", Style.BAD),
    }


def _make_variables_cells(row: Row) -> dict[str, Cell]:
    names = [*row["variables"], *(f"{name} (unset)" for name in row.get("unset", ()))]
    return {
        "VARIABLES": Cell(", ".join(names) or "none"),
        "FROM": Cell(row["source"]),
        "KIND": Cell(row["kind"]),
        "ASKED FOR": Cell(_write_reference(row["id"], row["key"])),
        "REGION": Cell(row["region"] or ""),
        "ROLE": Cell(row["role_arn"] or ""),
        "REQUIRED": Cell("yes" if row["required"] else ""),
        "STATE": _make_state_cell(row),
    }


def _make_state_cell(row: Row) -> Cell:
    state = row.get("state", "")
    return Cell(state, STATES.get(state, Style.PLAIN))


def _write_reference(name: str, key: str | None) -> str:
    """Return a name with its key: after `#`, or between the ARN and the version, as ECS has it."""
    reference = SecretReference.parse(name)
    if key is None or reference == SecretReference(name) or ":" in key:
        return _join(name, key, "#")
    return ":".join(reference._replace(key=key))


def _join(name: str, part: str | None, separator: str) -> str:
    return name if part is None else f"{name}{separator}{part}"
