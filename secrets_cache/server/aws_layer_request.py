"""
What a request asks for in the protocol of AWS's own layer and of its agent: its target, taken apart.

    /secretsmanager/get?secretId=&versionId=&versionStage=[&refreshNow=&roleArn=]
    /systemsmanager/parameters/get?name=&version=&label=&withDecryption=[&refreshNow=]
    /v1/<name>[?versionId=&versionStage=&refreshNow=&roleArn=]

Rules
-----
1. Names come raw or percent-encoded: clients do both. A plus stays one: no name holds a blank.
2. What both products ignore, or take the last of, is taken so; what the agent refuses, in its words.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from secrets_cache.config import values
from secrets_cache.config.values import Kind, Unacceptable
from secrets_cache.core.secret import AwsContext, Ref
from secrets_cache.errors import InvalidRequest
from secrets_cache.server.native_request import decoded

SECRETS = "/secretsmanager/get"
PARAMETERS = "/systemsmanager/parameters/get"
PREFIX = "/v1/"
OF_SECRETS = ("secretId", "versionId", "versionStage", "refreshNow", "roleArn")
OF_PARAMETERS = ("name", "version", "label", "withDecryption", "refreshNow")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_VERSION = re.compile(r"[!-~]{1,256}")


class Wanted(NamedTuple):
    """What is asked for, and whether a new fetch is."""

    ref: Ref
    refresh: bool


def parse(path: str, query: str) -> Wanted | None:
    """
    Return what a target asks for; None if it is no path of either product.

    Raises:
        InvalidRequest: A parameter is missing, unknown or of the wrong form.
    """
    plain = path.removesuffix("/")
    if plain == SECRETS:
        given = _parameters(query, OF_SECRETS)
        return _secret(_required(given, "secretId"), given)
    if plain == PARAMETERS:
        return _parameter(query)
    if path.startswith(PREFIX):
        given = _parameters(query, OF_SECRETS[1:])
        name = decoded(path.removeprefix(PREFIX))
        if not name:
            raise InvalidRequest("missing secret ID")
        return _secret(name, given)
    return None


def _secret(name: str, given: Mapping[str, str]) -> Wanted:
    _check(name, values.SECRET_ID, "Invalid name. Must be a valid name or ARN of a secret")
    role = given.get("roleArn", "")
    if role:
        _check(role, values.ROLE, "invalid roleArn format, expected arn:<partition>:iam::<account>:role/<name>")
    version, stage = _version("versionId", given), _version("versionStage", given)
    # Of a version that has an id, the label is something that AWS is to look at.
    is_current = version is None and stage == "AWSCURRENT"
    return Wanted(
        Ref(name, version, None if is_current else stage, AwsContext(role_arn=role)), _boolean("refreshNow", given)
    )


def _parameter(query: str) -> Wanted:
    given = _parameters(query, OF_PARAMETERS)
    name = _required(given, "name")
    _check(name, values.PARAMETER_ID, "Invalid name. Must be a valid name or ARN of a parameter")
    if name.endswith("/"):
        raise InvalidRequest("Invalid name. A path is not a parameter")
    # Of version and label the first one counts, as AWS documents.
    selector = next((key for key in given if key in {"version", "label"} and given[key]), None)
    version, label = (given[key] if key == selector else None for key in ("version", "label"))
    for value, kind, key in ((version, values.PARAMETER_VERSION, "version"), (label, values.PARAMETER_LABEL, "label")):
        if value is not None:
            _check(value, kind, f"invalid {key} value")
    ref = Ref(name, version, label, is_parameter=True, is_decrypted=_boolean("withDecryption", given))
    return Wanted(ref, _boolean("refreshNow", given))


def _parameters(query: str, known: tuple[str, ...]) -> dict[str, str]:
    """Return the parameters of a query, in their order; of several of one name the last one counts."""
    given: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        name = decoded(name)
        if name not in known:
            raise InvalidRequest(f"unknown parameter: {name[:60]}")
        given[name] = decoded(value)
    return given


def _required(given: Mapping[str, str], name: str) -> str:
    value = given.get(name)
    if not value:
        raise InvalidRequest(f"missing parameter {name}")
    return value


def _check(value: str, kind: Kind[str], reason: str) -> None:
    try:
        kind.parse(value)
    except Unacceptable:
        raise InvalidRequest(reason) from None


def _version(name: str, given: Mapping[str, str]) -> str | None:
    value = given.get(name)
    if value and not _VERSION.fullmatch(value):
        raise InvalidRequest(f"invalid {name} value")
    return value or None


def _boolean(name: str, given: Mapping[str, str]) -> bool:
    try:
        return _BOOLEANS[given.get(name, "false").lower()]
    except KeyError:
        raise InvalidRequest(f"invalid {name} value") from None
