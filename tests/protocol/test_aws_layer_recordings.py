"""
Exchanges of the shapes that were recorded from AWS's own layer, asked here.

Each kind of answer that the recordings have: a secret as text and as bytes, by stage and by version; a parameter of
each type, by version and by label; a reference to a secret; each recorded error. The data is our own. What counts is
what a program can see: the status, the content type, the keys and their order, what is null.
"""

import base64
import json
from dataclasses import dataclass

import pytest

from tests.support.aws_layer_table import CIPHERTEXT, PARAMETER, SECRET
from tests.support.aws_listener import listeners
from tests.support.fakes import CANARY
from tests.support.upstream import Answer, Call, arn_of, aws_error

SECRET_KEYS = [
    "ARN",
    "CreatedDate",
    "Name",
    "SecretBinary",
    "SecretString",
    "VersionId",
    "VersionStages",
    "ResultMetadata",
]
PARAMETER_KEYS = [
    "ARN",
    "DataType",
    "LastModifiedDate",
    "Name",
    "Selector",
    "SourceResult",
    "Type",
    "Value",
    "Version",
]
MADE_AT, MADE = 1700000000.25, "2023-11-14T22:13:20.250Z"
CURRENT, PREVIOUS = ("c" * 8 + "-0000-4000-8000-" + "0" * 12, "p" * 8 + "-0000-4000-8000-" + "0" * 12)
BYTES = CANARY.encode() + b"\x00\xfe"
REFERENCE = "/aws/reference/secretsmanager/"


def aws(call: Call) -> Answer:
    """Answer as AWS does: a secret with two versions, as text or bytes; parameters of each type."""
    if call.operation == "GetSecretValue":
        return answer_secret(call)
    asked = call.arguments["Name"]
    name, _, selector = asked.partition(":")
    kind, value = {
        "/rec/text": ("String", CANARY),
        "/rec/list": ("StringList", f"a,b,{CANARY}"),
        "/rec/secure": ("SecureString", CANARY if call.arguments.get("WithDecryption") else CIPHERTEXT),
        f"{REFERENCE}rec-text": ("SecureString", CANARY),
    }.get(name, ("", ""))
    if not kind:
        return aws_error("ParameterNotFound")
    if selector not in {"", "1", "Dev"}:
        return aws_error("ParameterVersionNotFound", f"there is no {selector}")
    is_reference = name.startswith(REFERENCE)
    body = {
        "ARN": arn_of("rec-text") if is_reference else f"arn:aws:ssm:eu-west-1:123456789012:parameter{name}",
        "Name": name,
        "Type": kind,
        "Value": value,
        "Version": 0 if is_reference else 1,
        "LastModifiedDate": MADE_AT,
        **({"SourceResult": '{"name":"rec-text"}'} if is_reference else {"DataType": "text"}),
        **({"Selector": f":{selector}"} if selector else {}),
    }
    return Answer(body=json.dumps({"Parameter": body}).encode())


def answer_secret(call: Call) -> Answer:
    """Answer GetSecretValue."""
    name, version = call.arguments["SecretId"], call.arguments.get("VersionId", CURRENT)
    stage = call.arguments.get("VersionStage", "AWSCURRENT")
    if stage not in {"AWSCURRENT", "AWSPREVIOUS"}:
        return aws_error("ResourceNotFoundException", f"can't find the value for staging label: {stage}")
    is_previous = stage == "AWSPREVIOUS"
    value = {"SecretBinary": base64.b64encode(BYTES).decode()} if name == "rec-bytes" else {"SecretString": CANARY}
    body = {
        "ARN": arn_of(name),
        "Name": name,
        "VersionId": PREVIOUS if is_previous else version,
        "VersionStages": [stage],
        "CreatedDate": MADE_AT,
        **value,
    }
    return Answer(body=json.dumps(body).encode())


@dataclass(frozen=True)
class Exchange:
    """What is asked, and the fields of the answer that are not as in the plainest one of its kind."""

    target: str
    fields: dict[str, object]


TEXT, ENCODED = f"{SECRET}rec-text", base64.b64encode(BYTES).decode()
AS_BYTES: dict[str, object] = {"SecretBinary": ENCODED, "SecretString": None, "Name": "rec-bytes"}
PREVIOUS_FIELDS: dict[str, object] = {"VersionId": PREVIOUS, "VersionStages": ["AWSPREVIOUS"]}
SECRETS = (
    Exchange(TEXT, {"SecretString": CANARY, "SecretBinary": None, "Name": "rec-text", "VersionId": CURRENT}),
    Exchange(f"{TEXT}&versionStage=AWSCURRENT", {"SecretString": CANARY, "VersionStages": ["AWSCURRENT"]}),
    Exchange(f"{SECRET}rec-bytes", AS_BYTES),
    Exchange(f"{SECRET}rec-bytes&versionStage=AWSPREVIOUS", {**AS_BYTES, **PREVIOUS_FIELDS}),
    Exchange(f"{SECRET}rec-bytes&versionId={PREVIOUS}", {**AS_BYTES, "VersionId": PREVIOUS}),
)
PLAIN: dict[str, object] = {"Selector": None, "SourceResult": None, "DataType": "text", "Version": 1}
STORE = (
    Exchange(f"{PARAMETER}%2Frec%2Ftext", {**PLAIN, "Type": "String", "Value": CANARY, "Name": "/rec/text"}),
    Exchange(f"{PARAMETER}%2Frec%2Ftext&version=1", {**PLAIN, "Selector": ":1", "Name": "/rec/text"}),
    Exchange(f"{PARAMETER}%2Frec%2Flist", {**PLAIN, "Type": "StringList", "Value": f"a,b,{CANARY}"}),
    Exchange(f"{PARAMETER}%2Frec%2Flist&version=1", {**PLAIN, "Selector": ":1", "Value": f"a,b,{CANARY}"}),
    Exchange(f"{PARAMETER}%2Frec%2Fsecure&withDecryption=true", {**PLAIN, "Type": "SecureString", "Value": CANARY}),
    Exchange(f"{PARAMETER}%2Frec%2Fsecure&version=1", {**PLAIN, "Selector": ":1", "Value": CIPHERTEXT}),
    Exchange(
        f"{PARAMETER}%2Frec%2Fsecure&label=Dev&withDecryption=true", {**PLAIN, "Selector": ":Dev", "Value": CANARY}
    ),
    Exchange(
        f"{PARAMETER}{REFERENCE.replace('/', '%2F')}rec-text&withDecryption=true",
        {
            "ARN": arn_of("rec-text"),
            "DataType": None,
            "Name": f"{REFERENCE}rec-text",
            "Selector": None,
            "SourceResult": '{"name":"rec-text"}',
            "Type": "SecureString",
            "Value": CANARY,
            "Version": 0,
        },
    ),
)
ERRORS = (f"{PARAMETER}nobody", f"{PARAMETER}%2Frec%2Flist&version=0", f"{TEXT}&versionStage=NOBODY")


@pytest.mark.usefixtures("fast_paths")
@pytest.mark.parametrize("exchange", [*SECRETS, *STORE], ids=lambda exchange: exchange.target)
async def test_a_recorded_exchange_is_the_same_here(upstream, exchange: Exchange):
    """The status, the content type, each key in its place, null for what is not there; from memory too."""
    upstream.fault = aws
    async with listeners() as running:
        received, again = [await running.ask(exchange.target) for _ in range(2)]

    assert (200, "text/plain; charset=utf-8") == (received.status, received.headers["content-type"])
    assert received.body == again.body
    body = json.loads(received.body)
    if exchange in STORE:
        assert ["Parameter", "ResultMetadata"] == list(body)
        body, keys, made = body["Parameter"], PARAMETER_KEYS, "LastModifiedDate"
    else:
        keys, made = SECRET_KEYS, "CreatedDate"
    assert keys == list(body)
    assert MADE == body[made]
    assert exchange.fields == {key: body[key] for key in exchange.fields}


@pytest.mark.parametrize("target", ERRORS)
async def test_a_recorded_error_has_the_same_status_here(upstream, target):
    """And says what AWS said, which the layer keeps to its log."""
    upstream.fault = aws
    async with listeners() as running:
        received = await running.ask(target)

    assert (400, "text/plain; charset=utf-8") == (received.status, received.headers["content-type"])
    assert {"__type", "message"} == received.json().keys()
