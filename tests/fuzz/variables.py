"""
A rule in the first line, and the value of a secret, as AWS has it, in all that follows.

    prefix=DB_|upper|rename=password:PASS,user:USER
    {"user": "anika", "password": "..."}
"""

import json
from collections.abc import Callable, Container
from typing import Any

from secrets_cache import wrapper
from secrets_cache.config import VariablesFrom
from secrets_cache.errors import KeyNotFound, VariablesFailed
from secrets_cache.variables import assignments, wrapper_protocol
from secrets_cache.variables.assignments import RESERVED
from secrets_cache.variables.rules import Rule, Wanted
from tests.fuzz.selection import Number, is_compact, is_deep, parsed, picked
from tests.support.fakes import CANARY

WRAPPER = "AWS_LAMBDA_EXEC_WRAPPER"
Assign = Callable[[Rule, bytes, Container[bytes]], tuple[dict[bytes, bytes | None], list[assignments.Refusal]]]


def variables(data: bytes, assign: Assign = assignments.assign) -> None:
    """
    Any secret becomes exactly the variables that its rule says, or is refused by name; nothing of a value shows.

    What arrives is what `_expected` says, a model over the standard library's parser: text and binary to the byte,
    numbers with their digits, objects and arrays as JSON that means the same. No name is empty or has = or NUL in it,
    no value has NUL in it, no reserved name is set that was not allowed. What is refused is said once, by its key. The
    channel between extension and wrapper carries all of it unchanged.
    """
    rule, value, present = _taken_apart(data)
    refusals: list[assignments.Refusal] = []
    try:
        found: object
        found, refusals = assign(rule, value, present)
    except (KeyNotFound, VariablesFailed) as error:
        assert CANARY not in f"{error!r} {error} {vars(error)}" or CANARY in f"{rule}"
        assert error.__cause__ is None
        found = type(error)
    if is_deep(value):
        return
    expected, refused = _expected(rule, value, present)
    if not isinstance(found, dict) or not isinstance(expected, dict):
        assert expected == found
        return
    assert expected.keys() == found.keys()
    assert refused == [one.key for one in refusals]
    if not any(CANARY in text for one in refusals for text in (one.key, one.name)):
        assert CANARY not in repr(refusals)
    for name, item in found.items():
        assert name
        assert not {b"=", b"\0"} & {name[at : at + 1] for at in range(len(name))}
        assert name not in RESERVED or name.decode() in rule.env_item.allow_reserved
        _check_value(expected[name], item)
    assert found == wrapper.parse_answer(wrapper_protocol.encode_answer(found))


def _taken_apart(data: bytes) -> tuple[Rule, bytes, set[bytes]]:
    head, _, value = data.partition(b"\n")
    given = {}
    for part in head.decode("utf-8", "replace").split("|"):
        name, _, text = part.partition("=")
        given[name] = text
    lists = {name: tuple(filter(None, given.get(name, "").split(","))) for name in ("include", "exclude", "allow")}
    pairs = (pair.partition(":") for pair in given.get("rename", "").split(",") if ":" in pair)
    # As the configuration has it: a whole value has no keys to choose from.
    of_keys = "as" not in given
    env_item = VariablesFrom(
        "db",
        as_name=given.get("as", ""),
        prefix=given.get("prefix", "") if of_keys else "",
        include=lists["include"] if of_keys else (),
        exclude=lists["exclude"] if of_keys else (),
        rename={name: to for name, _, to in pairs} if of_keys else {},
        upper="upper" in given and of_keys,
        override="keep" not in given,
        allow_reserved=lists["allow"],
    )
    key = given.get("key", "") if env_item.as_name else ""
    present = {name.encode() for name in given.get("present", "").split(",")}
    origin = env_item.as_name if "reference" in given and env_item.as_name else "env: db"
    return Rule(Wanted("db"), env_item, key, origin), value, present


def _expected(rule: Rule, value: bytes, present: Container[bytes]) -> tuple[object, list[str]]:
    """Return what each name is to be set to, or the type of the error; and the keys that are refused."""
    env_item = rule.env_item
    if env_item.as_name and not rule.key:
        items: list[tuple[str, str, Any]] = [("", env_item.as_name, value)]
    else:
        document = parsed(value)
        if rule.key:
            if document is NotImplemented or not (rule.key.startswith("/") or isinstance(document, dict)):
                return VariablesFailed, []
            item = picked(document, rule.key)
            if item is NotImplemented:
                return KeyNotFound, []
            items = [(rule.key, env_item.as_name, item)]
        elif not isinstance(document, dict):
            return VariablesFailed, []
        elif not {*env_item.include, *env_item.rename} <= document.keys():
            return KeyNotFound, []
        else:
            items = [(key, _name(env_item, key), document[key]) for key in document if _is_wanted(env_item, key)]
    result: dict[bytes, Any] = {}
    refused = []
    for key, name, item in items:
        if not _may_be(name, item, env_item):
            refused.append(key)
        elif (item is not None or rule.origin == name) and (
            env_item.override or name.encode() not in present or name == WRAPPER
        ):
            result[name.encode()] = item
    return result, refused


def _is_wanted(env_item: VariablesFrom, key: str) -> bool:
    return key not in env_item.exclude and (not env_item.include or key in env_item.include or key in env_item.rename)


def _name(env_item: VariablesFrom, key: str) -> str:
    if key in env_item.rename or key == WRAPPER:
        return env_item.rename.get(key, key)
    return (env_item.prefix + key).upper() if env_item.upper else env_item.prefix + key


def _may_be(name: str, item: object, env_item: VariablesFrom) -> bool:
    """Return whether there may be such a variable: name and value can be, and it is not Lambda's."""
    try:
        encoded = name.encode()
        shown = item if isinstance(item, bytes) else _flat(item).encode()
    except UnicodeEncodeError:
        return False
    if encoded in RESERVED and name not in env_item.allow_reserved:
        return False
    return bool(encoded) and b"=" not in encoded and b"\0" not in encoded and b"\0" not in shown


def _flat(item: object) -> str:
    """Return all text in a value, however deep; of numbers and the like nothing. In JSON text, NUL is an escape."""
    if isinstance(item, str):
        return item
    return json.dumps(item, ensure_ascii=False)


def _check_value(expected: Any, found: bytes | None) -> None:
    if expected is None or found is None or isinstance(expected, bytes):
        assert expected == found
    elif isinstance(expected, Number):
        assert str(expected) == found.decode()
    elif isinstance(expected, str):
        assert expected.encode() == found
    elif isinstance(expected, bool):
        assert (b"true" if expected else b"false") == found
    else:
        assert expected == parsed(found)
        assert is_compact(found.decode())
