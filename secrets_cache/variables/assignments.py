"""
Makes environment variables of values: their names and values, as bytes. Pure.

Rules
-----
1. Text and binary stay as they are. Of a JSON object, strings become bare text and everything else compact JSON, with
   the digits as written; null is left out.
2. A variable that cannot or must not be set is refused by name, and the others are set.
"""

from collections.abc import Container

from secrets_cache.core.json_text import NoSuchKey, NotJson, read_members, select
from secrets_cache.core.named_tuple import NamedTuple
from secrets_cache.errors import KeyNotFound, VariablesFailed
from secrets_cache.variables.rules import Rule, has_star, matches

EXEC_WRAPPER = b"AWS_LAMBDA_EXEC_WRAPPER"
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


class Refusal(NamedTuple):
    """A variable that cannot or must not be set: the key that it is made of, its name, and why."""

    key: str
    name: str
    reason: str


def assign(rule: Rule, value: bytes, present: Container[bytes]) -> tuple[dict[bytes, bytes | None], list[Refusal]]:
    """
    Return the variables that `rule` makes of a value, None for one to unset; and the variables that are refused.

    Args:
        rule: Which variables to set.
        value: The value, as AWS stores it.
        present: The names of the variables that exist already.

    Raises:
        KeyNotFound: The value lacks a key that the rule names.
        VariablesFailed: The rule needs keys, and the value is not a JSON object.
    """
    env_item = rule.env_item
    pairs: list[tuple[str, str, bytes | str | None]]
    try:
        if rule.key:
            pairs = [(rule.key, env_item.as_name, _select(value, rule.key))]
        elif env_item.as_name:
            pairs = [("", env_item.as_name, value)]
        else:
            pairs = [(key, name_variable(rule, key), item) for key, item in _choose(rule, value)]
    except NotJson:
        raise VariablesFailed(
            f"{rule.origin}: {_describe_value(rule)} is not a JSON object, so it has no keys; "
            "for the whole value, use `as` under env:, or a reference without #"
        ) from None
    variables: dict[bytes, bytes | None] = {}
    refused: list[Refusal] = []
    for key, name, item in pairs:
        reason = _find_refusal(rule, name, item)
        if reason:
            refused.append(Refusal(key, name, reason))
            continue
        # Null sets nothing, but a reference to null must not keep the text of the reference.
        is_free = env_item.override or name.encode() not in present or name.encode() == EXEC_WRAPPER
        if (item is not None or rule.is_reference) and is_free:
            variables[name.encode()] = item.encode() if isinstance(item, str) else item
    return variables, refused


def _describe_value(rule: Rule) -> str:
    return f"{'parameter' if rule.wanted.is_parameter else 'secret'} {rule.wanted.id!r}"


def _select(value: bytes, key: str) -> str | None:
    text = _decode(value)
    try:
        found, is_json = select(text, key)
    except NoSuchKey:
        raise KeyNotFound("", key) from None
    return None if is_json and found == "null" else found


def _choose(rule: Rule, value: bytes) -> list[tuple[str, str | None]]:
    """Return the keys that the rule chooses, with their values."""
    found, env_item = read_members(_decode(value)), rule.env_item
    named = [pattern for pattern in env_item.include if not has_star(pattern)]
    for pattern in (*named, *env_item.rename):
        if pattern not in found and (pattern in env_item.rename or not any(matches(key, (pattern,)) for key in found)):
            raise KeyNotFound("", pattern)
    return [
        (key, item)
        for key, item in found.items()
        if (not env_item.include or key in env_item.rename or matches(key, env_item.include))
        and not matches(key, env_item.exclude)
    ]


def _decode(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise NotJson from None


def name_variable(rule: Rule, key: str) -> str:
    """Return the name of the variable for a key."""
    env_item = rule.env_item
    if key in env_item.rename:
        return env_item.rename[key]
    if key.encode("utf-8", "replace") == EXEC_WRAPPER:
        return key
    name = env_item.prefix + key
    return name.upper() if env_item.upper else name


def _find_refusal(rule: Rule, name: str, item: bytes | str | None) -> str:
    """Return why the variable cannot or must not be set; empty if it may be set."""
    try:
        encoded, value = name.encode(), item.encode() if isinstance(item, str) else item
    except UnicodeEncodeError:
        return "the name or the value is not valid Unicode: it contains an unpaired surrogate"
    if not encoded:
        return "the name is empty"
    if b"=" in encoded or b"\0" in encoded:
        return f"the name contains {'=' if b'=' in encoded else 'NUL'}"
    if value is not None and b"\0" in value:
        return "the value contains NUL"
    if encoded in RESERVED and name not in rule.env_item.allow_reserved:
        return "the name is reserved for Lambda or the program loader; to set it anyway, list it under allow_reserved"
    return ""
