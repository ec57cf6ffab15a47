"""
The parameters of a request in the protocol of AWS's own layer and of its agent.

    /secretsmanager/get?secretId=&versionId=&versionStage=[&refreshNow=&roleArn=]
    /systemsmanager/parameters/get?name=&version=&label=&withDecryption=[&refreshNow=]
    /v1/<name>[?versionId=&versionStage=&refreshNow=&roleArn=]

Rules
-----
1. Names come raw or percent-encoded: clients do both. A plus stays a plus: no name holds a space.
2. On the layer's own two paths, what AWS does not document as an error passes: unknown keys, doubled slashes, an odd
   `withDecryption`. On the agent's path, and for the agent's own parameters, what the agent refuses is refused in the
   agent's words. Of repeated parameters the last one counts, as there.
3. Whether a name is valid is for AWS to say. Only what could change where AWS is asked, or forge a line, is refused.
"""

import re
from collections.abc import Mapping

from secrets_cache.config import values
from secrets_cache.config.values import InvalidValue, ValueType
from secrets_cache.core.arn import split_selector
from secrets_cache.core.named_tuple import NamedTuple
from secrets_cache.core.secret import AwsContext, Ref
from secrets_cache.core.text import shorten
from secrets_cache.errors import InvalidRequest
from secrets_cache.server.target import BOOLEANS, decode, is_version, parse_boolean, split_query

SECRET_PATH = "/secretsmanager/get"  # noqa: S105 - a path
PARAMETER_PATH = "/systemsmanager/parameters/get"
AGENT_PREFIX = "/v1/"
KNOWN = {"secretId", "name", "versionId", "versionStage", "version", "label", "withDecryption", "refreshNow", "roleArn"}
AGENT_QUERY = ("versionId", "versionStage", "refreshNow", "roleArn")
ROLE_FORM = "invalid roleArn format, expected arn:<partition>:iam::<account>:role/<name>"
# A name in an ARN is AWS's to judge, but its region becomes a part of the endpoint's host.
_PRINTABLE = r"[^\x00-\x1f\x7f]{1,2048}"
_NAME = re.compile(rf"(?!arn:){_PRINTABLE}|arn:aws[a-z0-9-]*:[a-z]+:[a-z0-9-]+:[0-9]{{12}}:{_PRINTABLE}")
_SLASHES = re.compile("//+")


class AwsLayerRequest(NamedTuple):
    """The secret or parameter that a caller asks for, and whether to fetch it first."""

    ref: Ref
    refresh: bool


def is_aws_layer_path(path: str) -> bool:
    """Return whether a path is one of the layer's own or of the agent's, `/ping` excepted."""
    return path.startswith(AGENT_PREFIX) or _normalize(path) in {SECRET_PATH, PARAMETER_PATH}


def parse_aws_layer_request(path: str, query: str) -> AwsLayerRequest | None:
    """
    Return what a target asks for; None if neither product knows the path.

    Raises:
        InvalidRequest: A parameter is missing or of the wrong form, or one that the agent does not know.
    """
    if path.startswith(AGENT_PREFIX):
        parameters = _parse_query(query, AGENT_QUERY)
        name = decode(path.removeprefix(AGENT_PREFIX))
        if not name:
            raise InvalidRequest("missing secret ID")
        return _build_secret_request(name, parameters)
    plain = _normalize(path)
    if plain == SECRET_PATH:
        parameters = _parse_query(query)
        return _build_secret_request(_require(parameters, "secretId"), parameters)
    if plain == PARAMETER_PATH:
        return _build_parameter_request(_parse_query(query))
    return None


def _normalize(path: str) -> str:
    return _SLASHES.sub("/", path).removesuffix("/")


def _build_secret_request(name: str, parameters: Mapping[str, str]) -> AwsLayerRequest:
    _check_name(name, "secret")
    role = parameters.get("roleArn")
    if role is not None:
        _check(role, values.ROLE, ROLE_FORM)
    version, stage = _find_version(parameters, "versionId"), _find_version(parameters, "versionStage")
    # With a version id, the label is for AWS to check.
    is_current = version is None and stage == "AWSCURRENT"
    ref = Ref(name, version, None if is_current else stage, AwsContext(role_arn=role or ""))
    return AwsLayerRequest(ref, _is_refresh(parameters))


def _build_parameter_request(parameters: Mapping[str, str]) -> AwsLayerRequest:
    name = _require(parameters, "name")
    _check_name(name, "parameter")
    # Of version and label the first one counts, as AWS documents.
    selector = next((key for key in parameters if key in {"version", "label"} and parameters[key]), None)
    version, label = (_find_version(parameters, key) if key == selector else None for key in ("version", "label"))
    if selector is None:
        name, version, label = split_selector(name)
    if name.endswith("/"):
        raise InvalidRequest("Invalid name. A path is not a parameter")
    is_decrypted = BOOLEANS.get(parameters.get("withDecryption", "").lower(), False)
    ref = Ref(name, version, label, is_parameter=True, is_decrypted=is_decrypted)
    return AwsLayerRequest(ref, _is_refresh(parameters))


def _parse_query(query: str, allowed: tuple[str, ...] | None = None) -> dict[str, str]:
    """Return the known parameters of a query, in their order. With `allowed`, any other is refused, as by the agent."""
    parameters: dict[str, str] = {}
    for name, value in split_query(query, plus_is_space=False):
        if allowed is not None and name not in allowed:
            raise InvalidRequest(f"unknown parameter: {shorten(name)}")
        if name in KNOWN:
            parameters[name] = decode(value)
    return parameters


def _check_name(name: str, what: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidRequest(f"Invalid name. Must be a valid name or ARN of a {what}")


def _require(parameters: Mapping[str, str], name: str) -> str:
    value = parameters.get(name)
    if not value:
        raise InvalidRequest(f"missing parameter {name}")
    return value


def _check(value: str, kind: ValueType[str], reason: str) -> None:
    try:
        kind.parse(value)
    except InvalidValue:
        raise InvalidRequest(reason) from None


def _find_version(parameters: Mapping[str, str], name: str) -> str | None:
    value = parameters.get(name)
    if value and not is_version(value):
        raise InvalidRequest(f"invalid {name} value")
    return value or None


def _is_refresh(parameters: Mapping[str, str]) -> bool:
    return parse_boolean(parameters.get("refreshNow", "false"), "invalid refreshNow value")
