"""Parameter Store: against moto's server for what it can do, and against a stub for what it cannot."""

import json

import boto3
import pytest

from secrets_cache.aws import Engine
from secrets_cache.aws.parameterstore import MAX_PAGES, TOGETHER, ParameterStore
from secrets_cache.core.secret import Ref, Secret
from secrets_cache.errors import SecretNotFound, SecretRefused, SecretTimeout, SecretUnavailable
from secrets_cache.system.clock import SystemClock, random_fraction
from tests.support import upstream as stub
from tests.support.fakes import CANARY, fetch_all
from tools.emulator import moto_server

WRITTEN = f"{CANARY} \u00e9\n"


def store(budget_seconds=5.0):
    """Return the parameters of eu-west-1."""
    clock = SystemClock()
    engine = Engine(timeout_seconds=budget_seconds + 1, region="eu-west-1", service="ssm", clock=clock)
    return ParameterStore(budget_seconds=budget_seconds, calls=engine, clock=clock, random=random_fraction)


def ref(name, **changes):
    """Return what a parameter is asked by."""
    return Ref(name, is_parameter=True)._replace(**changes)


@pytest.fixture(name="client", scope="module")
def _client():
    with moto_server() as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", url)
        yield boto3.client("ssm", region_name="eu-west-1")


async def test_a_parameter_arrives_decrypted(client):
    """By name or by ARN; without decryption, as it lies there."""
    client.put_parameter(Name="/prod/app/key", Value=WRITTEN, Type="SecureString")
    arn = client.get_parameter(Name="/prod/app/key")["Parameter"]["ARN"]
    async with store() as parameters:
        by_name, by_arn = [await parameters.fetch(ref(name)) for name in ("/prod/app/key", arn)]
        cipher = await parameters.fetch(ref("/prod/app/key", is_decrypted=False))
        with pytest.raises(SecretNotFound) as caught:
            await parameters.fetch(ref("/prod/app/nope"))

    assert WRITTEN.encode() == by_name.value == by_arn.value
    assert (arn, "/prod/app/key", "1") == (by_name.arn, by_name.name, by_name.version_id)
    assert by_name.parameter is not None
    assert ("SecureString", 1, "text") == by_name.parameter[:3]
    assert b"kms:" in cipher.value
    assert "parameter '/prod/app/nope' was not found in Parameter Store in this region and this account" == str(
        caught.value
    )


async def test_versions_and_labels(client):
    """By the number of a version, or by a label; without either the newest."""
    for number in (1, 2, 3):
        client.put_parameter(Name="/v/x", Value=f"{CANARY} {number}", Type="String", Overwrite=True)
    client.label_parameter_version(Name="/v/x", ParameterVersion=2, Labels=["prod"])
    refs = [ref("/v/x"), ref("/v/x", version_id="1"), ref("/v/x", version_stage="prod")]
    async with store() as parameters:
        single = [await parameters.fetch(one) for one in refs]
        together = await fetch_all(parameters, refs)

    assert [f"{CANARY} {number}".encode() for number in (3, 1, 2)] == [one.value for one in single]
    assert [one.version_id for one in single] == [together[one].version_id for one in refs]  # type: ignore[union-attr]


async def test_a_path_is_everything_below_it(client):
    """Recursively, page after page, as one JSON object by relative names, and each by its full name."""
    names = [f"/tree/{part}" for part in ("a", "b/c", "b/d", *(f"n{number:02d}" for number in range(15)))]
    for name in names:
        client.put_parameter(Name=name, Value=f"{CANARY} {name}", Type="SecureString")
    client.put_parameter(Name="/treetop", Value="not below", Type="String")
    async with store() as parameters:
        path = await parameters.fetch(ref("/tree/"))
        client.put_parameter(Name="/tree/a", Value=CANARY, Type="SecureString", Overwrite=True)
        again = await parameters.fetch(ref("/tree/"))
        nothing = await parameters.fetch(ref("/nothing/here/"))

    assert {name.removeprefix("/tree/"): f"{CANARY} {name}" for name in names} == json.loads(path.value)
    assert set(names) == set(path.members or ())
    assert path.version_id != again.version_id
    assert CANARY not in repr(path)
    assert {} == json.loads(nothing.value)


async def test_references_to_secrets_manager(client):
    """`/aws/reference/secretsmanager/NAME` is a parameter by name, and a secret by value."""
    boto3.client("secretsmanager", region_name="eu-west-1", endpoint_url=client.meta.endpoint_url).create_secret(
        Name="prod/db", SecretString=CANARY
    )
    async with store() as parameters:
        found = await parameters.fetch(ref("/aws/reference/secretsmanager/prod/db"))

    assert CANARY.encode() == found.value


async def test_ten_are_asked_for_in_one_call(upstream):
    """Twenty-five are three calls; those there are not are told one by one, without another call."""
    upstream.parameters.update((f"/p/{number}", f"{CANARY} {number}") for number in range(24))
    refs = [ref(f"/p/{number}") for number in range(25)]
    async with store() as parameters:
        found = await fetch_all(parameters, refs)

    assert [f"{CANARY} {number}".encode() for number in range(24)] == [
        outcome.value for one in refs[:24] if isinstance(outcome := found[one], Secret)
    ]
    assert "parameter '/p/24' was not found" in str(found[refs[24]])
    assert [10, 10, 5] == sorted((len(call.ids) for call in upstream.calls), reverse=True)
    assert 3 == upstream.count(operation="GetParameters")
    assert TOGETHER == 10


async def test_what_ten_together_do_not_give_is_asked_for_singly(upstream, caplog):
    """A role may lack GetParameters; one that it may not read fails all ten. One line says so, and once is enough."""
    upstream.parameters.update({"/a": CANARY, "/b": CANARY})

    def denied(call: stub.Call) -> stub.Answer | None:
        is_refused = call.operation == "GetParameters" or call.ids == ["/b"]
        return stub.ACCESS_DENIED if is_refused else None

    upstream.fault = denied
    async with store() as parameters:
        found = await fetch_all(parameters, [ref("/a"), ref("/b")])

        calls = len(upstream.calls)
        await fetch_all(parameters, [ref("/a"), ref("/b")])

    assert 2 == len(upstream.calls) - calls
    assert isinstance(found[ref("/a")], Secret)
    assert "AWS refused parameter '/b' with AccessDeniedException" in str(found[ref("/b")])
    assert [("batch.refused", {"parameters": 2, "code": "AccessDeniedException"})] == [
        (record.msg, record.args) for record in caplog.records if record.msg == "batch.refused"
    ]


@pytest.mark.parametrize(
    ("fault", "code"),
    [(stub.THROTTLED, "ThrottlingException"), (stub.INTERNAL, "InternalServiceError"), (stub.HANG, "timeout")],
)
async def test_what_may_pass_is_the_failure_of_all_ten(upstream, caplog, fault, code):
    """Ten calls more are what AWS needs least then, and would take a second budget; each is told in its own name."""
    upstream.fault = fault
    refs = [ref(f"/p/{number}") for number in range(10)]
    async with store(0.5 if fault is stub.HANG else 10.0) as parameters:
        found = await fetch_all(parameters, refs)
        upstream.fault = None
        upstream.parameters.update((one.secret_id, CANARY) for one in refs)
        again = await fetch_all(parameters, refs)

    assert [code] * 10 == [error.code for error in found.values() if isinstance(error, SecretUnavailable)]
    assert all(f"parameter '{one.secret_id}' is unavailable" in str(found[one]) for one in refs)
    assert {"GetParameters"} == {call.operation for call in upstream.calls}
    assert 10 == sum(isinstance(outcome, Secret) for outcome in again.values())
    assert "batch.refused" not in [record.msg for record in caplog.records]


async def test_one_that_is_malformed_concerns_only_itself(upstream):
    """It is asked for once more, by itself."""
    upstream.parameters.update({"/a": CANARY, "/b": CANARY})
    given = {"Parameters": [{"Name": "/a", "Value": 1}, {"Name": "/b", "Value": CANARY, "Version": 1}]}
    upstream.faults.append(stub.Answer(body=json.dumps(given).encode()))
    async with store() as parameters:
        found = await fetch_all(parameters, [ref("/a"), ref("/b")])

    assert [CANARY.encode()] * 2 == [outcome.value for outcome in found.values() if isinstance(outcome, Secret)]
    assert ["GetParameters", "GetParameter"] == [call.operation for call in upstream.calls]


async def test_a_path_without_end_is_given_up(upstream):
    """What is kept of it is bounded, and the error says by what."""
    page = json.dumps({"Parameters": [{"Name": "/p/x", "Value": "v", "Version": 1}], "NextToken": "more"})
    upstream.fault = stub.Answer(body=page.encode())
    async with store() as parameters:
        with pytest.raises(SecretUnavailable) as caught:
            await parameters.fetch(ref("/p/"))

    assert "parameter '/p/' is unavailable: there are more than 2000 parameters below it" == str(caught.value)
    assert MAX_PAGES == len(upstream.calls)


async def test_a_page_that_fails_is_asked_for_again_and_not_the_whole_path(upstream):
    """The other pages are kept."""
    upstream.parameters.update((f"/p/{number:02d}", CANARY) for number in range(15))
    page = iter([None, stub.INTERNAL])
    upstream.fault = lambda _: next(page, None)
    async with store() as parameters:
        path = await parameters.fetch(ref("/p/"))

    assert 15 == len(path.members or ())
    assert 3 == upstream.count("/p", "GetParametersByPath")


async def test_a_path_by_its_arn(upstream):
    """The call takes names only; the region is the ARN's, which somebody else looks at."""
    upstream.parameters["/p/x"] = CANARY
    async with store() as parameters:
        path = await parameters.fetch(ref("arn:aws:ssm:eu-west-1:123456789012:parameter/p/"))

    assert {"x": CANARY} == json.loads(path.value)
    assert "/p/" == path.name


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        (stub.ACCESS_DENIED, SecretRefused, "AWS refused parameter 'p' with AccessDeniedException"),
        (stub.aws_error("ParameterVersionNotFound"), SecretNotFound, "parameter 'p' was not found"),
        (stub.THROTTLED, SecretUnavailable, "parameter 'p' is unavailable: AWS is throttling"),
        (stub.HANG, SecretTimeout, "parameter 'p' is unavailable: AWS did not answer within 0.5 s"),
        (stub.EMPTY, SecretUnavailable, "parameter 'p' is unavailable"),
        (stub.Answer(body=b'{"Parameter": []}'), SecretUnavailable, "parameter 'p' is unavailable"),
        (stub.Answer(body=b'{"Parameter": {"Value": 1}}'), SecretUnavailable, "parameter 'p' is unavailable"),
        (stub.Answer(body=b'{"Parameter": {"Value": "\\ud800"}}'), SecretUnavailable, "parameter 'p' is unavailable"),
    ],
)
async def test_a_failure_is_a_parameters(upstream, fault, error, said):
    """The same errors as a secret's, in words of their own."""
    upstream.fault = fault
    async with store(0.5 if fault is stub.HANG else 10.0) as parameters:
        with pytest.raises(error) as caught:
            await parameters.fetch(ref("p"))

    assert said in str(caught.value)
