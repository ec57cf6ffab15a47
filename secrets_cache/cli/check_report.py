"""
What `check` reports: one mapping of plain values for each problem, listed item and variable. Pure.

The keys are those of `check --json`, and stay; docs/command-line.md lists them.
"""

from collections.abc import Sequence
from typing import Any

from secrets_cache.config import Config, ListedSecret, Problem
from secrets_cache.core.arn import SecretReference
from secrets_cache.core.results import EntryKind
from secrets_cache.core.secret import Ref
from secrets_cache.variables.assignments import name_variable
from secrets_cache.variables.rules import Names, Rule, Wanted, find_ref, matches

Row = dict[str, Any]


def make_problem_row(problem: Problem) -> Row:
    """Return a problem of the configuration, or of the variables that name secrets."""
    return {**problem._asdict(), "text": str(problem)}


def make_listed_row(config: Config, item: ListedSecret) -> Row:
    """Return what a listed item means. None: the function's own region or role, or the current version."""
    return {
        "name": item.name,
        "kind": EntryKind.of(item.ref).value,
        "id": item.ref.secret_id,
        "version": item.ref.version_id or item.ref.version_stage,
        "region": item.ref.context.region or None,
        "role_arn": item.ref.context.role_arn or None,
        "ttl_seconds": config.ttl if item.ttl_seconds is None else item.ttl_seconds,
        "required": item.required,
    }


def make_rule_row(rule: Rule, names: Names) -> Row:
    """Return which variables a rule would set and from where, as far as that is known without the value."""
    wanted = rule.wanted
    context = find_ref(wanted, names).context
    return {
        "variables": _list_patterns(rule),
        "source": "reference" if rule.is_reference else rule.origin.partition(":")[0],
        "kind": EntryKind.of(Ref(wanted.id, is_parameter=wanted.is_parameter)).value,
        "id": _write_id(wanted),
        "key": rule.key or None,
        "region": context.region or None,
        "role_arn": context.role_arn or None,
        "override": rule.env_item.override,
        "required": rule.env_item.required,
    }


def _write_id(wanted: Wanted) -> str:
    """Return the id with its version, as AWS and ECS write them; the id of a parameter holds it already."""
    parts = SecretReference(wanted.id, "", wanted.version_stage or "", wanted.version_id or "")
    return ":".join(parts) if wanted.selects_version else wanted.id


def _list_patterns(rule: Rule) -> Sequence[str]:
    """Return the names of the variables; a star means keys that only the value has."""
    env_item = rule.env_item
    if env_item.as_name:
        return [env_item.as_name]
    keys = [*env_item.include, *env_item.rename] if env_item.include else ["*", *env_item.rename]
    return [name_variable(rule, key) for key in dict.fromkeys(keys) if not matches(key, env_item.exclude)]
