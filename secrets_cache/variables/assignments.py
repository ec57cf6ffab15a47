"""
What values become: names and values of variables, as bytes. Pure.

Rules
-----
1. Text and binary arrive as they are. Of JSON, strings arrive bare, everything else in compact JSON notation, with the
   digits it was written with; null is left out.
2. What cannot be a variable, or must not, is refused by name, and the rest goes on.
"""

import logging
from collections.abc import Container

from secrets_cache.core.json_text import NoSuchKey, NotJson, members, select
from secrets_cache.errors import KeyNotFound, VariablesFailed
from secrets_cache.variables.rules import Rule

logger = logging.getLogger(__name__)

NEXT_WRAPPER = b"AWS_LAMBDA_EXEC_WRAPPER"
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
RESERVED = frozenset(
    b"""
    AWS_ACCESS_KEY AWS_ACCESS_KEY_ID AWS_CONTAINER_AUTHORIZATION_TOKEN AWS_CONTAINER_CREDENTIALS_FULL_URI
    AWS_DEFAULT_REGION AWS_EXECUTION_ENV AWS_LAMBDA_FUNCTION_MEMORY_SIZE AWS_LAMBDA_FUNCTION_NAME
    AWS_LAMBDA_FUNCTION_VERSION AWS_LAMBDA_INITIALIZATION_TYPE AWS_LAMBDA_LOG_GROUP_NAME AWS_LAMBDA_LOG_STREAM_NAME
    AWS_LAMBDA_MAX_CONCURRENCY AWS_LAMBDA_METADATA_API AWS_LAMBDA_METADATA_TOKEN AWS_LAMBDA_RUNTIME_API AWS_REGION
    AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN LAMBDA_RUNTIME_DIR LAMBDA_TASK_ROOT _HANDLER _X_AMZN_TRACE_ID
    LD_AUDIT LD_LIBRARY_PATH LD_PRELOAD
    """.split()
)


def assigned(rule: Rule, value: bytes, present: Container[bytes]) -> dict[bytes, bytes | None]:
    """
    Return the variables that a value becomes, None for one to be unset.

    Args:
        rule: What is to become of it.
        value: The value, as AWS has it.
        present: The names of the variables that there are already.

    Raises:
        KeyNotFound: It has not the key, or one of the keys, that the rule names.
        VariablesFailed: It is no JSON object, and keys are wanted.
    """
    spread = rule.spread
    pairs: list[tuple[str, str, bytes | str | None]]
    try:
        if rule.key:
            pairs = [(rule.key, spread.as_name, _at(value, rule.key))]
        elif spread.as_name:
            pairs = [("", spread.as_name, value)]
        else:
            pairs = [(key, variable_of(rule, key), item) for key, item in _chosen(rule, value)]
    except NotJson:
        raise VariablesFailed(
            f"{rule.origin}: {_what(rule)} is no JSON object, so it has no keys to make variables of; "
            "for the whole value use `as` under env:, or a reference without #"
        ) from None
    result: dict[bytes, bytes | None] = {}
    for key, name, item in pairs:
        reason = _why_refused(rule, name, item)
        if reason:
            logger.warning("variable.refused", {"source": rule.wanted.id, "key": key, "name": name, "reason": reason})
            continue
        # Null is left out; a reference to null must not stay as it is, either.
        is_free = spread.override or name.encode() not in present or name.encode() == NEXT_WRAPPER
        if (item is not None or rule.key) and is_free:
            result[name.encode()] = item.encode() if isinstance(item, str) else item
    return result


def _what(rule: Rule) -> str:
    return f"{'parameter' if rule.wanted.is_parameter else 'secret'} {rule.wanted.id!r}"


def _at(value: bytes, key: str) -> str | None:
    text = _text(value)
    try:
        found, is_json = select(text, key)
    except NoSuchKey:
        raise KeyNotFound("", key) from None
    return None if is_json and found == "null" else found


def _chosen(rule: Rule, value: bytes) -> list[tuple[str, str | None]]:
    """Return the keys that the rule wants, with what they hold."""
    found, spread = members(_text(value)), rule.spread
    for key in (*spread.include, *spread.rename):
        if key not in found:
            raise KeyNotFound("", key)
    wanted = {*spread.include, *spread.rename} if spread.include else found.keys()
    return [(key, item) for key, item in found.items() if key in wanted and key not in spread.exclude]


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise NotJson from None


def variable_of(rule: Rule, key: str) -> str:
    """Return the name of the variable that a key becomes."""
    spread = rule.spread
    if key in spread.rename:
        return spread.rename[key]
    if key.encode("utf-8", "replace") == NEXT_WRAPPER:
        return key
    name = spread.prefix + key
    return name.upper() if spread.upper else name


def _why_refused(rule: Rule, name: str, item: bytes | str | None) -> str:
    """Return why there can be no such variable, or must not; empty if it may be."""
    try:
        encoded, value = name.encode(), item.encode() if isinstance(item, str) else item
    except UnicodeEncodeError:
        return "it is not Unicode: half of a surrogate pair"
    if not encoded or b"=" in encoded or b"\0" in encoded:
        return "a variable's name is not empty, and has no = and no NUL in it"
    if value is not None and b"\0" in value:
        return "a variable's value has no NUL in it"
    if encoded in RESERVED and name not in rule.spread.allow_reserved:
        return "it is Lambda's or the loader's own; allow_reserved under env: can list it"
    return ""
