"""
AWS's judgement on what it is asked, as far as our policies go: each call is held to the policy of who makes it.

What IAM does is written here once more, from its documentation, and not taken from the code that writes the policies:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.fakes import CANARY
from tests.support.upstream import ACCESS_DENIED, ACCOUNT, Answer, Call, aws_error

REFERENCE = "/aws/reference/secretsmanager/"
Policy = Mapping[str, Any]


@dataclass(frozen=True)
class Request:
    """What IAM is asked: whether a role ("" for the function's own) may do something to something, through whom."""

    role: str
    action: str
    resource: str
    via: str = ""


def fits(pattern: str, text: str) -> bool:
    """Return whether a text fits a pattern of IAM's, in which only * and ? are special."""
    regex = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)
    return re.fullmatch(regex, text, re.DOTALL) is not None


def allows(policy: Policy, request: Request) -> bool:
    """Return whether a policy of Allow statements allows a request."""
    return any(_statement_allows(statement, request) for statement in policy["Statement"])


def _statement_allows(statement: Mapping[str, Any], request: Request) -> bool:
    assert {"Effect", "Action", "Resource"} <= statement.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}
    assert "Allow" == statement["Effect"]
    return (
        any(fits(action.lower(), request.action.lower()) for action in _to_list(statement["Action"]))
        and any(fits(resource, request.resource) for resource in _to_list(statement["Resource"]))
        and all(
            request.via and any(_compare(operator, value, request.via) for value in _to_list(wanted["kms:ViaService"]))
            for operator, wanted in statement.get("Condition", {}).items()
        )
    )


def _compare(operator: str, wanted: str, found: str) -> bool:
    return {"StringEquals": wanted == found, "StringLike": fits(wanted, found)}[operator]


def _to_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


@dataclass
class Guard:
    """
    AWS with everything in it, which lets each role do what its policy allows: a fault of `Upstream`.

    Attributes:
        policies: By role; "" for the function's own.
        asked: What IAM was asked.
        refused: What of it was refused.
    """

    policies: Mapping[str, Policy]
    asked: set[Request] = field(default_factory=set)
    refused: set[Request] = field(default_factory=set)
    _assumed: list[str] = field(default_factory=list)

    def __call__(self, call: Call) -> Answer | None:
        """Return the answer; None to leave it to the stub."""
        number = re.fullmatch(r"ASIAROLE(\d+)", call.access_key)
        role = self._assumed[int(number[1]) - 1] if number else ""
        account = role.split(":")[4] if role else ACCOUNT
        if call.operation == "AssumeRole":
            self._assumed.append(call.arguments["RoleArn"])
        if self._refusals(_request_call(call, role)):
            return ACCESS_DENIED
        denied = [one for one in call.ids if self._refusals(_request_value(call, one, role, account))]
        if call.operation == "BatchGetSecretValue":
            return _batch(call, denied)
        return ACCESS_DENIED if denied else _answer(call)

    def _refusals(self, requests: Iterable[Request]) -> set[Request]:
        wanted = set(requests)
        refused = {one for one in wanted if one.role not in self.policies or not allows(self.policies[one.role], one)}
        self.asked |= wanted
        self.refused |= refused
        return refused


def _request_call(call: Call, role: str) -> Iterator[Request]:
    """Return what the call itself takes, whatever it asks for."""
    if call.operation == "BatchGetSecretValue":
        yield Request(role, "secretsmanager:BatchGetSecretValue", "*")
    elif call.operation == "AssumeRole":
        yield Request(role, "sts:AssumeRole", call.arguments["RoleArn"])


def _request_value(call: Call, one: str, role: str, account: str) -> Iterator[Request]:
    """Return what it takes to have one of the things that a call asks for."""
    if call.operation == "AssumeRole":
        return
    if call.operation.startswith("GetParameter"):
        yield from _request_read(role, f"ssm:{call.operation}", parameter_arn(one, call.region, account), call.region)
        if one.startswith(REFERENCE):
            arn = secret_arn(one.removeprefix(REFERENCE), call.region, account)
            yield from _request_read(role, "secretsmanager:GetSecretValue", arn, call.region)
    else:
        arn = secret_arn(one, call.region, account)
        yield from _request_read(role, "secretsmanager:GetSecretValue", arn, call.region)


def _request_read(role: str, action: str, arn: str, region: str) -> Iterator[Request]:
    yield Request(role, action, arn)
    key = f"arn:aws:kms:{region}:{arn.split(':')[4]}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    yield Request(role, "kms:Decrypt", key, f"{action.partition(':')[0]}.{region}.amazonaws.com")


def secret_arn(secret_id: str, region: str, account: str) -> str:
    """Return the ARN of the secret that an id means."""
    arn = secret_id if secret_id.startswith("arn:") else f"arn:aws:secretsmanager:{region}:{account}:secret:{secret_id}"
    is_whole = secret_id.startswith("arn:") and re.search(r"-[A-Za-z0-9]{6}$", secret_id)
    return arn if is_whole else f"{arn}-AbCdEf"


def parameter_arn(name: str, region: str, account: str) -> str:
    """Return the ARN of the parameter, or of the path, that a name means, with or without a version."""
    if name.startswith("arn:"):
        return ":".join(name.split(":")[:6])
    return f"arn:aws:ssm:{region}:{account}:parameter/{name.removeprefix('/').partition(':')[0]}"


def _secret(one: str) -> dict[str, Any]:
    return {
        "ARN": secret_arn(one, "eu-west-1", ACCOUNT),
        "Name": one,
        "VersionId": "00000001-0000-4000-8000-000000000000",
        "SecretString": json.dumps({"a": CANARY}),
    }


def _parameter(name: str) -> dict[str, Any]:
    return {"Name": name.partition(":")[0], "Type": "SecureString", "Value": json.dumps({"a": CANARY}), "Version": 1}


def _batch(call: Call, denied: list[str]) -> Answer:
    errors = [{"SecretId": one, "ErrorCode": "AccessDeniedException", "Message": "no"} for one in denied]
    return _json({"SecretValues": [_secret(one) for one in call.ids if one not in denied], "Errors": errors})


def _answer(call: Call) -> Answer | None:
    if call.operation == "GetSecretValue":
        return _json(_secret(call.ids[0]))
    if call.operation == "GetParameter":
        return _json({"Parameter": _parameter(call.ids[0])})
    if call.operation.startswith("GetParameters"):
        return _json({"Parameters": [_parameter(name) for name in call.ids], "InvalidParameters": []})
    return None if call.operation == "AssumeRole" else aws_error("UnknownOperationException")


def _json(body: Mapping[str, Any]) -> Answer:
    return Answer(body=json.dumps(body).encode())
