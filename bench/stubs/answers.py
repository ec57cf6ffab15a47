"""What AWS answers, as whole HTTP responses: every secret and every parameter exists. Pure."""

import datetime as dt
import functools
import json
from typing import Any

from bench.stubs.http import response, whole

ACCOUNT = "123456789012"
TOKEN = "of-the-benchmark"
DENIED = response({"__type": "AccessDeniedException", "message": "not authorized"}, status=400)
# As many parameters are below each path.
BELOW = 5
ROLE_ANSWER = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleResult>
    <AssumedRoleUser>
      <AssumedRoleId>AROAEXAMPLE:session</AssumedRoleId>
      <Arn>arn:aws:sts::123456789012:assumed-role/reader/session</Arn>
    </AssumedRoleUser>
    <Credentials>
      <AccessKeyId>ASIAROLE</AccessKeyId>
      <SecretAccessKey>of-the-role</SecretAccessKey>
      <SessionToken>of-the-role</SessionToken>
      <Expiration>{}</Expiration>
    </Credentials>
  </AssumeRoleResult>
  <ResponseMetadata><RequestId>00000001-0000-4000-8000-000000000000</RequestId></ResponseMetadata>
</AssumeRoleResponse>
"""


def answer(operation: str, arguments: dict[str, Any]) -> bytes:
    """Return the answer to a call of Secrets Manager or Parameter Store; `operation` is in lower case."""
    if operation == "getsecretvalue":
        return _one_secret(arguments["SecretId"])
    if operation == "batchgetsecretvalue":
        return response({"SecretValues": [_secret(name) for name in arguments["SecretIdList"]], "Errors": []})
    if operation == "getparameter":
        return response({"Parameter": _parameter(arguments["Name"])})
    if operation == "getparameters":
        found = [_parameter(name) for name in arguments["Names"]]
        return response({"Parameters": found, "InvalidParameters": []})
    if operation == "getparametersbypath":
        path = arguments["Path"].rstrip("/")
        return response({"Parameters": [_parameter(f"{path}/parameter-{number + 1}") for number in range(BELOW)]})
    return response({"__type": "UnknownOperationException"}, status=400)


def assumed_role() -> bytes:
    """Return what STS answers to AssumeRole."""
    return whole(ROLE_ANSWER.format(_in_an_hour()).encode(), content_type="text/xml")


def credentials(head: bytes) -> bytes:
    """Return what the container endpoint answers to a request with this head, which is in lower case."""
    if f"\r\nauthorization: {TOKEN}".encode() not in head:
        return response({"code": "AccessDenied", "message": "wrong token"}, status=403)
    found = {
        "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/function",
        "AccessKeyId": "ASIACONTAINER",
        "SecretAccessKey": "of-the-container",
        "Token": "of-the-container",
        "Expiration": _in_an_hour(),
    }
    return whole(json.dumps(found).encode(), content_type="application/json")


def _in_an_hour() -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


@functools.cache
def _one_secret(secret_id: str) -> bytes:
    return response(_secret(secret_id))


@functools.cache
def _secret(secret_id: str) -> dict[str, object]:
    return {
        "ARN": f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:{secret_id}-AbCdEf",
        "Name": secret_id,
        "VersionId": "00000001-0000-4000-8000-000000000000",
        "VersionStages": ["AWSCURRENT"],
        "CreatedDate": 1766000000.0,
        "SecretString": json.dumps({"username": "app", "password": f"of-{secret_id}", "host": "db.example.com"}),
    }


def _parameter(name_or_arn: str) -> dict[str, object]:
    """Return the parameter of this name, which begins with a slash, or ARN."""
    name = name_or_arn.rpartition(":parameter")[2]
    return {
        "ARN": f"arn:aws:ssm:eu-west-1:{ACCOUNT}:parameter{name}",
        "Name": name,
        "Type": "SecureString",
        "Value": json.dumps({"limit": 3, "password": f"of-{name}"}),
        "Version": 1,
        "LastModifiedDate": 1766000000.0,
        "DataType": "text",
    }
