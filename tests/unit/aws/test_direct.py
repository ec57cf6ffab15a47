"""The fetch lane: when it is taken, and that nobody could tell it from the engine."""

import asyncio
import contextlib
import datetime as dt
import json
import os
import ssl
from pathlib import Path
from unittest import mock

import botocore
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from secrets_cache.aws.direct import ELSEWHERE, Lane, endpoint_of, in_front_of
from secrets_cache.aws.engine import Engine
from secrets_cache.aws.errors import to_secret
from secrets_cache.aws.signing import Credentials, signed
from secrets_cache.core.retry import RetryableError
from secrets_cache.errors import SecretError
from secrets_cache.http1.connections import BadResponse, Reading, Response
from secrets_cache.system.clock import SystemClock
from tests.conftest import EXAMPLES
from tests.fuzz.framing import parse
from tests.support import upstream as stub
from tests.support.fakes import CANARY

PLAIN = {
    "AWS_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": f"{CANARY}-key",
    "AWS_SESSION_TOKEN": f"{CANARY}-session",
    "HOME": "/nonexistent",
}


def is_taken(environ: dict[str, str]) -> bool:
    """Return whether the lane is in front of the engine under these settings."""
    return isinstance(
        in_front_of(Engine(timeout_seconds=1, region=None, clock=SystemClock()), environ, SystemClock()), Lane
    )


# When it is taken.


def test_it_is_taken_in_a_lambda_function_as_it_comes():
    """The regional endpoint, through TLS."""
    endpoint = endpoint_of(PLAIN)

    assert is_taken(PLAIN)
    assert endpoint is not None
    assert ("secretsmanager.eu-west-1.amazonaws.com", 443, True) == (endpoint.host, endpoint.port, endpoint.is_secure)
    assert "secretsmanager.eu-west-1.amazonaws.com" == endpoint.authority


@pytest.mark.parametrize(
    "change",
    [
        {"SECRETS_CACHE_LANES": "0"},
        {"AWS_ACCESS_KEY_ID": ""},
        {"AWS_SECRET_ACCESS_KEY": ""},
        {"AWS_SESSION_TOKEN": "line\nbreak"},
        {"AWS_REGION": ""},
        {"AWS_REGION": "cn-north-1"},
        {"AWS_REGION": "us-gov-west-1"},
        {"AWS_REGION": "us-iso-east-1"},
        {"AWS_ENDPOINT_URL": "https://user@host"},
        {"AWS_ENDPOINT_URL": "https://host/path"},
        {"AWS_ENDPOINT_URL": "https://host:99999"},
        {"AWS_ENDPOINT_URL": "host"},
        *({name: "x"} for name in ELSEWHERE),
    ],
    ids=str,
)
def test_anything_else_is_the_engines(change):
    """A setting that is not known to mean the plain case is for botocore to read."""
    assert not is_taken({**PLAIN, **change})


@pytest.mark.parametrize("file", ["config", "credentials"])
def test_a_file_of_the_sdk_is_the_engines(tmp_path, file):
    """It may hold a region, an endpoint or other credentials."""
    assert is_taken({**PLAIN, "HOME": str(tmp_path)})
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / file).touch()
    assert not is_taken({**PLAIN, "HOME": str(tmp_path)})


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("http://localhost:5000", "localhost:5000"),
        ("https://vpce-1.secretsmanager.eu-west-1.vpce.amazonaws.com/", None),
        ("http://[::1]:80/", "[::1]"),
        ("https://host:443", "host"),
    ],
)
def test_plain_urls_are_taken(url, authority):
    """Of the service's own variable before the general one."""
    endpoint = endpoint_of({**PLAIN, "AWS_ENDPOINT_URL": "http://other", "AWS_ENDPOINT_URL_SECRETS_MANAGER": url})

    assert endpoint is not None
    assert (authority or url.removeprefix("https://").rstrip("/")) == endpoint.authority


@pytest.mark.parametrize(
    "region", ["us-east-1", "eu-central-2", "ap-southeast-7", "mx-central-1", "il-central-1", "ca-west-1"]
)
def test_the_endpoint_is_the_one_that_botocore_makes(region):
    """For every region whose name the lane takes."""
    import boto3

    endpoint = endpoint_of({**PLAIN, "AWS_REGION": region})
    client = boto3.client("secretsmanager", region_name=region, aws_access_key_id="x", aws_secret_access_key="x")
    with mock.patch.dict(os.environ, {"AWS_ENDPOINT_URL": ""}):
        assert endpoint is not None
        assert client.meta.endpoint_url == f"https://{endpoint.host}"


# What it sends.

TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


@given(
    body=st.binary(max_size=200),
    target=TEXT,
    region=TEXT.filter(lambda text: "/" not in text),
    token=st.one_of(st.just(""), TEXT),
    seconds=st.integers(0, 4_000_000_000),
)
def test_a_signature_is_the_one_that_botocore_makes(body, target, region, token, seconds):
    """Header by header, for any body, token, region and time."""
    headers = {"Host": "host:81", "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
    ours = signed(
        headers,
        body,
        credentials=Credentials("AKID", "a secret key", token),
        region=region,
        service="secretsmanager",
        at=float(seconds),
    )

    request = AWSRequest("POST", "http://host:81/", dict(headers), body)
    at = dt.datetime.fromtimestamp(seconds, dt.UTC)
    with mock.patch("botocore.auth.get_current_datetime", return_value=at):
        SigV4Auth(BotocoreCredentials("AKID", "a secret key", token or None), "secretsmanager", region).add_auth(
            request
        )

    assert dict(request.headers.items()) == ours


def test_credentials_never_show():
    """Not even by mistake."""
    assert CANARY not in repr(Credentials(CANARY, CANARY, CANARY))


@contextlib.asynccontextmanager
async def both(url: str):
    """Give the lane, with an engine that must not be asked, and the engine."""

    class Nobody:
        async def call(self, *_: object) -> dict[str, object]:
            raise AssertionError("the lane asked the engine")

        async def prepare(self) -> None:
            """There is nothing to import."""

        async def aclose(self) -> None:
            """There is nothing to close."""

    lane = in_front_of(Nobody(), {**PLAIN, "AWS_ENDPOINT_URL": url}, SystemClock())
    engine = Engine(timeout_seconds=5, region="eu-west-1", clock=SystemClock())
    assert isinstance(lane, Lane)
    try:
        yield lane, engine
    finally:
        await lane.aclose()
        await engine.aclose()
        # A transport that was aborted closes its socket in the loop's next turn.
        await asyncio.sleep(0)


async def test_both_send_the_same_call(upstream):
    """The same body, and of the headers that AWS reads the same."""
    upstream.put("db", CANARY)
    async with both(upstream.url) as callers:
        for caller in callers:
            with contextlib.suppress(SecretError):
                await caller.call("get_secret_value", "db", {"SecretId": 'é"\n', "VersionStage": "X"})
            await caller.call("batch_get_secret_value", "db", {"SecretIdList": ["db", "other"]})

    of_lane, of_engine = upstream.calls[:2], upstream.calls[2:]
    for ours, theirs in zip(of_lane, of_engine, strict=True):
        assert theirs.arguments == ours.arguments
        for name in ("host", "content-type", "x-amz-target", "x-amz-security-token"):
            assert theirs.headers[name] == ours.headers[name]
        scope = [call.headers["authorization"].split(", ")[0] for call in (ours, theirs)]
        assert scope[0] == scope[1]


# What it makes of the answer.


async def outcome(caller, operation: str = "get_secret_value") -> object:
    """Return what a call gives, or the error that it ends with, as data."""
    arguments = {"SecretId": "db"} if operation == "get_secret_value" else {"SecretIdList": ["db"]}
    try:
        answer = await caller.call(operation, "db", arguments)
        values = answer.get("SecretValues") if operation != "get_secret_value" else [answer]
        return [to_secret("db", value) for value in values] if isinstance(values, list) else repr(type(values))
    except RetryableError as reason:
        return type(reason.error).__name__, vars(reason.error), reason.at_once, reason.throttled
    except SecretError as error:
        return type(error).__name__, vars(error)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)
SECRETS = st.fixed_dictionaries(
    {"ARN": st.just("arn"), "Name": st.sampled_from(["db", "", "a b"]), "VersionId": st.just("v" * 32)},
    optional={
        "SecretString": st.text(max_size=20),
        "SecretBinary": st.binary(max_size=20).map(lambda data: __import__("base64").b64encode(data).decode()),
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


@settings(max_examples=40 * EXAMPLES, deadline=None)
@given(
    answers=st.lists(
        st.one_of(
            st.tuples(st.sampled_from([200, 200, 201, 300]), st.one_of(SECRETS, st.just({})).map(json.dumps)),
            st.tuples(st.just(200), st.just("<html>")),
            st.tuples(
                st.sampled_from([301, 307, 400, 403, 404, 429, 500, 503]),
                st.one_of(ERRORS, st.just({})).map(json.dumps),
            ),
        ),
        min_size=3,
        max_size=6,
    )
)
def test_the_same_answer_means_the_same(answers):
    """A secret, or an error with the same words; whatever AWS, or something in its place, says."""

    async def compare() -> None:
        with stub.Upstream() as upstream, mock.patch.dict(os.environ, {"AWS_ENDPOINT_URL": upstream.url}):
            async with both(upstream.url) as callers:
                for status, body in answers:
                    upstream.fault = stub.Answer(status, body.encode())
                    of_lane, of_engine = [await outcome(caller) for caller in callers]
                    assert of_engine == of_lane

    asyncio.run(compare())


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
    ],
)
async def test_what_only_just_is_an_answer_means_the_same(upstream, status, body):
    """Another status, a code with a link behind it, two messages or none, our access key in it."""
    upstream.fault = stub.Answer(status, body.encode())
    async with both(upstream.url) as callers:
        of_lane, of_engine = [await outcome(caller) for caller in callers]

    assert of_engine == of_lane


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
@pytest.mark.parametrize("operation", ["get_secret_value", "batch_get_secret_value"])
async def test_a_connection_that_fails_means_the_same(upstream, fault, operation):
    """Cut off before the answer, within it, after it."""
    upstream.fault = fault
    async with both(upstream.url) as callers:
        of_lane, of_engine = [await outcome(caller, operation) for caller in callers]

    assert of_engine == of_lane


async def test_a_redirect_is_not_followed(upstream):
    """AWS never sends one: whoever does must not get the request, which is signed and may be answered elsewhere."""
    upstream.put("db", CANARY)
    with stub.Upstream(fault=stub.Answer(307, headers=(f"Location: {upstream.url}/",))) as redirecting:
        with mock.patch.dict(os.environ, {"AWS_ENDPOINT_URL": redirecting.url}):
            async with both(redirecting.url) as callers:
                of_lane, of_engine = [await outcome(caller) for caller in callers]

        assert 2 == redirecting.count()
    assert of_engine == of_lane
    assert "malformed-answer" in repr(of_lane)
    assert 0 == len(upstream.calls)


@pytest.mark.parametrize(
    "body",
    [
        b'{"SecretBinary": 5}',
        b'{"CreatedDate": "2026-01-01T00:00:00Z"}',
        b'{"SecretValues": [null]}',
        b'{"SecretValues": {}}',
    ],
)
async def test_an_answer_that_only_the_engine_may_understand_is_asked_for_again(upstream, body):
    """Binary that is no base64, a time in words, no list of secrets: botocore says what that means."""
    upstream.fault = stub.Answer(body=body)
    calls = []

    class Recorder:
        async def call(self, operation: str, name: str, arguments: object) -> dict[str, object]:
            calls.append((operation, name, arguments))
            return {}

        async def prepare(self) -> None:
            """There is nothing to import."""

        async def aclose(self) -> None:
            """There is nothing to close."""

    lane = in_front_of(Recorder(), {**PLAIN, "AWS_ENDPOINT_URL": upstream.url}, SystemClock())
    assert {} == await lane.call("get_secret_value", "db", {"SecretId": "db"})
    await lane.aclose()

    assert [("get_secret_value", "db", {"SecretId": "db"})] == calls


# Whom it trusts.


def test_the_few_roots_are_among_those_that_botocore_trusts():
    """Each of them, to the byte."""
    import secrets_cache.aws.direct as module

    roots = (Path(module.__file__).parent / "amazon_roots.pem").read_text()
    trusted = (Path(botocore.__file__).parent / "cacert.pem").read_text()
    certificates = [part.partition("-----END")[0] for part in roots.split("-----BEGIN CERTIFICATE-----")[1:]]

    assert 5 == len(certificates)
    assert all(certificate in trusted for certificate in certificates)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=roots)
    assert 5 == len(context.get_ca_certs())


async def test_a_root_that_is_not_one_of_the_few_is_looked_for_among_all(tmp_path, monkeypatch):
    """An endpoint that chains to another root is trusted if botocore would; the next call needs no second try."""
    certificate = stub.write_certificate(tmp_path)
    everything = tmp_path / "cacert.pem"
    everything.write_text(certificate.read_text())
    origin = str(tmp_path / "__init__.py")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: mock.Mock(origin=origin))
    with stub.Upstream(certificate=certificate) as upstream:
        upstream.put("db", CANARY)
        async with both(upstream.url) as (lane, _):
            for _ in range(2):
                assert CANARY == (await lane.call("get_secret_value", "db", {"SecretId": "db"}))["SecretString"]

        assert 1 == upstream.connections


# The protocol.

RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 \r\ncontent-length:2\r\nX: a:b\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\n{}\r\n0\r\nTrailer: x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: y\r\nZ: \r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
]


@pytest.mark.parametrize("whole", RESPONSES)
def test_a_response_is_whole_when_its_last_byte_is_here(whole):
    """However it was cut on the way."""
    reading = Reading()
    for end in range(len(whole)):
        assert parse(whole[:end]) is None
        assert reading.feed(whole[end - 1 : end]) is None
    for response in (parse(whole), reading.feed(whole[-1:])):
        assert isinstance(response, Response)
        assert (200, b"{}") == (response.status, response.body)


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body_is_whole_with_its_head(status):
    """Nothing of it says so but its status."""
    response = parse(f"HTTP/1.1 {status} X\r\n\r\n".encode())

    assert response is not None
    assert (status, b"") == (response.status, response.body)


def test_an_answer_in_small_pieces_costs_no_more_than_in_one():
    """Who drips must not hold up the callers of everything else: no byte is gone over twice."""

    class Counting(bytearray):
        """What has been received, and how much of it has been looked through for an end of line."""

        looked_through = 0

        def find(self, what, start=0, *_):
            self.looked_through += len(self) - start
            return super().find(what, start)

    head = b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000 + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
    whole = head + b"4E20;" + b"y" * 20_000 + b"\r\n" + b"z" * 20_000 + b"\r\n0\r\n\r\n"
    reading = Reading()
    reading._received = counting = Counting()  # noqa: SLF001 - how much work it is shows nowhere else
    responses = [reading.feed(whole[at : at + 1]) for at in range(len(whole))]

    assert [None] * (len(whole) - 1) == responses[:-1]
    assert responses[-1] is not None
    assert b"z" * 20_000 == responses[-1].body
    # Each byte when it comes, with up to three before it that may begin an end.
    assert counting.looked_through < 5 * len(whole)


@pytest.mark.parametrize(
    "received",
    [
        b"SSH-2.0-x\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 two\r\n\r\n",
        b"HTTP/1.1 2000\r\n\r\n",
        b"HTTP/1.1 2\xb20 X\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n Content-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding:\x1cchunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"1" * 5000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 70_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 20_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxxx\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n",
        b"HTTP/1.1 \xb2\xb2\xb2 OK\r\n\r\n",
    ],
)
def test_what_is_no_response_is_said_to_be_none(received):
    """At once: waiting for more of it would end with the budget."""
    with pytest.raises(BadResponse):
        parse(received)


def test_what_follows_a_response_changes_nothing_of_it():
    """Whether it comes in the same piece or in the next."""
    for whole in RESPONSES:
        response = parse(whole + b"more\r\n")

        assert isinstance(response, Response)
        assert (200, b"{}") == (response.status, response.body)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_response_or_none_or_an_error_of_ours(data):
    """Nothing else comes out."""
    for received in (data, b"HTTP/1.1 " + data, b"HTTP/1.1 200 OK\r\n" + data, RESPONSES[2][:48] + data):
        try:
            assert parse(received) is None or parse(received)
        except BadResponse:
            continue
