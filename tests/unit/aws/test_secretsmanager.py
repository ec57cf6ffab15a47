"""Secrets Manager: against moto's server for what it can do, and against a fake client for what it cannot."""

import asyncio

import pytest

from secrets_cache.aws.secretsmanager import BATCH_SIZE, match, to_secret
from secrets_cache.core.retry import RetryableError
from secrets_cache.core.secret import AwsContext, Ref, Secret
from secrets_cache.errors import SecretNotFound, SecretRefused, SecretTimeout, SecretUnavailable, VersionNotFound
from tests.support.fakes import CANARY, fetch_all, secret, with_fields
from tests.support.upstream import ACCOUNT, arn_of
from tests.unit.aws import fakes
from tests.unit.aws.conftest import secrets_manager
from tests.unit.aws.fakes import FakeClient, manager

# Against moto, by both clients.


@pytest.mark.usefixtures("fast_paths")
async def test_text_arrives_as_it_was_stored(aws):
    """Text is the bytes of its UTF-8."""
    values = ["plain", '{"a":"é"}', "line\nbreak\r\n", "🔑" * 1000, " blanks "]
    async with secrets_manager() as source:
        for number, value in enumerate(values):
            name = f"text/{number}"
            created = aws.create_secret(Name=name, SecretString=value)
            found = await source.fetch(Ref(name))
            assert value.encode() == found.value
            assert (created["ARN"], name, created["VersionId"], True) == (
                found.arn,
                found.name,
                found.version_id,
                found.is_text,
            )
            assert found.created_at is not None
            aws.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


@pytest.mark.usefixtures("fast_paths")
async def test_binary_arrives_as_it_was_stored(aws):
    """Binary is its bytes, without base64."""
    value = bytes(range(256))
    created = aws.create_secret(Name="bin", SecretBinary=value)
    async with secrets_manager() as source:
        found = await source.fetch(Ref(created["ARN"]))
    aws.delete_secret(SecretId="bin", ForceDeleteWithoutRecovery=True)

    assert (value, False) == (found.value, found.is_text)


@pytest.mark.usefixtures("fast_paths")
async def test_versions_are_asked_for_by_stage_and_by_id(aws):
    """The previous version is there as well as the current one."""
    first = aws.create_secret(Name="versions", SecretString="one")
    aws.put_secret_value(SecretId="versions", SecretString="two")
    async with secrets_manager() as source:
        current = await source.fetch(Ref("versions"))
        previous = await source.fetch(Ref("versions", version_stage="AWSPREVIOUS"))
        by_id = await source.fetch(Ref("versions", version_id=first["VersionId"]))
        with pytest.raises(SecretNotFound):
            await source.fetch(Ref("versions", version_stage="NOSUCH"))
    aws.delete_secret(SecretId="versions", ForceDeleteWithoutRecovery=True)

    assert [b"two", b"one", b"one"] == [current.value, previous.value, by_id.value]


@pytest.mark.usefixtures("fast_paths")
async def test_a_secret_that_does_not_exist_or_is_about_to_be_deleted(aws):
    """Not found; and refused, since AWS says InvalidRequestException."""
    aws.create_secret(Name="deleted", SecretString="x")
    aws.delete_secret(SecretId="deleted")
    async with secrets_manager() as source:
        with pytest.raises(SecretNotFound, match="'nothing' was not found"):
            await source.fetch(Ref("nothing"))
        with pytest.raises(SecretRefused) as caught:
            await source.fetch(Ref("deleted"))
    aws.delete_secret(SecretId="deleted", ForceDeleteWithoutRecovery=True)

    assert "InvalidRequestException" == caught.value.code


@pytest.mark.usefixtures("fast_paths")
async def test_a_batch_against_moto(aws):
    """Eleven secrets come from the batch call, by name and by ARN; a missing one is asked for by itself."""
    arns = [aws.create_secret(Name=f"s{number}", SecretString=f"v{number}")["ARN"] for number in range(11)]
    refs = [Ref("s0"), Ref(arns[1]), Ref(arns[2][:-7]), *(Ref(f"s{number}") for number in range(3, 11))]
    async with secrets_manager() as source:
        delivered = await fetch_all(source, refs)
    for arn in arns:
        aws.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)

    values = [outcome.value for outcome in delivered.values() if isinstance(outcome, Secret)]
    assert sorted(f"v{number}".encode() for number in range(11)) == sorted(values)


# What is asked for.


@pytest.mark.parametrize(
    ("ref", "kind"),
    [
        (Ref("nobody"), SecretNotFound),
        (Ref("nobody", version_stage="X"), VersionNotFound),
        (Ref("nobody", version_id="v"), VersionNotFound),
    ],
)
async def test_without_words_what_was_asked_for_decides_what_was_not_found(ref, kind):
    """AWS has one code for a secret and for its versions."""
    with pytest.raises(SecretNotFound) as caught:
        await manager(FakeClient()).fetch(ref)

    assert kind is type(caught.value)


async def test_a_version_is_asked_for_only_where_it_is_given():
    """AWS takes no empty one."""
    asked = []

    class Client(FakeClient):
        async def call(self, operation, name, arguments):
            asked.append(arguments)
            return await super().call(operation, name, arguments)

    source = manager(Client(db=CANARY))
    for ref in (Ref("db"), Ref("db", version_id="v", version_stage="X")):
        await source.fetch(ref)

    assert [{"SecretId": "db"}, {"SecretId": "db", "VersionId": "v", "VersionStage": "X"}] == asked


@pytest.mark.parametrize(
    ("fault", "code"), [(fakes.INTERNAL, "InternalServiceError"), ({"Name": "db"}, "malformed-answer")]
)
async def test_a_passing_failure_is_tried_three_times_and_then_told(fault, code):
    """So is an answer that is not in the documented form. One good answer within the budget is all it takes."""
    client = FakeClient(db=CANARY)
    client.fault = lambda *_: fault
    source = manager(client)
    with pytest.raises(SecretUnavailable) as caught:
        await source.fetch(Ref("db"))
    assert (code, 3) == (caught.value.code, len(client.calls))

    faults = [fault]
    client.fault = lambda *_: faults.pop() if faults else None
    assert CANARY.encode() == (await source.fetch(Ref("db"))).value


async def test_leaving_closes_the_client():
    """It belongs to the source."""
    client = FakeClient()
    async with manager(client):
        assert not client.is_closed

    assert client.is_closed


# Batches.


def fill(client: FakeClient, count: int) -> list[Ref]:
    """Put `count` secrets and return what they are asked by."""
    client.values |= {f"s{number}": f"{CANARY} {number}" for number in range(count)}
    return [Ref(f"s{number}") for number in range(count)]


def expected(refs: list[Ref]) -> dict[Ref, bytes]:
    """Return the values of `fill`."""
    return {ref: f"{CANARY} {ref.secret_id[1:]}".encode() for ref in refs}


def values(found) -> dict[Ref, bytes]:
    """Return the values that were found."""
    return {ref: outcome.value for ref, outcome in found.items() if isinstance(outcome, Secret)}


@pytest.mark.parametrize(
    ("count", "batch_threshold", "batches", "singles"),
    [(0, 10, 0, 0), (10, 10, 0, 10), (11, 10, 1, 0), (45, 10, 3, 0), (45, None, 0, 45), (1, 0, 1, 0)],
)
async def test_above_the_limit_secrets_are_asked_for_twenty_at_a_time(count, batch_threshold, batches, singles):
    """auto, never and always."""
    client = FakeClient()
    refs = fill(client, count)
    found = await fetch_all(manager(client, batch_threshold=batch_threshold), refs)

    assert expected(refs) == values(found)
    assert (batches, singles) == (client.count("batch_get_secret_value"), client.count("get_secret_value"))
    assert all(len(ids) <= 20 for _, ids in client.calls)
    assert 20 == BATCH_SIZE


async def test_versions_are_never_asked_for_in_a_batch():
    """The batch gives current versions only."""
    client = FakeClient(other=CANARY)
    refs = [*fill(client, 12), Ref("other", version_stage="AWSPREVIOUS"), Ref("other", version_id="v")]
    await fetch_all(manager(client), refs)

    assert (1, 2) == (client.count("batch_get_secret_value"), client.count("get_secret_value"))


@pytest.mark.parametrize(
    "fault",
    [
        fakes.DENIED,
        fakes.THROTTLED,
        fakes.INTERNAL,
        {},
        {"SecretValues": None},
        {"SecretValues": {"a": None}},
        {"SecretValues": [None]},
    ],
    ids=str,
)
async def test_what_a_batch_refuses_is_asked_for_one_by_one(fault):
    """A missing permission, throttling, nonsense: the batch is a short cut, and gets one attempt."""
    client = FakeClient()
    refs = fill(client, 12)
    client.fault = lambda operation, _: fault if operation == "batch_get_secret_value" else None
    found = await fetch_all(manager(client), refs)

    assert expected(refs) == values(found)
    assert (1, 12) == (client.count("batch_get_secret_value"), client.count("get_secret_value"))


async def test_a_batch_is_signed_anew_when_its_signature_was_too_old():
    """As any other call is."""
    client = FakeClient()
    refs = fill(client, 12)
    faults = [fakes.EXPIRED_SIGNATURE]
    client.fault = lambda *_: faults.pop() if faults else None
    found = await fetch_all(manager(client), refs)

    assert expected(refs) == values(found)
    assert (2, 0) == (client.count("batch_get_secret_value"), client.count("get_secret_value"))


async def test_one_secret_that_a_batch_does_not_give_concerns_only_itself():
    """Malformed and missing values are asked for by themselves, and told by themselves."""
    client = FakeClient()
    refs = [*fill(client, 12), Ref("s99")]
    malformed = {"ARN": "a", "Name": "s0", "VersionId": "v"}
    good = [fakes.secret_value(ref.secret_id, client.values[ref.secret_id]) for ref in refs[1:12]]
    client.fault = lambda operation, _: (
        {"SecretValues": [malformed, *good]} if operation == "batch_get_secret_value" else None
    )
    found = await fetch_all(manager(client), refs)

    assert expected(refs[:12]) == values(found)
    assert isinstance(found[Ref("s99")], SecretNotFound)
    assert [["s0"], ["s99"]] == sorted(ids for operation, ids in client.calls if operation == "get_secret_value")


async def test_an_upstream_that_hangs_costs_a_prefetch_one_budget():
    """The batch has half of it, the single calls the rest: nobody waits for two."""
    client = FakeClient()
    refs = fill(client, 12)
    client.fault = lambda *_: asyncio.Event().wait()
    loop = asyncio.get_running_loop()
    began = loop.time()
    found = await fetch_all(manager(client, budget_seconds=0.4), refs)

    assert {SecretTimeout} == set(map(type, found.values()))
    assert {0.4} == {outcome.budget_seconds for outcome in found.values() if isinstance(outcome, SecretTimeout)}
    assert loop.time() - began < 0.8
    assert {1} == {sum(ref.secret_id in ids for operation, ids in client.calls[1:]) for ref in refs}


async def test_a_role_that_is_refused_is_refused_for_all_of_a_batch(caplog):
    """STS is asked once, and not once more for each secret. What passes is asked for singly."""
    client = FakeClient()
    refs = [ref._replace(context=AwsContext(role_arn="role")) for ref in fill(client, 12)]

    def refuse(*_: object) -> None:
        error = SecretRefused("role", code="AccessDenied")
        error.what = "role"
        raise error

    client.fault = refuse
    found = await fetch_all(manager(client), refs)

    assert {"AWS refused role 'role' with AccessDenied"} == set(map(str, found.values()))
    assert 1 == len(client.calls)
    assert [] == caplog.records


def test_of_two_secrets_with_one_name_a_batch_never_gives_one_for_the_other():
    """Another account's secret comes by its ARN, whole or without its suffix; a name is the own account's."""
    own = secret("db")
    foreign = with_fields(own, arn=own.arn.replace(ACCOUNT, "999999999999"))
    by_name, by_arn, by_start = Ref("db"), Ref(foreign.arn), Ref(foreign.arn[:-7])

    assert {by_arn: foreign} == match([by_arn, by_name], [foreign])
    assert {by_start: foreign, by_name: own} == match([by_start, by_name], [own, foreign])
    assert {} == match([Ref("other")], [own])


# What answers mean.


def answer(**changes: object) -> dict[str, object]:
    """Return an answer, with changes; what is None is left out."""
    whole = {"ARN": arn_of("db"), "Name": "db", "VersionId": "v", "SecretString": CANARY, **changes}
    return {key: value for key, value in whole.items() if value is not None}


def test_an_answer_is_a_secret():
    """With everything that the answer says of it."""
    found = to_secret("x", answer(CreatedDate=1.5, VersionStages=["AWSCURRENT", 5]))
    binary = to_secret("x", answer(SecretString=None, SecretBinary=b"\xff"))

    assert (arn_of("db"), "db", "v", 1.5) == (found.arn, found.name, found.version_id, found.created_at)
    assert (CANARY.encode(), True, ("AWSCURRENT",)) == (found.value, found.is_text, found.stages)
    assert (b"\xff", False, None, ()) == (binary.value, binary.is_text, binary.created_at, binary.stages)


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [CANARY],
        answer(ARN=None),
        answer(ARN=["a"], Name={}, VersionId=5),
        answer(Name=""),
        answer(VersionId="c\r\nX: y"),
        answer(SecretString=None),
        answer(SecretString=5),
        answer(SecretString="\ud800" + CANARY),
        answer(SecretString=None, SecretBinary="text"),
    ],
)
def test_an_answer_that_is_not_in_the_documented_form(wrong):
    """It may be asked for again, and nothing of it shows."""
    with pytest.raises(RetryableError) as caught:
        to_secret("db", wrong)

    assert "secret 'db' is unavailable: AWS's answer is not in the documented form" == str(caught.value.error)
