"""The direct client: when it is chosen, and that nobody could tell it from aiobotocore's."""

import asyncio
import base64
import contextlib
import datetime as dt
import json
import os
from collections.abc import Callable
from typing import Any
from unittest import mock
from urllib.parse import urlencode
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secrets_cache.aws.choice import Clients
from secrets_cache.aws.client import ClientSettings, Service, ServiceClient
from secrets_cache.aws.direct import DirectClient
from secrets_cache.aws.lazy_client import LazyClient
from secrets_cache.aws.parameterstore import _to_parameter
from secrets_cache.aws.protocols import OPERATIONS, encode
from secrets_cache.aws.secretsmanager import to_secret
from secrets_cache.aws.sts import _to_grant
from secrets_cache.core.retry import RetryableError
from secrets_cache.errors import SecretError
from secrets_cache.system.clock import SystemClock
from tests.conftest import EXAMPLES
from tests.support import upstream as stub
from tests.support.fakes import CANARY
from tests.unit.aws.fakes import FakeClient

ROLE = "arn:aws:iam::123456789012:role/reader"
COMMON = {
    "AWS_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": f"{CANARY}-key",
    "AWS_SESSION_TOKEN": f"{CANARY}-session",
    "HOME": "/nonexistent",
}


@contextlib.asynccontextmanager
async def both(url: str, service: Service = "secretsmanager"):
    """Give the direct client, with a fallback that must not be asked, and the one through aiobotocore."""

    class Nobody:
        async def call(self, *_: object) -> dict[str, object]:
            raise LeftToBotocore

        async def import_library(self) -> None:
            """There is nothing to import."""

        async def aclose(self) -> None:
            """There is nothing to close."""

    direct = direct_client(Nobody(), url, service)
    lazy = LazyClient(ClientSettings(service, "eu-west-1", 5, SystemClock()))
    try:
        yield direct, lazy
    finally:
        await direct.aclose()
        await lazy.aclose()
        # A transport that was aborted closes its socket in the loop's next turn.
        await asyncio.sleep(0)


class LeftToBotocore(AssertionError):
    """The direct client asked its fallback."""


def direct_client(fallback: ServiceClient, url: str, service: Service = "secretsmanager") -> ServiceClient:
    """Return the direct client for an endpoint."""
    environ = {**COMMON, "AWS_ENDPOINT_URL": url}
    clients = Clients(environ, timeout_seconds=5, clock=SystemClock(), create_library_client=lambda *_: fallback)
    client = clients.create(service)
    assert isinstance(client, DirectClient)
    return client


ARGUMENTS: dict[str, dict[str, Any]] = {
    "get_secret_value": {"SecretId": 'é"\n', "VersionStage": "X"},
    "batch_get_secret_value": {"SecretIdList": ["db", "other"]},
    "get_parameter": {"Name": "/é:3", "WithDecryption": False},
    "get_parameters": {"Names": ["/a", "b:label"], "WithDecryption": True},
    "get_parameters_by_path": {
        "Path": "/",
        "Recursive": True,
        "WithDecryption": True,
        "MaxResults": 10,
        "NextToken": "1",
    },
    "assume_role": {"RoleArn": f"{ROLE}/é &+", "RoleSessionName": "a=,.@-_", "ExternalId": "~*:/?\t"},
}


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_both_send_the_same_call(upstream, operation):
    """The same body, and of the headers that AWS reads the same."""
    async with both(upstream.url, OPERATIONS[operation].service) as callers:
        for caller in callers:
            with contextlib.suppress(SecretError):
                await caller.call(operation, "db", ARGUMENTS[operation])

    ours, theirs = upstream.calls
    assert theirs.arguments == ours.arguments
    for name in ("host", "content-type", "content-length", "x-amz-target", "x-amz-security-token"):
        assert theirs.headers.get(name) == ours.headers.get(name)
    scope = [call.headers["authorization"].split(", ")[0] for call in (ours, theirs)]
    assert scope[0] == scope[1]


@given(value=st.text(max_size=30))
def test_a_form_is_encoded_as_the_standard_library_does(value):
    """Which would take longer to import than the rest of a call."""
    _, body = encode(OPERATIONS["assume_role"], {"RoleArn": value})

    assert body.decode() == urlencode({"Action": "AssumeRole", "Version": "2011-06-15", "RoleArn": value})


# What it makes of the answer.


async def outcome(caller, operation: str = "get_secret_value") -> object:
    """Return what a call gives, as its reader has it, or the error that it ends with, as data."""
    try:
        answer = await caller.call(operation, "db", ARGUMENTS[operation])
        return READERS[operation](answer)
    except RetryableError as reason:
        return type(reason.error).__name__, vars(reason.error), reason.at_once, reason.error.is_throttled
    except SecretError as error:
        return type(error).__name__, vars(error)


def _read_all(answer: Any, key: str, read: Callable[[str, Any], object]) -> object:
    items = answer.get(key)
    return [read("db", item) for item in items] if isinstance(items, list) else repr(type(items))


# As `SecretsManager`, `ParameterStore` and `Role` read them.
READERS: dict[str, Callable[[Any], object]] = {
    "get_secret_value": lambda answer: to_secret("db", answer),
    "batch_get_secret_value": lambda answer: _read_all(answer, "SecretValues", to_secret),
    "get_parameter": lambda answer: _to_parameter("db", answer.get("Parameter")),
    "get_parameters": lambda answer: (_read_all(answer, "Parameters", _to_parameter), answer.get("InvalidParameters")),
    "get_parameters_by_path": lambda answer: (_read_all(answer, "Parameters", _to_parameter), answer.get("NextToken")),
    "assume_role": lambda answer: (
        repr(_to_grant("db", answer).expires_at) + repr(_to_grant("db", answer).credentials.hidden())
    ),
}


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)
SECRETS = st.fixed_dictionaries(
    {"ARN": st.just("arn"), "Name": st.sampled_from(["db", "", "a b"]), "VersionId": st.just("v" * 32)},
    optional={
        "SecretString": st.text(max_size=20),
        "SecretBinary": st.binary(max_size=20).map(lambda data: base64.b64encode(data).decode()),
        "CreatedDate": st.integers(0, 2_000_000_000_000).map(lambda number: number / 1000),
        "VersionStages": st.just(["AWSCURRENT"]),
        "Unknown": JSON,
    },
)
CODES = st.sampled_from(
    [
        "ResourceNotFoundException",
        "com.amazonaws.secretsmanager#ResourceNotFoundException",
        "AccessDeniedException",
        "ThrottlingException",
        "InternalServiceError",
        "DecryptionFailure",
        "ExpiredTokenException",
        "InvalidSignatureException",
        "Brand New",
        "400",
    ]
)
ERRORS = st.fixed_dictionaries(
    {"__type": CODES},
    optional={"message": st.sampled_from(["no", "Signature expired: x", "a\nb"]), "Message": st.just("capital")},
)


@pytest.fixture(name="compare", scope="module")
def _compare():
    """Give a function that returns what both clients make of an answer; it is one pair of clients for each service."""
    with (
        asyncio.Runner() as runner,
        stub.Upstream() as upstream,
        mock.patch.dict(os.environ, {"AWS_ENDPOINT_URL": upstream.url}),
    ):
        stack = contextlib.AsyncExitStack()
        callers = {
            service: runner.run(stack.enter_async_context(both(upstream.url, service)))
            for service in sorted({operation.service for operation in OPERATIONS.values()})
        }

        async def ask(operation: str) -> list[object]:
            direct, lazy = callers[OPERATIONS[operation].service]
            of_botocore = await outcome(lazy, operation)
            try:
                return [await outcome(direct, operation), of_botocore]
            except LeftToBotocore:
                left.append(operation)
                return [of_botocore, of_botocore]

        left: list[str] = []

        def compare(
            answer: stub.Answer, operation: str = "get_secret_value", *, may_be_left: bool = False
        ) -> list[object]:
            left.clear()
            upstream.fault = answer
            outcomes = runner.run(ask(operation))
            assert may_be_left or not left
            return outcomes

        # With what the environment says now.
        for operation in ("get_secret_value", "get_parameter", "assume_role"):
            compare(stub.EMPTY, operation, may_be_left=True)
        try:
            yield compare
        finally:
            runner.run(stack.aclose())


ANSWERS = st.one_of(
    st.tuples(st.sampled_from([200, 200, 201, 300]), st.one_of(SECRETS, st.just({})).map(json.dumps)),
    st.tuples(st.just(200), st.just("<html>")),
    st.tuples(
        st.sampled_from([301, 307, 400, 403, 404, 429, 500, 503]), st.one_of(ERRORS, st.just({})).map(json.dumps)
    ),
)


@settings(max_examples=50 * EXAMPLES, deadline=None)
@given(answer=ANSWERS)
def test_the_same_answer_means_the_same(compare, answer):
    """A secret, or an error with the same words; whatever AWS, or something in its place, says."""
    status, body = answer
    of_direct, of_botocore = compare(stub.Answer(status, body.encode()))

    assert of_botocore == of_direct


PARAMETERS = st.fixed_dictionaries(
    {"Name": st.sampled_from(["/a", "", "a b"])},
    optional={
        "Value": st.one_of(st.text(max_size=20), JSON),
        "Version": st.one_of(st.integers(-1, 2**65), JSON),
        "ARN": st.just("arn:aws:ssm:eu-west-1:1:parameter/a"),
        "Type": st.sampled_from(["String", "SecureString"]),
        "LastModifiedDate": st.integers(0, 2_000_000_000_000).map(lambda number: number / 1000),
        "Selector": st.just(":3"),
        "SourceResult": st.text(max_size=9),
        "Unknown": JSON,
    },
)
LISTS = st.fixed_dictionaries(
    {"Parameters": st.lists(PARAMETERS, max_size=3)},
    optional={"InvalidParameters": st.lists(st.text(max_size=5)), "NextToken": st.text(max_size=5)},
)
OF_PARAMETERS = st.one_of(
    st.tuples(st.just("get_parameter"), st.fixed_dictionaries({}, optional={"Parameter": PARAMETERS})),
    st.tuples(st.sampled_from(["get_parameters", "get_parameters_by_path"]), st.one_of(LISTS, st.just({}))),
)


@settings(max_examples=50 * EXAMPLES, deadline=None)
@given(answer=OF_PARAMETERS)
def test_the_same_parameters_mean_the_same(compare, answer):
    """One, several, or a page of a path."""
    operation, content = answer
    of_direct, of_botocore = compare(stub.Answer(body=json.dumps(content).encode()), operation)

    assert of_botocore == of_direct


@settings(max_examples=20 * EXAMPLES, deadline=None)
@given(
    operation=st.sampled_from(["get_parameter", "get_parameters", "get_parameters_by_path"]),
    status=st.sampled_from([301, 400, 403, 429, 500, 503]),
    error=st.one_of(ERRORS, st.just({})),
)
def test_the_same_error_of_parameter_store_means_the_same(compare, operation, status, error):
    """With the same words."""
    of_direct, of_botocore = compare(stub.Answer(status, json.dumps(error).encode()), operation)

    assert of_botocore == of_direct


# What STS says: XML.


def granted(key: str = "ASIA", token: str = "t", ends: str = "2030-01-01T00:00:00Z") -> str:
    """Return what STS answers."""
    return f"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleResult>
    <AssumedRoleUser><AssumedRoleId>AROA:x</AssumedRoleId><Arn>arn:aws:sts::1:assumed-role/x/x</Arn></AssumedRoleUser>
    <Credentials>
      <AccessKeyId>{key}</AccessKeyId>
      <SecretAccessKey>a/b+c=</SecretAccessKey>
      <SessionToken>{token}</SessionToken>
      <Expiration>{ends}</Expiration>
    </Credentials>
    <PackedPolicySize>6</PackedPolicySize>
  </AssumeRoleResult>
  <ResponseMetadata><RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId></ResponseMetadata>
</AssumeRoleResponse>
"""


def refused(code: str, message: str) -> str:
    """Return how STS refuses."""
    return f"""<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <Error><Type>Sender</Type><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>
  <RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId>
</ErrorResponse>
"""


ODD_TEXTS: tuple[str, ...] = (
    "&#65;&#x42;",
    "<!-- x -->t",
    "<![CDATA[t]]>",
    "a\rb",
    "&nbsp;",
    "]]>",
    "<b>t</b>",
    "t<b/>",
)
ODD_TEXTS += ("\x7f", "", "<", "\x01", "&amp")
ODD_TIMES = ("", "soon", "2030-01-01", "2030-01-01T00:00:00", "1e9", "1893456000")
XML_TEXT = st.text(
    st.characters(min_codepoint=32, max_codepoint=126, categories=["L", "N", "P", "S", "Zs"]), max_size=20
)


ENDS = st.integers(946_684_800, 4_102_444_800).map(lambda number: dt.datetime.fromtimestamp(number, dt.UTC).isoformat())


@settings(max_examples=20 * EXAMPLES, deadline=None)
@given(token=XML_TEXT, ends=ENDS, zone=st.sampled_from(["Z", "+00:00", ".123Z"]))
def test_the_same_credentials_of_a_role_mean_the_same(compare, token, ends, zone):
    """Whatever is in the token, and whenever they end."""
    body = granted(token=escape(token), ends=ends.removesuffix("+00:00") + zone)
    of_direct, of_botocore = compare(stub.Answer(body=body.encode()), "assume_role")

    assert of_botocore == of_direct


@settings(max_examples=20 * EXAMPLES, deadline=None)
@given(status=st.sampled_from([301, 400, 403, 429, 500, 503]), code=CODES, message=XML_TEXT)
def test_the_same_refusal_of_sts_means_the_same(compare, status, code, message):
    """With the same words."""
    of_direct, of_botocore = compare(stub.Answer(status, refused(code, message).encode()), "assume_role")

    assert of_botocore == of_direct


@pytest.mark.parametrize(
    ("status", "body"),
    [
        *((status, body) for status in (500, 503) for body in (b"", b" ", b"<html>busy</html>", b"<html>\xff")),
        (200, b"\n<?xml version='1.0'?>" + granted().encode()),
        *((200, granted(token=text).encode()) for text in ODD_TEXTS),
        *((200, granted(ends=text).encode()) for text in ODD_TIMES),
        *((200, granted(key=text).encode()) for text in ("A</AccessKeyId><AccessKeyId>B", "é", "a b")),
        (200, granted().encode("utf-16")),
        (200, granted().replace(' xmlns="', ' a="b" xmlns="').encode()),
        (200, granted().replace("<Credentials>", '<Credentials xmlns="x">').encode()),
        (200, granted().replace("</AssumeRoleResponse>", "").encode()),
        (200, granted().encode() + b"x"),
        (200, b""),
        (200, b"{}"),
        (200, b"<AssumeRoleResponse/>"),
        (200, b"<AssumeRoleResponse><AssumeRoleResult/></AssumeRoleResponse>"),
        (200, b"<a>" * 2000 + b"</a>" * 2000),
        (200, b"\xff"),
        (403, b""),
        (403, b"<Error><Code>AccessDenied</Code></Error>"),
        (403, b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"),
        (403, b"<ErrorResponse><Error><Message>no</Message></Error></ErrorResponse>"),
        (403, b"<ErrorResponse><Error/></ErrorResponse>"),
        (403, b"<ErrorResponse><Errors><Error><Code>AccessDenied</Code></Error></Errors></ErrorResponse>"),
        (403, b'{"__type": "AccessDenied"}'),
        (500, b"busy"),
    ],
)
def test_odd_answers_of_sts_mean_the_same(compare, status, body):
    """What is not as STS writes it is left to botocore, which has a parser of XML; never read as something else."""
    of_direct, of_botocore = compare(stub.Answer(status, body), "assume_role", may_be_left=True)

    assert of_botocore == of_direct


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (201, '{"ARN": "arn", "Name": "db", "VersionId": "v", "SecretString": "x"}'),
        (403, '{"__type": "AccessDeniedException:http://x/", "message": "no"}'),
        (400, '{"__type": "a#AccessDeniedException:http://x/#y", "message": null}'),
        (400, '{"__type": null, "message": "no"}'),
        (400, '{"__type": "X", "message": "", "Message": "no"}'),
        (400, '{"__type": "X", "message": "AKIDEXAMPLE has no permission"}'),
        (500, '{"__type": "", "message": "no"}'),
        (500, '{"__type": "InternalFailure", "message": ["no"]}'),
        (503, "<html>busy</html>"),
        (404, '{"__type": "ResourceNotFoundException", "Message": "value for staging label: X"}'),
    ],
)
def test_what_only_just_is_an_answer_means_the_same(compare, status, body):
    """Another status, a code with a link behind it, two messages or none, the access key in it."""
    of_direct, of_botocore = compare(stub.Answer(status, body.encode()))

    assert of_botocore == of_direct


GOOD = '{"ARN": "arn", "Name": "db", "VersionId": "v", "SecretString": "x", "CreatedDate": %s}'


@pytest.mark.parametrize(
    "answer",
    [
        *(
            stub.Answer(body=(GOOD % date).encode())
            for date in ("NaN", "Infinity", "-Infinity", "1e300", "-1", "[]", "[1]", "{}", "null", "9" * 400)
        ),
        stub.Answer(body=(GOOD % "1").encode("utf-8-sig")),
        stub.Answer(body=(GOOD % "1").encode("utf-16")),
        stub.Answer(body=(GOOD % "1").encode("utf-32")),
        stub.Answer(400, '{"__type": "AccessDeniedException", "message": "no"}'.encode("utf-16")),
        stub.Answer(body=b"null"),
    ],
    ids=lambda answer: f"{answer.status} {answer.body[:90]!r}",
)
def test_odd_answers_mean_the_same(compare, answer):
    """A time that is none, another encoding than UTF-8, no object."""
    of_direct, of_botocore = compare(answer)

    assert of_botocore == of_direct


@pytest.mark.parametrize(
    "fault",
    [
        stub.RESET,
        stub.RESET_WITHIN,
        stub.CUT,
        stub.Answer(cut=True, raw=True),
        stub.Answer(close=True, body=b"{}"),
        stub.NOT_HTTP,
        stub.Answer(204, headers=()),
        stub.flood("db"),
    ],
    ids=["reset", "reset within", "cut", "closed", "close", "not http", "no content", "flood"],
)
@pytest.mark.parametrize("operation", ["get_secret_value", "batch_get_secret_value", "get_parameter", "assume_role"])
def test_a_connection_that_fails_means_the_same(compare, fault, operation):
    """Cut off before the answer, within it, after it."""
    of_direct, of_botocore = compare(fault, operation, may_be_left=operation == "assume_role")

    assert of_botocore == of_direct


async def test_a_redirect_is_not_followed(upstream):
    """AWS never sends one: the server that it names must not get a signed request."""
    upstream.put("db", CANARY)
    with stub.Upstream(fault=stub.Answer(307, headers=(f"Location: {upstream.url}/",))) as redirecting:
        with mock.patch.dict(os.environ, {"AWS_ENDPOINT_URL": redirecting.url}):
            async with both(redirecting.url) as callers:
                of_direct, of_botocore = [await outcome(caller) for caller in callers]

        assert 2 == redirecting.count()
    assert of_botocore == of_direct
    assert "malformed-answer" in repr(of_direct)
    assert 0 == len(upstream.calls)


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("get_secret_value", b'{"SecretBinary": 5}'),
        ("get_secret_value", b'{"CreatedDate": "2026-01-01T00:00:00Z"}'),
        ("batch_get_secret_value", b'{"SecretValues": [null]}'),
        ("batch_get_secret_value", b'{"SecretValues": {}}'),
        ("get_parameter", b'{"Parameter": []}'),
        ("get_parameters", b'{"Parameters": ["x"]}'),
        ("get_parameters_by_path", b'{"Parameters": [{"LastModifiedDate": true}]}'),
    ],
)
async def test_an_answer_that_only_botocore_may_understand_is_asked_for_again(upstream, operation, body):
    """Binary that is no base64, a time in words, no list of secrets: botocore says what that means."""
    upstream.fault = stub.Answer(body=body)
    fallback = FakeClient(db=CANARY)
    direct = direct_client(fallback, upstream.url, OPERATIONS[operation].service)
    with contextlib.suppress(SecretError):
        await direct.call(operation, "db", ARGUMENTS[operation])
    await direct.aclose()

    assert [operation] == [called for called, _ in fallback.calls]
    assert fallback.is_closed


# What it trusts.


async def test_a_root_that_is_not_one_of_the_few_is_looked_for_among_all(tmp_path, monkeypatch):
    """An endpoint that chains to another root is trusted if botocore would, by calls at once too; then at first try."""
    certificate = stub.write_certificate(tmp_path)
    everything = tmp_path / "cacert.pem"
    everything.write_text(certificate.read_text())
    origin = str(tmp_path / "__init__.py")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: mock.Mock(origin=origin))
    with stub.Upstream(certificate=certificate) as upstream:
        upstream.put("db", CANARY)
        async with both(upstream.url) as (direct, _):
            calls = [direct.call("get_secret_value", "db", {"SecretId": "db"}) for _ in range(5)]
            assert [CANARY] * 5 == [answer["SecretString"] for answer in await asyncio.gather(*calls)]
            assert CANARY == (await direct.call("get_secret_value", "db", {"SecretId": "db"}))["SecretString"]

        assert 5 == upstream.connections
