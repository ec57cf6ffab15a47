"""AWS as one source: each service, region and role has one client, and each role is assumed once."""

import asyncio
import datetime as dt
import json
import os
import time
from collections import deque

import pytest

from secrets_cache.aws.source import AwsSource
from secrets_cache.core.secret import AwsContext, Ref, Secret
from secrets_cache.errors import SecretError, SecretNotFound, SecretRefused, SecretTimeout, SecretUnavailable
from secrets_cache.system.clock import SystemClock
from tests.support import upstream as stub
from tests.support.container import GOOD, HANG, Answer, Container
from tests.support.fakes import CANARY, FakeClock, fetch_all
from tests.unit.aws.test_sts import DENIED, ROLE

OTHER_REGION = "arn:aws:secretsmanager:us-east-1:123456789012:secret:db-AbCdEf"


def source(upstream, budget_seconds=5.0, budget_setting="fetch_timeout", batch_threshold=None, clock=None, **environ):
    """Return AWS, as the stub plays it. On the machine's clock, a busy machine looks frozen, and calls are repeated."""
    environ = {
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": f"{CANARY}-key",
        "AWS_ENDPOINT_URL": upstream.url,
        "HOME": "/nonexistent",
        "SECRETS_CACHE_LANES": os.environ.get("SECRETS_CACHE_LANES", "1"),
        **environ,
    }
    if clock is None:
        clock = FakeClock()
        # The stub says when the credentials of a role expire.
        clock.wall = time.time()
    return AwsSource(
        environ,
        budget_seconds=budget_seconds,
        budget_setting=budget_setting,
        batch_threshold=batch_threshold,
        clock=clock,
    )


async def fail(aws: AwsSource, ref: Ref, *, together: bool) -> Secret | SecretError:
    """Return the error of a fetch, by itself or together with others."""
    if together:
        return (await fetch_all(aws, [ref]))[ref]
    with pytest.raises(SecretError) as caught:
        await aws.fetch(ref)
    return caught.value


async def test_results_come_as_soon_as_they_are_known(upstream):
    """A region, a role or a service that is slow holds up no other one; leaving ends the calls under way."""
    upstream.put("db", CANARY)
    upstream.parameters["/p"] = CANARY
    upstream.fault = lambda call: stub.HANG if call.region == "us-east-1" else None
    refs = [Ref("db"), Ref("/p", is_parameter=True), Ref(OTHER_REGION)]
    before = asyncio.all_tasks()
    async with source(upstream) as aws:
        results = aws.fetch_many(refs)
        assert {"db", "/p"} == {(await anext(results))[0].secret_id for _ in range(2)}
        await results.aclose()

        assert before == asyncio.all_tasks()


@pytest.mark.usefixtures("fast_paths")
async def test_a_region_is_the_one_given_else_the_arns_else_ours(upstream):
    """The calls are signed for it; both clients take it."""
    upstream.put("db", CANARY)
    upstream.fault = lambda call: None if call.ids != [OTHER_REGION] else stub.ACCESS_DENIED
    async with source(upstream) as aws:
        for ref in (Ref("db"), Ref("db", context=AwsContext("us-west-2"))):
            assert CANARY.encode() == (await aws.fetch(ref)).value
        with pytest.raises(SecretRefused):
            await aws.fetch(Ref(OTHER_REGION))

    assert ["eu-west-1", "us-west-2", "us-east-1"] == [call.region for call in upstream.calls]


async def test_secrets_and_parameters_of_many_places_come_at_once(upstream):
    """Those of one place together: eleven secrets in one call, two parameters in another, a role's by itself."""
    names = [f"s{number}" for number in range(11)]
    for name in (*names, "theirs"):
        upstream.put(name, f"{CANARY} {name}")
    upstream.parameters.update({"/a": f"{CANARY} /a", "/b": f"{CANARY} /b"})
    refs = [
        *map(Ref, names),
        Ref("/a", is_parameter=True),
        Ref("/b", is_parameter=True),
        Ref("theirs", context=AwsContext(role_arn=ROLE)),
    ]
    async with source(upstream, batch_threshold=10) as aws:
        found = await fetch_all(aws, refs)

    assert {ref: f"{CANARY} {ref.secret_id}".encode() for ref in refs} == {
        ref: outcome.value for ref, outcome in found.items() if isinstance(outcome, Secret)
    }
    operations = sorted(call.operation for call in upstream.calls)
    assert ["AssumeRole", "BatchGetSecretValue", "GetParameters", "GetSecretValue"] == operations


async def test_one_role_is_assumed_once_for_all_that_it_reads(upstream):
    """Secrets and parameters alike; with another external id it is another role."""
    for name in ("a", "b", "c"):
        upstream.put(name, CANARY)
    upstream.parameters["/p"] = CANARY
    upstream.delay = 0.05
    context = AwsContext(role_arn=ROLE)
    refs = [*(Ref(name, context=context) for name in ("a", "b")), Ref("/p", context=context, is_parameter=True)]
    async with source(upstream, AWS_LAMBDA_FUNCTION_NAME="f") as aws:
        await asyncio.gather(*map(aws.fetch, refs))
        await aws.fetch(Ref("c", context=context._replace(external_id="123")))

    assert [None, "123"] == [
        call.arguments.get("ExternalId") for call in upstream.calls if call.operation == "AssumeRole"
    ]
    keys = {call.access_key for call in upstream.calls if call.operation != "AssumeRole"}
    assert {"ASIAROLE1", "ASIAROLE2"} == keys


async def test_a_roles_credentials_are_renewed_before_they_end(upstream):
    """By the client that is there: nobody sees a call with credentials that have expired."""
    upstream.put("a", CANARY)
    upstream.role_seconds = 60
    context = AwsContext(role_arn=ROLE)
    async with source(upstream) as aws:
        for _ in range(3):
            await aws.fetch(Ref("a", context=context))

    assert ["ASIAROLE1", "ASIAROLE2", "ASIAROLE3"] == [
        call.access_key for call in upstream.calls if call.operation != "AssumeRole"
    ]


async def test_a_roles_credentials_that_aws_calls_expired_are_asked_for_again(upstream):
    """As after a restore, or when somebody has revoked them; the caller sees nothing of it."""
    upstream.put("a", CANARY)
    upstream.fault = lambda call: stub.aws_error("ExpiredTokenException") if call.access_key == "ASIAROLE1" else None
    async with source(upstream) as aws:
        found = await aws.fetch(Ref("a", context=AwsContext(role_arn=ROLE)))

    assert CANARY.encode() == found.value
    assert 2 == upstream.count(operation="AssumeRole")


@pytest.mark.parametrize("together", [False, True])
async def test_a_role_that_is_refused_is_what_the_error_names(upstream, together):
    """And not the secret, which nobody was asked for."""
    upstream.fault = stub.Answer(status=403, body=DENIED)
    ref = Ref("a", context=AwsContext(role_arn=ROLE))
    async with source(upstream) as aws:
        error = await fail(aws, ref, together=together)

    assert isinstance(error, SecretRefused)
    assert f"AWS refused role '{ROLE}' with AccessDenied" in str(error)
    assert 1 == len(upstream.calls)


async def test_a_version_that_there_is_none_of_is_named(upstream):
    """By what was asked for: AWS may only say that there is no such secret."""
    async with source(upstream) as aws:
        error = await fail(aws, Ref("a", version_stage="AWSPREVIOUS"), together=False)

    assert isinstance(error, SecretNotFound)
    assert str(error).startswith("version 'AWSPREVIOUS' of secret 'a' was not found in AWS Secrets Manager")


@pytest.mark.usefixtures("fast_paths")
@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(
    ("context", "place"),
    [
        (AwsContext(), "eu-west-1 and this account"),
        (AwsContext("us-west-2"), "us-west-2 and this account"),
        (AwsContext(role_arn=ROLE), f"eu-west-1 and the account of {ROLE}"),
    ],
)
async def test_where_there_is_none_is_told(upstream, context, place, together):
    """The region and the account that were asked, and not always the function's own."""
    ref = Ref("a", context=context)
    async with source(upstream) as aws:
        error = await fail(aws, ref, together=together)

    assert isinstance(error, SecretNotFound)
    said = "Secrets Manager can't find the specified secret"
    assert f"secret 'a' was not found in AWS Secrets Manager in {place}: {said}" == str(error)


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(("silent", "what"), [("AssumeRole", "role"), ("GetParameter", "parameter")])
async def test_a_time_out_names_what_did_not_answer(upstream, silent, what, together):
    """In a VPC, STS may lack an endpoint while the others have theirs."""
    upstream.parameters["/p"] = CANARY
    upstream.fault = lambda call: stub.HANG if call.operation == silent else None
    ref = Ref("/p", context=AwsContext(role_arn=ROLE), is_parameter=True)
    async with source(upstream, budget_seconds=1.0, clock=SystemClock()) as aws:
        error = await fail(aws, ref, together=together)

    name = ROLE if what == "role" else "/p"
    assert isinstance(error, SecretTimeout)
    advice = "check the network, the proxy and AWS_ENDPOINT_URL"
    assert f"{what} {name!r} is unavailable: AWS did not answer within 1 s (fetch_timeout); {advice}" == str(error)


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(
    ("context", "what"), [(AwsContext(), "secret 'a'"), (AwsContext(role_arn=ROLE), f"role '{ROLE}'")]
)
async def test_a_time_out_names_the_endpoint_of_the_containers_credentials(upstream, context, what, together):
    """AWS was not asked: neither for the secret nor for the role."""
    with Container() as container:
        container.answers = deque([HANG])
        environ = {"AWS_ACCESS_KEY_ID": "", "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{container.url}/get"}
        async with source(upstream, budget_seconds=1.0, clock=SystemClock(), **environ) as aws:
            error = await fail(aws, Ref("a", context=context), together=together)
        container.released.set()

    said = "the endpoint of the container's credentials did not answer within 1 s (fetch_timeout)"
    assert isinstance(error, SecretTimeout)
    assert ("no-credentials", f"{what} is unavailable: {said}") == (error.code, str(error))
    assert [] == upstream.calls


async def test_a_time_out_of_aws_is_not_the_containers(upstream):
    """A role that has credentials still does not need the endpoint, which hung for another secret."""
    soon = {**GOOD, "Expiration": dt.datetime.fromtimestamp(time.time() + 60, dt.UTC).isoformat()}
    upstream.put("a", CANARY)
    by_role = Ref("a", context=AwsContext(role_arn=ROLE))
    with Container() as container:
        container.answers = deque([Answer(body=json.dumps(soon).encode()), HANG])
        environ = {"AWS_ACCESS_KEY_ID": "", "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{container.url}/get"}
        async with source(upstream, budget_seconds=1.0, clock=SystemClock(), **environ) as aws:
            await aws.fetch(by_role)
            errors = [await fail(aws, Ref("a"), together=False)]
            upstream.fault = stub.HANG
            errors.append(await fail(aws, by_role, together=False))
        container.released.set()

    assert ["no-credentials", "timeout"] == [error.code for error in errors if isinstance(error, SecretTimeout)]


@pytest.mark.usefixtures("fast_paths")
async def test_a_containers_endpoint_that_refuses_is_named_within_the_budget(upstream, monkeypatch):
    """It has made its attempts: more of them would only use up the budget, and end in a time-out of AWS."""
    with Container() as container:
        container.answers = deque([Answer(500)])
        environ = {"AWS_ACCESS_KEY_ID": "", "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{container.url}/get"}
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        async with source(upstream, **environ) as aws:
            error = await fail(aws, Ref("a"), together=False)

    assert isinstance(error, SecretUnavailable)
    assert ("no-credentials", 3) == (error.code, len(container.asked))


@pytest.mark.parametrize("together", [False, True])
async def test_a_time_out_names_the_setting_that_its_limit_comes_from(upstream, together):
    """Callers of AWS's protocol may wait longer than `fetch_timeout`."""
    upstream.fault = stub.HANG
    setting, clock = "SECRETS_MANAGER_TIMEOUT_MILLIS", SystemClock()
    async with source(upstream, budget_seconds=0.5, budget_setting=setting, clock=clock) as aws:
        error = await fail(aws, Ref("a"), together=together)

    assert f"AWS did not answer within 0.5 s ({setting}); check the network" in str(error)


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    ("variable", "ref"),
    [
        ("AWS_ENDPOINT_URL", Ref("db")),
        ("AWS_ENDPOINT_URL_SSM", Ref("/db", is_parameter=True)),
        ("AWS_ENDPOINT_URL_STS", Ref("db", context=AwsContext(role_arn=ROLE))),
    ],
)
async def test_an_endpoint_that_nobody_answers_at_is_named(upstream, together, variable, ref):
    """With the variable that has it, on its own, and of several."""
    async with source(upstream, **{variable: "http://127.0.0.1:9"}) as aws:
        text = str(await fail(aws, ref, together=together))

    assert text.endswith(f"could not connect to http://127.0.0.1:9; check {variable} and the network")


@pytest.mark.usefixtures("fast_paths")
async def test_what_never_gave_an_answer_is_closed_again_unless_it_is_listed(upstream):
    """A mistyped role or region, as callers of AWS's protocol may send it, costs no client for ever."""

    def refuse(call: stub.Call) -> stub.Answer | None:
        if call.operation == "AssumeRole" and "typo" in call.arguments["RoleArn"]:
            return stub.Answer(status=403, body=DENIED)
        return None

    upstream.put("a", CANARY)
    upstream.fault = refuse
    role, listed = AwsContext(role_arn=ROLE), AwsContext(role_arn=f"{ROLE}-typo-listed")
    async with source(upstream) as aws:
        await fail(aws, Ref("a", context=listed), together=True)
        for number in range(3):
            typo = Ref("a", context=AwsContext(role_arn=f"{ROLE}-typo-{number}"))
            await asyncio.gather(*(fail(aws, typo, together=False) for _ in range(3)))
        await fail(aws, Ref("a", context=listed), together=False)
        await fail(aws, Ref("nobody", context=role), together=False)
        assert CANARY.encode() == (await aws.fetch(Ref("a", context=role))).value
        assert {listed, role} == {key.context for key in aws._stores} == set(aws._roles)  # noqa: SLF001 - it shows nowhere else
        assert not aws._under_way  # noqa: SLF001
