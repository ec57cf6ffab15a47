"""
The parameters of a request in the protocol of AWS's own layer and of its agent.

    /secretsmanager/get?secretId=&versionId=&versionStage=[&refreshNow=&roleArn=]
    /systemsmanager/parameters/get?name=&version=&label=&withDecryption=[&refreshNow=]
    /v1/<name>[?versionId=&versionStage=&refreshNow=&roleArn=]

Rules
-----
1. Names come raw or percent-encoded: clients do both. A plus stays a plus: no name holds a space.
2. What both products ignore is ignored, and of repeated parameters the last one counts, as there. What the agent
   refuses is refused in the agent's words.
"""

from collections.abc import Mapping
from typing import NamedTuple

from secrets_cache.config import values
from secrets_cache.config.values import InvalidValue, ValueType
from secrets_cache.core.arn import split_selector
from secrets_cache.core.secret import AwsContext, Ref
from secrets_cache.errors import InvalidRequest
from secrets_cache.server.target import BOOLEANS, decode, is_version, split_query

SECRET_PATH = "/secretsmanager/get"  # noqa: S105 - a path
PARAMETER_PATH = "/systemsmanager/parameters/get"
AGENT_PREFIX = "/v1/"
SECRET_QUERY = ("secretId", "versionId", "versionStage", "refreshNow", "roleArn")
PARAMETER_QUERY = ("name", "version", "label", "withDecryption", "refreshNow")


class AwsLayerRequest(NamedTuple):
    """The secret or parameter that a caller asks for, and whether to fetch it first."""

    ref: Ref
    refresh: bool


def parse_aws_layer_request(path: str, query: str) -> AwsLayerRequest | None:
    """
    Return what a target asks for; None if neither product knows the path.

    Raises:
        InvalidRequest: A parameter is missing, unknown or of the wrong form.
    """
    plain = path.removesuffix("/")
    if plain == SECRET_PATH:
        parameters = _parse_query(query, SECRET_QUERY)
        return _build_secret_request(_require(parameters, "secretId"), parameters)
    if plain == PARAMETER_PATH:
        return _build_parameter_request(_parse_query(query, PARAMETER_QUERY))
    if path.startswith(AGENT_PREFIX):
        parameters = _parse_query(query, SECRET_QUERY[1:])
        name = decode(path.removeprefix(AGENT_PREFIX))
        if not name:
            raise InvalidRequest("missing secret ID")
        return _build_secret_request(name, parameters)
    return None


def _build_secret_request(name: str, parameters: Mapping[str, str]) -> AwsLayerRequest:
    _check(name, values.SECRET_ID, "Invalid name. Must be a valid name or ARN of a secret")
    role = parameters.get("roleArn", "")
    if role:
        _check(role, values.ROLE, "invalid roleArn format, expected arn:<partition>:iam::<account>:role/<name>")
    version, stage = _find_version(parameters, "versionId"), _find_version(parameters, "versionStage")
    # With a version id, the label is for AWS to check.
    is_current = version is None and stage == "AWSCURRENT"
    ref = Ref(name, version, None if is_current else stage, AwsContext(role_arn=role))
    return AwsLayerRequest(ref, _parse_boolean(parameters, "refreshNow"))


def _build_parameter_request(parameters: Mapping[str, str]) -> AwsLayerRequest:
    name = _require(parameters, "name")
    _check(name, values.PARAMETER_ID, "Invalid name. Must be a valid name or ARN of a parameter")
    if name.endswith("/"):
        raise InvalidRequest("Invalid name. A path is not a parameter")
    name, version_of_name, label_of_name = split_selector(name)
    # Of version and label the first one counts, as AWS documents.
    selector = next((key for key in parameters if key in {"version", "label"} and parameters[key]), None)
    version, label = (parameters[key] if key == selector else None for key in ("version", "label"))
    for value, kind, key in ((version, values.PARAMETER_VERSION, "version"), (label, values.PARAMETER_LABEL, "label")):
        if value is not None:
            _check(value, kind, f"invalid {key} value")
    is_decrypted = _parse_boolean(parameters, "withDecryption")
    # The layer sends its caller's name with a selector to AWS, which then takes no other one.
    if version_of_name or label_of_name:
        if version or label:
            raise InvalidRequest("Invalid name. A version or a label is given already")
        version, label = version_of_name, label_of_name
    ref = Ref(name, version, label, is_parameter=True, is_decrypted=is_decrypted)
    return AwsLayerRequest(ref, _parse_boolean(parameters, "refreshNow"))


def _parse_query(query: str, known: tuple[str, ...]) -> dict[str, str]:
    """Return the parameters of a query, in their order."""
    parameters: dict[str, str] = {}
    for name, value in split_query(query, plus_is_space=False):
        if name not in known:
            raise InvalidRequest(f"unknown parameter: {name[:60]}")
        parameters[name] = decode(value)
    return parameters


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


def _parse_boolean(parameters: Mapping[str, str], name: str) -> bool:
    try:
        return BOOLEANS[parameters.get(name, "false").lower()]
    except KeyError:
        raise InvalidRequest(f"invalid {name} value") from None
