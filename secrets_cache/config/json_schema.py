"""
The JSON Schema (2020-12) of config.yaml, for editors, made of the tables in `schema` and the types in `values`.

An editor reads numbers and booleans where this program reads the text that was written, so each type allows what YAML
may make of its text. Left to `check` is what a schema cannot say: bounds of a duration that has a unit, names that are
there twice, and how a version in an id goes together with other keys.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from secrets_cache.config import values
from secrets_cache.config.schema import (
    CHOOSE_KEYS,
    GENERAL,
    LISTS,
    METRICS,
    NEEDS_KEYS,
    NEEDS_ROLE,
    PARAMETER,
    SECRET,
    SERVER,
    VARIABLES,
    VARIABLES_LISTS,
)
from secrets_cache.config.values import Choice, Duration, Share, Text, ValueType, Whole

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
NUMBER = r"[0-9]{1,12}(\.[0-9]{1,9})?|\.[0-9]{1,9}"
# A parameter's id that names a version, a label or a path needs, and allows, no other selector.
SELECTED = r"(/|:[^/:]+)$"


def make_json_schema() -> Schema:
    """Return the schema."""
    lists = _make_lists()
    groups = _list_of(_object({name: lists[name] for name in ("secrets", "parameters")}))
    server = {**_make_values(SERVER), "token": {"anyOf": [make_value(SERVER["token"]), {"const": ""}]}}
    top = _object({
        **lists,
        **_make_values(GENERAL),
        "metrics": {"anyOf": [make_value(METRICS["format"]), _object(_make_values(METRICS))]},
        "server": _object(server),
        "CacheManager": {**groups, "description": "the older form: a list of groups, each with its own lists"},
    })  # fmt: skip
    # Not anyOf: for a mistake below, validators would then say that the file is no list.
    branches = {"if": {"type": "array"}, "then": groups, "else": {**top, "type": ["object", "null"]}}
    return {"$schema": DIALECT, "title": "config.yaml of secrets-cache", **branches}


def _make_lists() -> Schema:
    secret, parameter = (_make_item(types) for types in (SECRET, PARAMETER))
    is_selected = {"properties": {"id": {"type": "string", "pattern": SELECTED}}}
    parameter["anyOf"][1] |= {
        "if": is_selected,
        "then": _needs_none_of(("version", "label")),
        "else": {"not": {"required": ["version", "label"]}},
    }
    items = {
        "secrets": secret,
        "parameters": parameter,
        "allow": make_value(values.PATTERN),
        "env": _make_variables(),
    }
    return {name: _list_of(items[name]) for name in LISTS}


def _make_item(types: Mapping[str, ValueType[Any]]) -> Schema:
    """Return an id alone, or the long form."""
    needs_role = {name: ["role_arn"] for name in NEEDS_ROLE}
    long = {**_object(_make_values(types)), "required": ["id"], "dependentRequired": needs_role}
    return {"anyOf": [make_value(types["id"]), long]}


def _make_variables() -> Schema:
    name = make_value(VARIABLES["as"])
    lists = {key: _list_of(name) for key in VARIABLES_LISTS}
    rename = {"type": "object", "additionalProperties": name, "description": "variables by key"}
    kinds = [{"required": [kind]} for kind in ("secret", "parameter")]
    alone = {"if": {"required": ["as"]}, "then": _needs_none_of(NEEDS_KEYS)}
    # An ARN with a key behind it, as ECS has it.
    keyed = {
        "if": {"properties": {"secret": {"type": "string", "pattern": ":secret:[^:]+:[^:]"}}, "required": ["secret"]},
        "then": _needs_none_of(CHOOSE_KEYS),
    }
    return {
        **_object({**_make_values(VARIABLES), **lists, "rename": rename}),
        "oneOf": kinds,
        "allOf": [alone, keyed],
    }


def _needs_none_of(names: Iterable[str]) -> Schema:
    return {"not": {"anyOf": [{"required": [name]} for name in names]}}


def _list_of(items: Schema) -> Schema:
    return {"type": ["array", "null"], "items": items}


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _make_values(types: Mapping[str, ValueType[Any]]) -> Schema:
    return {name: make_value(value_type) for name, value_type in types.items()}


def make_value(value_type: ValueType[Any]) -> Schema:
    """Return the schema of one value, with what is allowed in words."""
    return {"description": value_type.allowed, **_make_type(value_type)}


def _make_type(value_type: ValueType[Any]) -> Schema:
    match value_type:
        case Whole():
            bounds = {"minimum": value_type.at_least, "maximum": value_type.at_most}
            return {"anyOf": [{"type": "integer", **bounds}, _text("0*[0-9]{1,9}")]}
        case Duration():
            least = {"minimum": value_type.at_least} if value_type.may_be_zero or value_type.at_least else {}
            bounds = {**(least or {"exclusiveMinimum": 0}), "maximum": value_type.at_most}
            return {"anyOf": [{"type": "number", **bounds}, _text(f"({NUMBER})[smh]?")]}
        case Share():
            return {"anyOf": [{"const": 0}, _text(f"({NUMBER})%|0")]}
        case Choice():
            words = list(value_type.meanings)
            any_case = "|".join("".join(f"[{char}{char.upper()}]" for char in word) for word in words)
            scalars = [{"type": "boolean"}] if "true" in words else []
            return {"anyOf": [{"enum": words}, *scalars, _text(any_case)]}
    assert isinstance(value_type, Text)  # noqa: S101 - there is no other type
    return {"anyOf": [_text(value_type.schema_pattern), *_list_scalars(value_type.schema_pattern)]}


def _list_scalars(pattern: str) -> list[Schema]:
    """Return the types other than text that YAML may give to a text of this form."""
    takes = {text: re.fullmatch(pattern, text) is not None for text in ("1", "0", "-1", "1.5", "true")}
    found: list[Schema] = [{"type": "boolean"}] if takes["true"] else []
    if takes["1"] or takes["1.5"]:
        least = {} if takes["-1"] else {"minimum": 0 if takes["0"] else 1}
        found.append({"type": "number" if takes["1.5"] else "integer", **least})
    return found


def _text(pattern: str) -> Schema:
    return {"type": "string", "pattern": f"^(?:{pattern})$"}
