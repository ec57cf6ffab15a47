"""
The JSON Schema (2020-12) of config.yaml, for editors.

It is made of the tables in `schema`, the types in `values`, and what `meanings` says of each key. An editor reads
numbers and booleans where this program reads the text that was written, so each type allows what YAML may make of its
text. Left to `check` is what a schema cannot say: bounds of a duration that has a unit, and names that are there twice.

`errorMessage` is no keyword of JSON Schema. The YAML language server shows it in place of its own text, which would be
a type or a pattern, if a type, a pattern or a word is wrong, or a key is unknown, forbidden or missing. For `not`, for
two matches in `oneOf`, and for bounds of numbers it has only its own text.
"""

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from secrets_cache.config import meanings, values
from secrets_cache.config.meanings import Meanings
from secrets_cache.config.node_reader import A_LIST, ANY_KEYS, describe_keys
from secrets_cache.config.schema import (
    AS_ALONE,
    CHOOSE_KEYS,
    EITHER_KIND,
    GENERAL,
    LISTS,
    METRICS,
    NEEDS_KEYS,
    NEEDS_ROLE,
    ONE_KEY,
    ONE_SELECTOR,
    PARAMETER,
    PATH_ALONE,
    SECRET,
    SERVER,
    VARIABLES,
    VARIABLES_LISTS,
)
from secrets_cache.config.suggestions import write_duration
from secrets_cache.config.values import Choice, Duration, Share, Text, ValueType, Whole

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
NUMBER = r"[0-9]{1,12}(\.[0-9]{1,9})?|\.[0-9]{1,9}"
# What YAML makes of words of a `Choice`.
SCALARS = {"true": True, "false": False}


def make_json_schema() -> Schema:
    """Return the schema."""
    # A name under `allow` has no meaning of its own.
    allow = {"description": f"Allowed: {values.PATTERN.allowed}.", **_make_type(values.PATTERN)}
    items = {"secrets": _make_secret(), "parameters": _make_parameter(), "allow": allow, "env": _make_variables()}
    lists = {name: _describe(_list_of(items[name]), meanings.TOP[name], A_LIST) for name in LISTS}
    shared = {name: lists[name] for name in ("secrets", "parameters")}
    references = {name: {"$ref": f"#/$defs/{name}"} for name in shared}
    groups = _describe(_list_of(_object(references)), meanings.TOP["CacheManager"], A_LIST)
    top = {
        **lists,
        **references,
        **_make_values(GENERAL, meanings.TOP),
        "metrics": _make_metrics(),
        "server": _make_server(),
        "CacheManager": {"$ref": "#/$defs/groups"},
    }
    return {
        "$schema": DIALECT,
        "title": "config.yaml of secrets-cache",
        "if": {"type": ["array", "null"]},
        "then": {"$ref": "#/$defs/groups"},
        "else": _object(top),
        "$defs": {**shared, "groups": groups},
    }


def _make_metrics() -> Schema:
    """Return a mapping with the format and more, or a format alone."""
    allowed = f"{METRICS['format'].allowed}; or {describe_keys(METRICS)}"
    mapping = {**_object(_make_values(METRICS, meanings.METRICS)), "errorMessage": f"allowed: {allowed}"}
    either = {"anyOf": [mapping, _make_type(METRICS["format"])]}
    return _describe(either, meanings.TOP["metrics"], allowed, METRICS["format"])


def _make_server() -> Schema:
    properties = _make_values(SERVER, meanings.SERVER)
    # A quoted empty text is no token.
    properties["token"]["pattern"] = f"{properties['token']['pattern']}|^$"
    return _describe(_object(properties), meanings.TOP["server"], describe_keys(SERVER))


def _make_secret() -> Schema:
    return _make_item(SECRET, meanings.SECRET)


def _make_parameter() -> Schema:
    selectors = ("version", "label")
    # A parameter's id that names a version, a label or a path needs, and allows, no other selector.
    return _make_item(
        PARAMETER,
        meanings.PARAMETER,
        {"if": _has("id", "/$"), "then": _forbid(selectors, PATH_ALONE)},
        {"if": _has("id", ":[^/:]+$"), "then": _forbid(selectors, ONE_SELECTOR)},
        {"if": {"required": ["version"]}, "then": _forbid(["label"], ONE_SELECTOR)},
    )


def _make_item(types: Mapping[str, ValueType[Any]], meant: Meanings, *rules: Schema) -> Schema:
    """Return an id alone, or the long form, for which the rules hold."""
    long = {
        **_object(_make_values(types, meant)),
        "dependentRequired": {name: ["role_arn"] for name in NEEDS_ROLE},
        # Apart from the keys: their message would be shown.
        "allOf": [{"required": ["id"]}, *rules],
    }
    # With `anyOf` the message might be that of the other form.
    return {"if": {"type": "object"}, "then": long, "else": _make_value(types["id"], meant["id"])}


def _make_variables() -> Schema:
    name = _make_type(VARIABLES["as"])
    types = {key: _list_of(name) for key in VARIABLES_LISTS}
    rename = {"type": "object", "additionalProperties": name, "errorMessage": f"allowed: {ANY_KEYS}"}
    properties = {
        **_make_values(VARIABLES, meanings.VARIABLES),
        **{key: _describe(one, meanings.VARIABLES[key], A_LIST) for key, one in types.items()},
        "rename": _describe(rename, meanings.VARIABLES["rename"], ANY_KEYS),
    }
    kinds = [{"required": [kind], "errorMessage": f"allowed: {EITHER_KIND}"} for kind in ("secret", "parameter")]
    return {
        **_object(properties),
        "anyOf": kinds,
        "allOf": [
            {"if": {"required": ["parameter"]}, "then": _forbid(["secret"], EITHER_KIND)},
            {"if": {"required": ["as"]}, "then": _forbid(NEEDS_KEYS, AS_ALONE)},
            # An ARN with a key behind it, as ECS has it.
            {"if": _has("secret", ":secret:[^:]+:[^:]"), "then": _forbid(CHOOSE_KEYS, ONE_KEY)},
        ],
        "dependentRequired": {"key": ["as"]},
    }


def _has(name: str, pattern: str) -> Schema:
    return {"properties": {name: {"type": "string", "pattern": pattern}}, "required": [name]}


def _forbid(names: Iterable[str], allowed: str) -> Schema:
    return {"properties": dict.fromkeys(names, False), "errorMessage": f"allowed: {allowed}"}


def _list_of(items: Schema) -> Schema:
    return {"type": ["array", "null"], "items": items, "errorMessage": f"allowed: {A_LIST}"}


def _object(properties: Schema) -> Schema:
    message = f"allowed: {describe_keys(properties)}"
    return {"type": "object", "properties": properties, "additionalProperties": False, "errorMessage": message}


def _make_values(types: Mapping[str, ValueType[Any]], meant: Meanings) -> Schema:
    return {name: _make_value(value_type, meant[name]) for name, value_type in types.items()}


def _make_value(value_type: ValueType[Any], meaning: tuple[str, object]) -> Schema:
    return _describe(_make_type(value_type), meaning, value_type.allowed, value_type)


def _describe(
    schema: Schema, meaning: tuple[str, object], allowed: str, value_type: ValueType[Any] | None = None
) -> Schema:
    """Return a schema with what its key means, what is allowed, and the default, which is of the type that is given."""
    text, default = meaning
    return {"description": f"{text} Allowed: {allowed}. Default: {write_default(value_type, default)}.", **schema}


def write_default(value_type: ValueType[Any] | None, default: object) -> str:
    """Return a default as it is written in the file; words stay as they are."""
    match value_type, default:
        case Duration(), float():
            return write_duration(default)
        case Share(), float():
            return f"{default:.0%}"
        case _, Enum():
            return str(default.value)
        case _, bool():
            return str(default).lower()
    return str(default)


def _make_type(value_type: ValueType[Any]) -> Schema:
    message = {"errorMessage": f"allowed: {value_type.allowed}"}
    match value_type:
        case Whole():
            bounds = {"minimum": value_type.at_least, "maximum": value_type.at_most}
            return {"type": ["string", "integer"], **bounds, "pattern": _match("0*[0-9]{1,9}"), **message}
        case Duration():
            least = {"minimum": value_type.at_least} if value_type.may_be_zero or value_type.at_least else {}
            bounds = {**(least or {"exclusiveMinimum": 0}), "maximum": value_type.at_most}
            return {"type": ["string", "number"], **bounds, "pattern": _match(f"({NUMBER})[smh]?"), **message}
        case Share():
            share = {"type": "string", "pattern": _match(f"({NUMBER})%|0"), **message}
            return {"if": {"type": "number"}, "then": {"const": 0, **message}, "else": share}
        case Choice():
            any_case = "|".join("".join(f"[{char}{char.upper()}]" for char in word) for word in value_type.meanings)
            words = [SCALARS.get(word, word) for word in value_type.meanings]
            types = ["string", "boolean"] if "true" in value_type.meanings else "string"
            return {"anyOf": [{"enum": words, **message}, {"type": types, "pattern": _match(any_case)}]}
    assert isinstance(value_type, Text)  # noqa: S101 - there is no other type
    pattern = value_type.schema_pattern
    return {**_list_types(pattern), "pattern": _match(pattern), **message}


def _list_types(pattern: str) -> Schema:
    """Return text, and the other types that YAML may give to a text of this form."""
    takes = {text: re.fullmatch(pattern, text) is not None for text in ("1", "0", "-1", "1.5", "true")}
    types = ["string", "boolean"] if takes["true"] else ["string"]
    if not takes["1"] and not takes["1.5"]:
        # A label does not start with a digit.
        return {"type": [*types, "number"], "exclusiveMaximum": 0} if takes["-1"] else {"type": types}
    least = {} if takes["-1"] else {"minimum": 0 if takes["0"] else 1}
    return {"type": [*types, "number" if takes["1.5"] else "integer"], **least}


def _match(pattern: str) -> str:
    return f"^(?:{pattern})$"
