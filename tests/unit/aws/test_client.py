"""What every client of Secrets Manager does with a stub that plays AWS, or whatever answers in its place."""

import asyncio
import contextlib
import datetime as dt
import json
import re
from unittest import mock

import pytest

from secrets_cache.aws.client import KEEPALIVE_SECONDS, MAX_CONNECTIONS, read_timestamp
from secrets_cache.aws.secretsmanager import to_secret
from secrets_cache.core.retry import RetryableError
from secrets_cache.core.secret import Ref, Secret
from secrets_cache.errors import SecretError, SecretRefused
from secrets_cache.http1.connections import MAX_BODY
from tests.conftest import PATIENCE_SECONDS
from tests.support import upstream as stub
from tests.support.fakes import CANARY, fetch_all
from tests.unit.aws.conftest import secrets_client
from tests.unit.aws.fakes import manager

pytestmark = pytest.mark.usefixtures("fast_paths")


async def fetch(client, name: str = "db") -> Secret:
    """Return what one call gives."""
    return to_secret(name, await client.call("get_secret_value", name, {"SecretId": name}))


async def failure(client) -> SecretError | RetryableError:
    """Return what a call that fails raises."""
    with pytest.raises((SecretError, RetryableError)) as caught:
        await fetch(client)
    assert isinstance(caught.value, SecretError | RetryableError)
    assert CANARY not in str(caught.value)
    return caught.value


def body(**fields: object) -> stub.Answer:
    """Return an answer with these fields, and the others that it needs."""
    return stub.Answer(body=json.dumps({"ARN": "a", "Name": "b", "VersionId": "c", **fields}).encode())


DEFINITE = [
    (stub.ACCESS_DENIED, "AccessDeniedException"),
    (stub.aws_error("DecryptionFailure", "no key"), "DecryptionFailure"),
    (stub.aws_error("InvalidParameterException", "no"), "InvalidParameterException"),
    (stub.aws_error("UnrecognizedClientException", "no"), "UnrecognizedClientException"),
    (
        stub.aws_error("InvalidSignatureException", "The request signature we calculated does not match"),
        "InvalidSignatureException",
    ),
    (stub.aws_error("com.amazonaws.secretsmanager#SomethingNew", "no"), "SomethingNew"),
]
PASSING = [
    (stub.INTERNAL, "InternalServiceError"),
    (stub.aws_error("ServiceUnavailable", "", 503), "ServiceUnavailable"),
    (stub.Answer(500, b""), "500"),
    (stub.Answer(503, b"<html>busy</html>"), "503"),
    (stub.NOT_HTTP, "malformed-answer"),
    (stub.REDIRECT, "malformed-answer"),
    (stub.GARBAGE, "malformed-answer"),
    (stub.EMPTY, "malformed-answer"),
    (stub.Answer(400, b"<html>a proxy</html>"), "malformed-answer"),
    (body(), "malformed-answer"),
    (body(SecretString=5), "malformed-answer"),
    (body(VersionId="c\r\nX: y", SecretString=CANARY), "malformed-answer"),
    (body(SecretString=f"\ud800{CANARY}"), "malformed-answer"),
    (body(ARN=["a"], Name={}, VersionId=None, SecretString=CANARY), "malformed-answer"),
    (stub.Answer(body=b'["CANARY-9f3c"]'), "malformed-answer"),
]
AT_ONCE = [
    (stub.RESET, "connection-closed"),
    (stub.RESET_WITHIN, "connection-closed"),
    (stub.CUT, "connection-closed"),
    (stub.EXPIRED_SIGNATURE, "InvalidSignatureException"),
    (stub.aws_error("ExpiredTokenException", "expired"), "ExpiredTokenException"),
]


async def test_a_definite_refusal_has_awss_code(upstream):
    """Users read what they mistyped, or which permission is missing."""
    found = []
    async with secrets_client() as client:
        for upstream.fault, _ in DEFINITE:
            error = await failure(client)
            assert isinstance(error, SecretRefused)
            found.append(error.code)

    assert [code for _, code in DEFINITE] == found
    assert len(DEFINITE) == len(upstream.calls)


@pytest.mark.parametrize(("faults", "at_once"), [(PASSING, False), (AT_ONCE, True)])
async def test_a_passing_failure_says_whether_it_may_be_tried_again_at_once(upstream, faults, at_once):
    """After a dead connection or an old signature: nothing is wrong with AWS. Each call is one attempt."""
    found = []
    async with secrets_client() as client:
        for upstream.fault, _ in faults:
            error = await failure(client)
            assert isinstance(error, RetryableError)
            found.append((error.error.code, error.at_once, error.error.is_throttled))

    assert [(code, at_once, False) for _, code in faults] == found
    assert len(faults) == len(upstream.calls)


async def test_an_old_signature_or_connection_costs_no_pause(upstream):
    """The next call, on a new connection and with a new signature, gives the secret."""
    version_id = upstream.put("db", CANARY)
    async with secrets_client() as client:
        for fault, _ in AT_ONCE:
            upstream.faults.append(fault)
            error = await failure(client)
            assert isinstance(error, RetryableError)
            assert error.at_once
            assert version_id == (await fetch(client)).version_id


async def test_throttling_is_told(upstream):
    """By AWS's code, or by the status: the next attempt needs a long pause."""
    async with secrets_client() as client:
        for upstream.fault, code in (
            (stub.THROTTLED, "ThrottlingException"),
            (stub.aws_error("SomethingNew", "", 429), "SomethingNew"),
        ):
            error = await failure(client)
            assert isinstance(error, RetryableError)
            assert (code, True) == (error.error.code, error.error.is_throttled)


@pytest.mark.parametrize("code", ["AccessDeniedException", "InvalidSignatureException", "{key}", "{session}"])
async def test_what_is_answered_never_shows_credentials(upstream, code):
    """AWS explains a wrong signature with all that was signed; something in its place may echo anything."""
    hidden = {"key": f"{CANARY}-key", "session": f"{CANARY}-session"}
    upstream.fault = stub.aws_error(code.format(**hidden), "got {session} and {key}".format(**hidden))
    async with secrets_client() as client:
        error = await failure(client)

    assert CANARY not in repr(vars(getattr(error, "error", error)))


@pytest.mark.parametrize("is_told_before", [True, False])
async def test_an_answer_larger_than_any_of_awss_is_left_unread(upstream, is_told_before):
    """Memory is short where functions run, and what answers in AWS's place has no end."""
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {stub.FLOOD_BYTES}\r\n\r\n".encode()
    upstream.fault = stub.Answer(body=head, raw=True) if is_told_before else stub.flood("db")
    async with secrets_client() as client:
        error = await failure(client)

    assert isinstance(error, RetryableError)
    assert "malformed-answer" == error.error.code
    # What the sockets hold comes on top.
    assert upstream.sent < MAX_BODY + stub.FLOOD_BYTES / 8


async def test_each_call_is_signed_anew(upstream, clock):
    """A signature that AWS called too old is not sent again."""
    upstream.put("db", CANARY)
    now = dt.datetime.now(dt.UTC)
    with mock.patch("botocore.auth.get_current_datetime", side_effect=[now, now + dt.timedelta(seconds=1)]):
        async with secrets_client(clock) as client:
            for _ in range(2):
                await fetch(client)
                clock.tick(1)

    assert 2 == len({call.headers["x-amz-date"] for call in upstream.calls})
    assert 2 == len({call.headers["authorization"] for call in upstream.calls})


# Connections.


async def test_connections_are_used_again(upstream):
    """Calls that follow one another share a connection."""
    upstream.put("db", CANARY)
    async with secrets_client() as client:
        for _ in range(3):
            await fetch(client)

    assert 1 == upstream.connections


async def test_a_pooled_connection_that_died_is_replaced(upstream):
    """The upstream closes after each answer without saying so, as it does in a freeze: at worst a call is repeated."""
    upstream.put("db", CANARY)
    upstream.close_after_answer = True
    async with secrets_client() as client:
        source = manager(client, batch_threshold=None)
        for _ in range(3):
            assert CANARY.encode() == (await source.fetch(Ref("db"))).value

    assert 3 <= upstream.connections


async def test_no_more_connections_than_planned(upstream):
    """They are kept for the calls that wait."""
    refs = [Ref(f"s{number}") for number in range(2 * MAX_CONNECTIONS)]
    for ref in refs:
        upstream.put(ref.secret_id, CANARY)
    # Long enough that the last connection is made before the first answer comes, on a busy machine too.
    upstream.delay = 0.5
    async with secrets_client() as client:
        source = manager(client, batch_threshold=None)
        found = await fetch_all(source, refs)

    assert {Secret} == set(map(type, found.values()))
    assert MAX_CONNECTIONS == upstream.connections


async def test_a_pooled_connection_is_not_trusted_for_long(upstream):
    """A freeze kills it unnoticed: after a few idle seconds a new one is made."""
    assert KEEPALIVE_SECONDS < 5
    upstream.put("db", CANARY)
    async with secrets_client(keepalive_seconds=0.02) as client:
        for _ in range(2):
            await fetch(client)
            # Not for anything to happen: time itself is what counts here.
            await asyncio.sleep(0.05)

    assert 2 == upstream.connections


async def test_a_pooled_connection_is_not_used_after_a_freeze_that_the_monotonic_clock_does_not_see(upstream, clock):
    """It is an hour old, whatever a pool believes that uses that clock; nothing tells that it is dead."""
    upstream.put("db", CANARY)
    async with secrets_client(clock) as client:
        for _ in range(2):
            await fetch(client)
        assert [1, 1] == [call.connection for call in upstream.calls]
        clock.freeze(3600)
        upstream.fault = lambda call: stub.HANG if call.connection == 1 else None
        async with asyncio.timeout(PATIENCE_SECONDS):
            await fetch(client)

    assert [1, 1, 2] == [call.connection for call in upstream.calls]


async def test_closing_ends_what_is_under_way(upstream):
    """A client that is still being created is not left behind."""
    upstream.fault = stub.HANG
    async with secrets_client() as client:
        task = asyncio.create_task(fetch(client))
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    assert task.cancelled()


async def test_nobody_listens(monkeypatch):
    """A refused connection is told as one; what to look for depends on where this runs, which the source knows."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    async with secrets_client() as client:
        error = await failure(client)

    assert isinstance(error, RetryableError)
    assert "connection-failed" == error.error.code
    assert str(error.error).endswith("could not connect to AWS")


async def test_only_a_certificate_that_is_vouched_for_is_spoken_to(upstream, monkeypatch, tmp_path):
    """Another one ends the attempt before anything is sent; AWS_CA_BUNDLE can vouch for one."""
    upstream.put("db", CANARY)
    certificate = stub.write_certificate(tmp_path)
    with stub.Upstream(secrets=upstream.secrets, certificate=certificate) as secured:
        monkeypatch.setenv("AWS_ENDPOINT_URL", secured.url)
        async with secrets_client() as client:
            error = await failure(client)
        assert isinstance(error, RetryableError)
        assert ("tls-failed", 0) == (error.error.code, secured.count())

        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        async with secrets_client() as client:
            assert CANARY.encode() == (await fetch(client)).value


@pytest.mark.parametrize("content", [None, "", "no certificate"])
async def test_a_bundle_that_cannot_be_used_is_named(monkeypatch, tmp_path, content):
    """It is the file that is wrong, not the connection: each client says the same of it."""
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_text(content)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://127.0.0.1:9")
    async with secrets_client() as client:
        error = await failure(client)

    assert isinstance(error, RetryableError)
    assert "request-failed" == error.error.code
    assert f"the certificates in {str(bundle)!r} cannot be read (" in str(error.error)
    assert str(error.error).endswith("; check the setting that names them")


# Parts of answers.


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0.0),
        (1.0004, 1.0),
        (253_402_300_799, 253_402_300_799.0),
        (253_402_300_800, None),
        (-1, None),
        (True, None),
        ("2026-01-01", None),
        (None, None),
        (float("nan"), None),
    ],
)
def test_a_timestamp_is_a_number_of_seconds_that_has_a_date(value, seconds):
    """To the millisecond, as AWS counts."""
    assert seconds == read_timestamp(value)


def test_the_operations_are_described():
    """Each that is called, with what it takes and gives."""
    import secrets_cache.aws.client as module

    described = re.findall(r"^    ([a-z_]{5,})  +\{", module.__doc__ or "", re.MULTILINE)
    assert {"get_secret_value", "batch_get_secret_value", "get_parameter", "assume_role"} < set(described)
