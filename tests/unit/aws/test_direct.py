"""The direct client: when it is chosen, and that nobody could tell it from aiobotocore's."""

import asyncio
import base64
import contextlib
import json
import os
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secrets_cache.aws.client import ClientSettings
from secrets_cache.aws.direct import DirectClient, choose_client
from secrets_cache.aws.lazy_client import LazyClient
from secrets_cache.aws.secretsmanager import to_secret
from secrets_cache.core.retry import RetryableError
from secrets_cache.errors import SecretError
from secrets_cache.system.clock import SystemClock
from tests.conftest import EXAMPLES
from tests.support import upstream as stub
from tests.support.fakes import CANARY
from tests.unit.aws.fakes import FakeClient

COMMON = {
    "AWS_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": f"{CANARY}-key",
    "AWS_SESSION_TOKEN": f"{CANARY}-session",
    "HOME": "/nonexistent",
}


@pytest.mark.parametrize(
    ("change", "is_chosen"),
    [
        ({}, True),
        ({"SECRETS_CACHE_LANES": "0"}, False),
        ({"AWS_REGION": "cn-north-1"}, True),
        ({"AWS_REGION": "moon-1"}, False),
        ({"AWS_SESSION_TOKEN": "line\nbreak"}, False),
        ({"AWS_ACCESS_KEY_ID": ""}, False),
    ],
)
def test_it_is_chosen_where_the_settings_are_the_common_ones(change, is_chosen):
    """Which these are, `endpoints` says."""
    fallback = FakeClient()

    assert is_chosen == (choose_client(fallback, {**COMMON, **change}, SystemClock()) is not fallback)


@contextlib.asynccontextmanager
async def both(url: str):
    """Give the direct client, with a fallback that must not be asked, and the one through aiobotocore."""

    class Nobody:
        async def call(self, *_: object) -> dict[str, object]:
            raise AssertionError("the direct client asked the fallback")

        async def import_library(self) -> None:
            """There is nothing to import."""

        async def aclose(self) -> None:
            """There is nothing to close."""

    direct = choose_client(Nobody(), {**COMMON, "AWS_ENDPOINT_URL": url}, SystemClock())
    lazy = LazyClient(ClientSettings("secretsmanager", "eu-west-1", 5, SystemClock()))
    assert isinstance(direct, DirectClient)
    try:
        yield direct, lazy
    finally:
        await direct.aclose()
        await lazy.aclose()
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

    of_direct, of_botocore = upstream.calls[:2], upstream.calls[2:]
    for ours, theirs in zip(of_direct, of_botocore, strict=True):
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
        return type(reason.error).__name__, vars(reason.error), reason.at_once, reason.error.is_throttled
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
    """Give a function that returns what both clients make of an answer; it is one pair of clients for all tests."""
    with (
        asyncio.Runner() as runner,
        stub.Upstream() as upstream,
        mock.patch.dict(os.environ, {"AWS_ENDPOINT_URL": upstream.url}),
    ):
        stack = contextlib.AsyncExitStack()
        callers = runner.run(stack.enter_async_context(both(upstream.url)))

        async def ask(operation: str) -> list[object]:
            return [await outcome(caller, operation) for caller in callers]

        def compare(answer: stub.Answer, operation: str = "get_secret_value") -> list[object]:
            upstream.fault = answer
            return runner.run(ask(operation))

        # With what the environment says now.
        compare(stub.EMPTY)
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
@pytest.mark.parametrize("operation", ["get_secret_value", "batch_get_secret_value"])
def test_a_connection_that_fails_means_the_same(compare, fault, operation):
    """Cut off before the answer, within it, after it."""
    of_direct, of_botocore = compare(fault, operation)

    assert of_botocore == of_direct


async def test_a_redirect_is_not_followed(upstream):
    """AWS never sends one: whoever does must not get the request, which is signed and may be answered elsewhere."""
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
    "body",
    [
        b'{"SecretBinary": 5}',
        b'{"CreatedDate": "2026-01-01T00:00:00Z"}',
        b'{"SecretValues": [null]}',
        b'{"SecretValues": {}}',
    ],
)
async def test_an_answer_that_only_botocore_may_understand_is_asked_for_again(upstream, body):
    """Binary that is no base64, a time in words, no list of secrets: botocore says what that means."""
    upstream.fault = stub.Answer(body=body)
    fallback = FakeClient(db=CANARY)
    direct = choose_client(fallback, {**COMMON, "AWS_ENDPOINT_URL": upstream.url}, SystemClock())
    assert CANARY == (await direct.call("get_secret_value", "db", {"SecretId": "db"}))["SecretString"]
    await direct.aclose()

    assert [("get_secret_value", ["db"])] == fallback.calls
    assert fallback.is_closed


# What it trusts.


async def test_a_root_that_is_not_one_of_the_few_is_looked_for_among_all(tmp_path, monkeypatch):
    """An endpoint that chains to another root is trusted if botocore would; the next call needs no second try."""
    certificate = stub.write_certificate(tmp_path)
    everything = tmp_path / "cacert.pem"
    everything.write_text(certificate.read_text())
    origin = str(tmp_path / "__init__.py")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: mock.Mock(origin=origin))
    with stub.Upstream(certificate=certificate) as upstream:
        upstream.put("db", CANARY)
        async with both(upstream.url) as (direct, _):
            for _ in range(2):
                assert CANARY == (await direct.call("get_secret_value", "db", {"SecretId": "db"}))["SecretString"]

        assert 1 == upstream.connections
