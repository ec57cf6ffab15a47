"""
What a configuration means, as `check` tells it: one mapping of plain values for each thing. Pure.

The keys are those of `check --json`, and stay; docs/command-line.md lists them.
"""

from collections.abc import Sequence
from typing import Any

from secrets_cache.config import Config, ListedSecret, Problem
from secrets_cache.core.secret import Ref
from secrets_cache.errors import VariablesFailed
from secrets_cache.variables.assignments import variable_of
from secrets_cache.variables.rules import Names, Rule, ref_of

Facts = dict[str, Any]


def of_problem(problem: Problem) -> Facts:
    """Return what is wrong."""
    return {**problem._asdict(), "text": str(problem)}


def of_failure(error: VariablesFailed) -> Facts:
    """Return what is wrong with the variables that say what is wanted, in the form of other problems."""
    text = f"environment: {error.reason}"
    return {"file": "environment", "line": None, "key": "", "found": "", "allowed": "", "text": text}


def of_listed(config: Config, item: ListedSecret) -> Facts:
    """Return what a listed secret, parameter or path means; null for what is the function's own or the current one."""
    return {
        "name": item.name,
        "kind": _kind(item.ref),
        "id": item.ref.secret_id,
        "version": item.ref.version_id or item.ref.version_stage,
        "region": item.ref.access.region or None,
        "role_arn": item.ref.access.role_arn or None,
        "ttl_seconds": config.ttl if item.ttl_seconds is None else item.ttl_seconds,
        "required": item.required,
    }


def of_rule(rule: Rule, names: Names) -> Facts:
    """Return which variables would be set from where, as far as that is known without the value."""
    wanted = rule.wanted
    access = ref_of(wanted, names).access
    return {
        "variables": _patterns(rule),
        "source": "reference" if rule.spread.as_name == rule.origin else rule.origin.partition(":")[0],
        "kind": _kind(Ref(wanted.id, is_parameter=wanted.is_parameter)),
        "id": wanted.id,
        "key": rule.key or None,
        "region": access.region or None,
        "role_arn": access.role_arn or None,
        "override": rule.spread.override,
        "required": rule.spread.required,
    }


def _kind(ref: Ref) -> str:
    return "path" if ref.is_path else "parameter" if ref.is_parameter else "secret"


def _patterns(rule: Rule) -> Sequence[str]:
    """Return the names of the variables; a star stands for a key that only the value knows."""
    spread = rule.spread
    if spread.as_name:
        return [spread.as_name]
    keys = [*spread.include, *spread.rename] if spread.include else ["*", *spread.rename]
    return [variable_of(rule, key) for key in dict.fromkeys(keys) if key not in spread.exclude]
