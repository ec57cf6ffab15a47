"""Secrets Manager: against moto's server for what it can do, and against a stub for what it cannot."""

import asyncio
import contextlib
import json
import os

import boto3
import pytest
from aiohttp import web

from secrets_cache.aws import SecretsManager, of_environment
from secrets_cache.aws.direct import in_front_of
from secrets_cache.aws.engine import Engine
from secrets_cache.aws.secretsmanager import KEEPALIVE_SECONDS, MAX_CONNECTIONS
from secrets_cache.core.clock import Clock
from secrets_cache.core.retry import RetryableError
from secrets_cache.core.secret import Ref, Secret
from secrets_cache.errors import SecretError, SecretNotFound, SecretRefused, SecretTimeout, SecretUnavailable
from secrets_cache.http1.connections import MAX_BODY
from secrets_cache.system.clock import SystemClock
from tests.conftest import PATIENCE_SECONDS
from tests.support import upstream as stub
from tests.support.fakes import CANARY, fetch_all
from tools.emulator import moto_server

pytestmark = pytest.mark.usefixtures("lanes")


@contextlib.asynccontextmanager
async def manager(
    budget_seconds: float = 5.0,
    batch_above: int | None = 10,
    keepalive_seconds: float = KEEPALIVE_SECONDS,
    clock: Clock | None = None,
):
    """Give a source, on the lane or on the engine as the environment has it; with the machine's own clock if none."""
    async with of_environment(
        os.environ,
        budget_seconds=budget_seconds,
        batch_above=batch_above,
        clock=clock or SystemClock(),
        keepalive_seconds=keepalive_seconds,
    ) as source:
        yield source


@pytest.fixture(name="source")
async def _source(upstream):
    async with manager() as source:
        yield source


@pytest.fixture(name="aws")
def _aws(monkeypatch):
    with moto_server() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", url)
        yield boto3.client("secretsmanager", region_name="eu-west-1")


# Against moto.


@pytest.mark.parametrize("value", ["plain", "", '{"a":"é"}', "line\nbreak\r\n", "🔑" * 1000, " blanks "])
async def test_text_arrives_as_it_was_stored(aws, value):
    """Text is the bytes of its UTF-8."""
    created = aws.create_secret(Name="prod/db", SecretString=value or "x")
    async with manager() as source:
        secret = await source.fetch(Ref("prod/db"))

    assert (value or "x").encode() == secret.value
    assert (created["ARN"], "prod/db", created["VersionId"], True) == (
        secret.arn,
        secret.name,
        secret.version_id,
        secret.is_text,
    )
    assert secret.created_at is not None


async def test_binary_arrives_as_it_was_stored(aws):
    """Binary is its bytes, without base64."""
    value = bytes(range(256))
    created = aws.create_secret(Name="bin", SecretBinary=value)
    async with manager() as source:
        secret = await source.fetch(Ref(created["ARN"]))

    assert (value, False) == (secret.value, secret.is_text)


async def test_versions_are_asked_for_by_stage_and_by_id(aws):
    """The previous value is to be had beside the current one."""
    first = aws.create_secret(Name="db", SecretString="one")
    aws.put_secret_value(SecretId="db", SecretString="two")
    async with manager() as source:
        current = await source.fetch(Ref("db"))
        previous = await source.fetch(Ref("db", version_stage="AWSPREVIOUS"))
        by_id = await source.fetch(Ref("db", version_id=first["VersionId"]))
        with pytest.raises(SecretNotFound):
            await source.fetch(Ref("db", version_stage="NOSUCH"))

    assert [b"two", b"one", b"one"] == [current.value, previous.value, by_id.value]


async def test_what_aws_does_not_have_is_not_found(aws):
    """A definite answer, without a second try."""
    async with manager() as source:
        with pytest.raises(SecretNotFound, match="'nothing' was not found"):
            await source.fetch(Ref("nothing"))


async def test_a_secret_about_to_be_deleted_is_refused(aws):
    """AWS says InvalidRequestException; that is a definite answer as well."""
    aws.create_secret(Name="db", SecretString="x")
    aws.delete_secret(SecretId="db")
    async with manager() as source:
        with pytest.raises(SecretRefused) as caught:
            await source.fetch(Ref("db"))

    assert "InvalidRequestException" == caught.value.code


async def test_a_batch_against_moto(aws):
    """Eleven secrets come from the batch call, by name and by ARN; a missing one is asked for by itself."""
    arns = [aws.create_secret(Name=f"s{number}", SecretString=f"v{number}")["ARN"] for number in range(11)]
    refs = [Ref("s0"), Ref(arns[1]), Ref(arns[2][:-7]), *(Ref(f"s{number}") for number in range(3, 11))]
    async with manager() as source:
        delivered = await fetch_all(source, refs)

    values = [outcome.value for outcome in delivered.values() if isinstance(outcome, Secret)]
    assert sorted(f"v{number}".encode() for number in range(11)) == sorted(values)


# Against the stub: what is tried again, and what is not.

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
    (stub.RESET, "connection-closed"),
    (stub.RESET_WITHIN, "connection-closed"),
    (stub.CUT, "connection-closed"),
    (stub.NOT_HTTP, "malformed-answer"),
    (stub.REDIRECT, "malformed-answer"),
    (stub.GARBAGE, "malformed-answer"),
    (stub.EMPTY, "malformed-answer"),
    (stub.Answer(400, b"<html>a proxy</html>"), "malformed-answer"),
    (stub.Answer(body=json.dumps({"ARN": "a", "Name": "b", "VersionId": "c"}).encode()), "malformed-answer"),
    (
        stub.Answer(body=json.dumps({"ARN": "a", "Name": "b", "VersionId": "c", "SecretString": 5}).encode()),
        "malformed-answer",
    ),
    (
        stub.Answer(body=b'{"ARN":"a","Name":"b","VersionId":"c\\r\\nX: y","SecretString":"CANARY-9f3c"}'),
        "malformed-answer",
    ),
    (
        stub.Answer(body=b'{"ARN":"a","Name":"b","VersionId":"c","SecretString":"\\ud800CANARY-9f3c"}'),
        "malformed-answer",
    ),
    (stub.Answer(body=b'{"ARN":["a"],"Name":{},"VersionId":null,"SecretString":"CANARY-9f3c"}'), "malformed-answer"),
    (stub.Answer(body=b'["CANARY-9f3c"]'), "malformed-answer"),
    (stub.EXPIRED_SIGNATURE, "InvalidSignatureException"),
    (stub.aws_error("ExpiredTokenException", "expired"), "ExpiredTokenException"),
]


@pytest.mark.parametrize(("fault", "code"), DEFINITE)
async def test_a_definite_refusal_is_told_with_awss_code_and_not_tried_again(upstream, source, fault, code):
    """Whoever mistyped a name or lacks a permission reads which."""
    upstream.fault = fault

    with pytest.raises(SecretRefused) as caught:
        await source.fetch(Ref("db"))

    assert code == caught.value.code
    assert 1 == upstream.count("db")


@pytest.mark.parametrize(("fault", "code"), PASSING)
async def test_a_passing_failure_is_tried_three_times_and_then_told(upstream, clock, fault, code):
    """Nothing of what came instead of an answer shows."""
    upstream.fault = fault

    # A machine that is busy looks frozen on its own clock, and there is one attempt more.
    async with manager(clock=clock) as source:
        with pytest.raises(SecretUnavailable) as caught:
            await source.fetch(Ref("db"))

    assert code == caught.value.code
    assert 3 == upstream.count("db")
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("fault", [fault for fault, _ in PASSING])
async def test_a_failure_that_passes_is_invisible(upstream, source, fault):
    """One good answer within the budget is all it takes."""
    version_id = upstream.put("db", CANARY)
    upstream.faults.append(fault)

    assert version_id == (await source.fetch(Ref("db"))).version_id
    assert 2 == upstream.count("db")


async def test_whoever_is_throttled_waits_longer_between_its_three_attempts(upstream, source):
    """A fleet that asks again at once makes its own storm; a caller who waits may yet be served."""
    version_id = upstream.put("once", CANARY)
    faults = {"always": stub.THROTTLED, "unknown code": stub.aws_error("SomethingNew", "", 429)}
    once = [stub.THROTTLED]
    upstream.fault = lambda call: faults.get(call.ids[0]) or (once.pop() if once else None)
    loop = asyncio.get_running_loop()

    began = loop.time()
    delivered = await fetch_all(source, [Ref("always"), Ref("unknown code"), Ref("once")])

    # Of the usual ones, two take at most 0.4 s.
    assert 2.2 < loop.time() - began
    told = {ref.secret_id: getattr(outcome, "code", None) for ref, outcome in delivered.items()}
    assert {"always": "ThrottlingException", "unknown code": "SomethingNew", "once": None} == told
    assert {version_id} == {got.version_id for got in delivered.values() if isinstance(got, Secret)}
    assert [3, 3, 2] == [upstream.count(name) for name in ("always", "unknown code", "once")]


@pytest.mark.parametrize("fault", [stub.EXPIRED_SIGNATURE, stub.RESET, stub.RESET_WITHIN, stub.CUT])
async def test_an_old_signature_or_connection_costs_no_pause(upstream, fault):
    """The upstream is well; only what we sent was too old."""
    upstream.fault = fault
    engine = Engine(timeout_seconds=5, region="eu-west-1", clock=SystemClock())
    calls = in_front_of(engine, os.environ, SystemClock())
    try:
        with pytest.raises(RetryableError) as caught:
            await calls.call("get_secret_value", "db", {"SecretId": "db"})
    finally:
        await calls.aclose()

    assert caught.value.at_once


@pytest.mark.parametrize("is_told_before", [True, False])
async def test_an_answer_larger_than_any_of_awss_is_left_unread(upstream, clock, is_told_before):
    """Memory is short where functions run, and what answers in AWS's place has no end."""
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {stub.FLOOD_BYTES}\r\n\r\n".encode()
    upstream.fault = stub.Answer(body=head, raw=True) if is_told_before else stub.flood("db")

    # A machine that is busy looks frozen on its own clock, and there is one attempt more.
    async with manager(clock=clock) as source:
        with pytest.raises(SecretUnavailable) as caught:
            await source.fetch(Ref("db"))

    assert ("malformed-answer", 3) == (caught.value.code, upstream.count("db"))
    # What the sockets hold comes on top.
    assert upstream.sent < 3 * (MAX_BODY + stub.FLOOD_BYTES / 8)


async def test_each_attempt_is_signed_anew(upstream, source):
    """A signature that AWS called too old is not sent again."""
    upstream.put("db", CANARY)

    def once_a_second(call: stub.Call) -> stub.Answer | None:
        return stub.Answer(400, stub.EXPIRED_SIGNATURE.body, delay=1.1) if len(upstream.calls) == 1 else None

    upstream.fault = once_a_second
    await source.fetch(Ref("db"))

    assert 2 == len({call.headers["x-amz-date"] for call in upstream.calls})
    assert 2 == len({call.headers["authorization"] for call in upstream.calls})


async def test_a_pooled_connection_that_died_is_replaced(upstream, source):
    """The upstream closes after each answer without saying so, as it does in a freeze."""
    upstream.put("db", CANARY)
    upstream.close_after_answer = True

    for _ in range(3):
        assert CANARY.encode() == (await source.fetch(Ref("db"))).value
    assert 3 <= upstream.connections


async def test_connections_are_used_again(upstream, source):
    """Fetches that follow one another share a connection."""
    upstream.put("db", CANARY)

    for _ in range(3):
        await source.fetch(Ref("db"))
    assert 1 == upstream.connections


async def test_an_upstream_that_hangs_costs_the_budget_and_no_more(upstream):
    """All attempts together."""
    upstream.fault = stub.HANG
    loop = asyncio.get_running_loop()
    async with manager(budget_seconds=0.5) as source:
        began = loop.time()
        with pytest.raises(SecretTimeout, match=r"within 0\.5 s"):
            await source.fetch(Ref("db"))

    assert 0.4 <= loop.time() - began < 3
    assert 1 == upstream.count("db")


async def test_nobody_listens(monkeypatch):
    """A refused connection is told as one, with what to look for."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    async with manager() as source:
        with pytest.raises(SecretUnavailable, match="in a VPC, is there a NAT gateway or an endpoint") as caught:
            await source.fetch(Ref("db"))

    assert "connection-failed" == caught.value.code


async def test_no_credentials_and_then_some(upstream, monkeypatch):
    """Credentials that come later are found: the client is made anew."""
    upstream.put("db", CANARY)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    async with manager() as source:
        with pytest.raises(SecretUnavailable, match="execution role") as caught:
            await source.fetch(Ref("db"))
        assert "no-credentials" == caught.value.code
        assert 0 == upstream.count()

        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")

        assert CANARY.encode() == (await source.fetch(Ref("db"))).value


async def test_no_region(monkeypatch):
    """Outside Lambda it may be missing; the error says which variable."""
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    async with manager() as source:
        with pytest.raises(SecretUnavailable, match="AWS_REGION is not set"):
            await source.fetch(Ref("db"))


async def test_only_a_certificate_that_somebody_vouches_for_is_spoken_to(upstream, monkeypatch, tmp_path):
    """A certificate nobody vouches for ends the attempt before anything is sent; AWS_CA_BUNDLE can vouch for one."""
    upstream.put("db", CANARY)
    certificate = stub.write_certificate(tmp_path)
    with stub.Upstream(secrets=upstream.secrets, certificate=certificate) as secured:
        monkeypatch.setenv("AWS_ENDPOINT_URL", secured.url)
        async with manager() as source:
            with pytest.raises(SecretUnavailable) as caught:
                await source.fetch(Ref("db"))
        assert ("tls-failed", 0) == (caught.value.code, secured.count())

        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        async with manager() as source:
            assert CANARY.encode() == (await source.fetch(Ref("db"))).value


@pytest.mark.parametrize(
    ("variable", "value", "code"),
    [
        ("HTTP_PROXY", "http://127.0.0.1:9", "proxy-failed"),
        ("AWS_CA_BUNDLE", "/nonexistent.pem", "request-failed"),
    ],
)
async def test_a_proxy_or_a_certificate_file_that_cannot_be_used(upstream, monkeypatch, variable, value, code):
    """The word for it leads to the variable."""
    monkeypatch.setenv(variable, value)
    if variable == "AWS_CA_BUNDLE":
        monkeypatch.setenv("AWS_ENDPOINT_URL", upstream.url.replace("http:", "https:"))
    async with manager() as source:
        with pytest.raises(SecretUnavailable) as caught:
            await source.fetch(Ref("db"))

    assert (code, 0) == (caught.value.code, upstream.count())


class Container:
    """
    A container's credentials endpoint.

    Attributes:
        given: The access keys that it has given, each time another.
        expiration: When it says that they expire.
    """

    def __init__(self) -> None:
        self.given: list[str] = []
        self.expiration = "2099-01-01T00:00:00Z"

    async def answer(self, request: web.Request) -> web.Response:
        assert "of-the-container" == request.headers["Authorization"]
        self.given.append(f"AKID{len(self.given)}")
        return web.json_response(
            {"AccessKeyId": self.given[-1], "SecretAccessKey": "x", "Token": "t", "Expiration": self.expiration}
        )


@pytest.fixture(name="container")
async def _container(monkeypatch, aiohttp_server):
    """Give the endpoint that credentials come from."""
    container, app = Container(), web.Application()
    app.router.add_get("/credentials", container.answer)
    server = await aiohttp_server(app)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{server.port}/credentials")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "of-the-container")
    return container


async def test_container_credentials_that_have_expired_are_no_credentials(upstream, container):
    """The endpoint may still hold those of the snapshot: AWS is not blamed for it, and the endpoint is asked again."""
    upstream.put("db", CANARY)
    container.expiration = "2001-01-01T00:00:00Z"
    async with manager() as source:
        with pytest.raises(SecretUnavailable, match="expired") as caught:
            await source.fetch(Ref("db"))
        assert ("expired-credentials", 0) == (caught.value.code, upstream.count())

        container.expiration = "2099-01-01T00:00:00Z"
        assert CANARY.encode() == (await source.fetch(Ref("db"))).value


async def test_container_credentials_that_expired_are_asked_for_again(upstream, container):
    """Under SnapStart they come from an endpoint, and are others after a restore."""
    upstream.put("db", CANARY)
    upstream.faults.append(stub.aws_error("ExpiredTokenException", "The security token included is expired"))

    async with manager() as source:
        assert CANARY.encode() == (await source.fetch(Ref("db"))).value

    assert ["AKID0", "AKID1"] == container.given
    assert ["AKID0", "AKID1"] == [call.headers["authorization"].split("=")[1][:5] for call in upstream.calls]


# Many at once.


def fill(upstream: stub.Upstream, count: int) -> list[Ref]:
    """Put `count` secrets and return what they are asked by."""
    for number in range(count):
        upstream.put(f"s{number}", f"{CANARY} {number}")
    return [Ref(f"s{number}") for number in range(count)]


def values(delivered: dict[Ref, Secret | SecretError]) -> list[bytes]:
    """Return the values that were delivered, in the order of their names."""
    return [
        outcome.value
        for _, outcome in sorted(delivered.items(), key=lambda item: int(item[0].secret_id[1:]))
        if isinstance(outcome, Secret)
    ]


def expected(count: int) -> list[bytes]:
    """Return the values of `fill`."""
    return [f"{CANARY} {number}".encode() for number in range(count)]


@pytest.mark.parametrize(
    ("count", "batch_above", "batches", "singles"),
    [(0, 10, 0, 0), (10, 10, 0, 10), (11, 10, 1, 0), (45, 10, 3, 0), (45, None, 0, 45), (2, 0, 1, 0)],
)
async def test_above_the_limit_secrets_are_asked_for_twenty_at_a_time(upstream, count, batch_above, batches, singles):
    """auto, never and always."""
    refs = fill(upstream, count)
    async with manager(batch_above=batch_above) as source:
        delivered = await fetch_all(source, refs)

    assert expected(count) == values(delivered)
    assert (batches, singles) == (upstream.count(operation="BatchGetSecretValue"), upstream.count())
    assert all(len(call.ids) <= 20 for call in upstream.calls)


async def test_versions_are_never_asked_for_in_a_batch(upstream):
    """The batch gives current versions only."""
    refs = fill(upstream, 12)
    upstream.put("other", CANARY)
    previous = Ref("other", version_stage="AWSPREVIOUS")
    async with manager() as source:
        delivered = await fetch_all(source, [*refs, previous])

    assert 13 == len(delivered)
    assert (1, 1) == (upstream.count(operation="BatchGetSecretValue"), upstream.count("other"))


@pytest.mark.parametrize(
    "fault", [stub.ACCESS_DENIED, stub.THROTTLED, stub.INTERNAL, stub.GARBAGE, stub.EMPTY, stub.HANG]
)
async def test_what_a_batch_refuses_is_asked_for_one_by_one(upstream, caplog, fault):
    """A missing permission, throttling, nonsense: the batch is a short cut, not a condition."""
    refs = fill(upstream, 12)
    upstream.fault = lambda call: fault if call.operation == "BatchGetSecretValue" else None
    # Half of it is the batch's, with the making of the client.
    async with manager(budget_seconds=4.0 if fault is stub.HANG else 30.0) as source:
        delivered = await fetch_all(source, refs)

    assert expected(12) == values(delivered)
    assert (1, 12) == (upstream.count(operation="BatchGetSecretValue"), upstream.count())
    refused = [record.args for record in caplog.records if record.msg == "batch.refused"]
    assert [12] == [fields["secrets"] for fields in refused]


@pytest.mark.parametrize("body", [b"null", b'{"SecretValues": [null]}', b'{"SecretValues": {"a": null}}'])
async def test_nothing_where_a_batch_should_give_secrets_is_no_end(upstream, body):
    """It is given as it came, and the secrets are asked for one by one."""
    refs = fill(upstream, 12)
    upstream.fault = lambda call: stub.Answer(body=body) if call.operation == "BatchGetSecretValue" else None
    async with manager() as source:
        delivered = await fetch_all(source, refs)

    assert expected(12) == values(delivered)


async def test_a_batch_is_signed_anew_when_its_signature_was_too_old(upstream):
    """As any other call is."""
    refs = fill(upstream, 12)
    upstream.faults.append(stub.EXPIRED_SIGNATURE)
    async with manager() as source:
        delivered = await fetch_all(source, refs)

    assert expected(12) == values(delivered)
    assert (2, 0) == (upstream.count(operation="BatchGetSecretValue"), upstream.count())


async def test_one_secret_that_a_batch_does_not_give_concerns_only_itself(upstream):
    """Per-secret errors and malformed values are asked for by themselves, and told by themselves."""
    refs = [*fill(upstream, 12), Ref("s99")]
    malformed = {"ARN": "a", "Name": "s0", "VersionId": "v"}
    good = [upstream.find(f"s{number}") for number in range(1, 12)]
    answer = stub.Answer(body=json.dumps({"SecretValues": [malformed, *good], "Errors": []}).encode())
    upstream.fault = lambda call: answer if call.operation == "BatchGetSecretValue" else None
    async with manager() as source:
        delivered = await fetch_all(source, refs)

    assert expected(12) == values(delivered)
    assert isinstance(delivered[Ref("s99")], SecretNotFound)
    assert ["s0", "s99"] == sorted(call.ids[0] for call in upstream.calls if call.operation == "GetSecretValue")


async def test_an_upstream_that_hangs_costs_a_prefetch_one_budget(upstream):
    """The batch has half of it, the single calls the rest: nobody waits for two."""
    refs = fill(upstream, 12)
    upstream.fault = stub.HANG
    loop = asyncio.get_running_loop()
    async with manager(budget_seconds=1.0) as source:
        began = loop.time()
        delivered = await fetch_all(source, refs)

    assert {SecretTimeout} == {type(outcome) for outcome in delivered.values()}
    assert 1.5 > loop.time() - began


async def test_of_two_secrets_with_one_name_a_batch_never_gives_one_for_the_other(upstream):
    """Another account's secret comes by its ARN; the name is asked for by itself, if the batch leaves it open."""
    refs = fill(upstream, 11)
    own = upstream.find("s0")
    assert own is not None
    foreign = {**own, "ARN": own["ARN"].replace(stub.ACCOUNT, "999999999999"), "SecretString": f"{CANARY} foreign"}
    others = [upstream.find(f"s{number}") for number in range(1, 11)]
    answer = stub.Answer(body=json.dumps({"SecretValues": [*others, foreign], "Errors": []}).encode())
    upstream.fault = lambda call: answer if call.operation == "BatchGetSecretValue" else None
    async with manager() as source:
        delivered = await fetch_all(source, [*refs, Ref(foreign["ARN"])])

    theirs = delivered.pop(Ref(foreign["ARN"]))
    assert isinstance(theirs, Secret)
    assert f"{CANARY} foreign".encode() == theirs.value
    assert expected(11) == values(delivered)
    assert 1 == upstream.count("s0")


async def test_refused_batches_are_told_in_one_line(upstream, caplog):
    """However many they are."""
    refs = fill(upstream, 45)
    upstream.fault = lambda call: stub.ACCESS_DENIED if call.operation == "BatchGetSecretValue" else None
    async with manager(budget_seconds=30) as source:
        assert expected(45) == values(await fetch_all(source, refs))

    assert [{"secrets": 45, "code": "AccessDeniedException"}] == [
        record.args for record in caplog.records if record.msg == "batch.refused"
    ]


async def test_waiting_for_a_connection_of_ours_is_not_part_of_the_budget(upstream):
    """Each call is well within it; all of them together are not."""
    refs = fill(upstream, 10 * MAX_CONNECTIONS)
    upstream.delay = 0.3
    async with manager(budget_seconds=2.0, batch_above=None) as source:
        assert expected(10 * MAX_CONNECTIONS) == values(await fetch_all(source, refs))


async def test_no_more_connections_than_planned(upstream):
    """They are kept for the calls that wait."""
    refs = fill(upstream, 3 * MAX_CONNECTIONS)
    upstream.delay = 0.02
    async with manager(batch_above=None) as source:
        await fetch_all(source, refs)

    assert MAX_CONNECTIONS == upstream.connections


async def test_nobody_waits_for_a_connection_longer_than_a_budget_in_which_aws_says_nothing(upstream):
    """A hundred callers of an upstream that hangs wait for two budgets, not for five."""
    refs = fill(upstream, 5 * MAX_CONNECTIONS)
    upstream.fault = stub.HANG
    loop = asyncio.get_running_loop()
    async with manager(budget_seconds=1.0, batch_above=None) as source:
        began = loop.time()
        delivered = await fetch_all(source, refs)

    assert {SecretTimeout} == {type(outcome) for outcome in delivered.values()}
    assert {1.0} == {outcome.budget_seconds for outcome in delivered.values() if isinstance(outcome, SecretTimeout)}
    assert loop.time() - began < 4


async def test_a_pooled_connection_is_not_trusted_for_long(upstream):
    """A freeze kills it and nobody tells: after a few idle seconds a new one is made."""
    assert KEEPALIVE_SECONDS < 5
    upstream.put("db", CANARY)
    async with manager(keepalive_seconds=0.05) as source:
        for _ in range(2):
            await source.fetch(Ref("db"))
            await asyncio.sleep(0.5)

    assert 2 == upstream.connections


async def test_a_pooled_connection_is_not_used_after_a_freeze_that_the_monotonic_clock_does_not_see(upstream, clock):
    """It is an hour old, whatever a pool that goes by that clock believes; nobody tells that it is dead."""
    upstream.put("db", CANARY)
    async with manager(clock=clock) as source:
        for _ in range(2):
            await source.fetch(Ref("db"))
        assert [1, 1] == [call.connection for call in upstream.calls]
        clock.freeze(3600)
        upstream.fault = lambda call: stub.HANG if call.connection == 1 else None
        async with asyncio.timeout(PATIENCE_SECONDS):
            await source.fetch(Ref("db"))

    assert [1, 1, 2] == [call.connection for call in upstream.calls]


async def test_a_client_that_is_replaced_does_not_cut_off_its_other_calls(upstream, monkeypatch, tmp_path):
    """One call learns that the credentials have expired; another that is under way still gets its answer."""
    credentials = tmp_path / "credentials"
    credentials.write_text("[default]\naws_access_key_id = AKID\naws_secret_access_key = x\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    slow, _ = upstream.put("slow", CANARY), upstream.put("db", CANARY)
    found = json.dumps(upstream.find("slow")).encode()
    expired = [stub.aws_error("ExpiredTokenException", "expired")]

    def fault(call: stub.Call) -> stub.Answer | None:
        if call.ids == ["slow"]:
            return stub.Answer(body=found, delay=0.5)
        return expired.pop() if expired else None

    upstream.fault = fault
    async with manager() as source:
        both = await asyncio.gather(source.fetch(Ref("slow")), source.fetch(Ref("db")))

    assert [slow, CANARY.encode()] == [both[0].version_id, both[1].value]
    assert (1, 2) == (upstream.count("slow"), upstream.count("db"))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AWS_PROFILE", "nobody"),
        ("AWS_ENDPOINT_URL", "not a url"),
        ("AWS_ENDPOINT_URL", "http://a..b"),
        ("AWS_REGION", "eu west 1"),
    ],
)
async def test_a_client_that_cannot_be_made_names_the_settings_that_make_it(upstream, monkeypatch, variable, value):
    """It is no fault of AWS's answer: there was none."""
    monkeypatch.setenv(variable, value)
    if variable == "AWS_REGION":
        monkeypatch.delenv("AWS_ENDPOINT_URL")
    async with manager() as source:
        with pytest.raises(SecretUnavailable, match=variable) as caught:
            await source.fetch(Ref("db"))

    assert "client-misconfigured" == caught.value.code


@pytest.mark.parametrize("code", ["AccessDeniedException", "InvalidSignatureException", "{key}", "{session}"])
async def test_what_is_answered_never_shows_our_credentials(upstream, code):
    """AWS explains a wrong signature with all that was signed; something in its place may echo anything."""
    hidden = {"key": f"{CANARY}-key", "session": f"{CANARY}-session"}
    upstream.fault = stub.aws_error(code.format(**hidden), "got {session} and {key}".format(**hidden))
    async with manager() as source:
        with pytest.raises(SecretError) as caught:
            await source.fetch(Ref("db"))

    assert CANARY not in str(caught.value)
    assert CANARY not in getattr(caught.value, "code", "")


async def test_leaving_ends_what_is_under_way(upstream):
    """A client that is still being made is not left behind."""
    upstream.fault = stub.HANG
    async with manager() as source:
        task = asyncio.create_task(source.fetch(Ref("db")))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_fault_of_ours_with_one_secret_gives_up_no_other():
    """Of what is fetched together each has its own outcome, and the type of the error is all that shows."""

    class Calls:
        """Makes calls, and is broken for one secret."""

        async def call(self, operation, name, arguments):
            if name == "bad":
                raise ZeroDivisionError(CANARY)
            return {"ARN": stub.arn_of(name), "Name": name, "VersionId": "v", "SecretString": "x"}

        async def prepare(self) -> None:
            """Have nothing to import."""

        async def aclose(self) -> None:
            """Have nothing to close."""

    source = SecretsManager(budget_seconds=1, batch_above=None, calls=Calls(), clock=SystemClock(), random=lambda: 0.5)
    found = await fetch_all(source, [Ref("bad"), Ref("good")])

    assert isinstance(found[Ref("good")], Secret)
    assert "secret 'bad' is unavailable: internal error (ZeroDivisionError)" == str(found[Ref("bad")])
