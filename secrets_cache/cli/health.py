"""`secrets-cache health`: the probe for orchestrators, since the server listens on loopback only."""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from secrets_cache.cli.client import OK, NoServer, ask
from secrets_cache.cli.inputs import read_existing_configuration
from secrets_cache.cli.terminal import Cell, Screen, Style, print_error
from secrets_cache.errors import add_advice


def run(given: argparse.Namespace) -> int:
    """Print the answer of /health; return 0 if its status is 200."""
    _, config = read_existing_configuration(given, os.environ)
    try:
        answer = ask(given.url, "/health", config)
    except NoServer as reason:
        where = (
            "check --url"
            if given.url
            else "start `secrets-cache serve`, or name its port with SECRETS_CACHE_PORT or --url"
        )
        print_error(add_advice(str(reason), where))
        return 1
    if not (sys.stdout.isatty() and _show(answer.body)):
        sys.stdout.buffer.write(answer.body + b"\n")
    return 0 if answer.status == OK else 1


def _show(body: bytes) -> bool:
    """Show the answer in words; return whether it could be read."""
    try:
        found = json.loads(body)
        status, problems = found["status"], found["problems"]
        rows = [_make_cells(secret) for secret in found["secrets"]]
    except (ValueError, KeyError, TypeError):
        # A problem document, such as that of a missing token.
        return False
    screen = Screen(sys.stdout)
    screen.line(str(status), Style.GOOD if status == "ok" else Style.BAD)
    for problem in problems:
        screen.line(f"  {problem}")
    if rows:
        screen.line()
        screen.table(rows)
    elif not problems:
        screen.line("  No secret and no parameter is listed")
    return True


def _make_cells(secret: Mapping[str, Any]) -> dict[str, Cell]:
    age = secret["age_seconds"]
    return {
        "NAME": Cell(str(secret["name"])),
        "KIND": Cell(str(secret["kind"])),
        "STATE": Cell(str(secret["state"]), Style.GOOD if secret["state"] == "fresh" else Style.BAD),
        "AGE": Cell("" if age is None else f"{age:.0f} s"),
        "VERSION": Cell(secret["version_id"] or "", Style.FAINT),
        "ERROR": Cell(secret["error"] or "", Style.BAD),
    }
