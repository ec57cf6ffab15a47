"""Parameter Store: against moto's server for what it can do, and against a fake client for what it cannot."""

import asyncio
import json
import os
import time
import urllib.request

import boto3
import pytest

from secrets_cache.aws.choice import Clients
from secrets_cache.aws.parameterstore import BATCH_SIZE, MAX_PAGES, ParameterStore
from secrets_cache.core.secret import Ref, Secret
from secrets_cache.errors import SecretNotFound, SecretRefused, SecretTimeout, SecretUnavailable, VersionNotFound
from secrets_cache.system.clock import SystemClock, random_fraction
from tests.conftest import PATIENCE_SECONDS
from tests.support.fakes import CANARY, fetch_all
from tests.unit.aws import fakes
from tests.unit.aws.fakes import FakeClient, store

WRITTEN = f"{CANARY} \u00e9\n"


def real_store() -> ParameterStore:
    """Return the parameters of eu-west-1, as moto has them."""
    clock = SystemClock()
    client = Clients(os.environ, timeout_seconds=6, clock=clock).create("ssm", "eu-west-1")
    return ParameterStore(client=client, budget_seconds=5, clock=clock, random=random_fraction)


def ref(name, **changes):
    """Return what a parameter is asked by."""
    return Ref(name, is_parameter=True)._replace(**changes)


@pytest.fixture(name="client")
def _client(moto, monkeypatch, fast_paths):
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    urllib.request.urlopen(urllib.request.Request(f"{moto}/moto-api/reset", method="POST")).close()
    return boto3.client("ssm", region_name="eu-west-1")


async def test_a_parameter_arrives_decrypted(client):
    """By name or by ARN; without decryption, as it lies there."""
    client.put_parameter(Name="/prod/app/key", Value=WRITTEN, Type="SecureString")
    arn = client.get_parameter(Name="/prod/app/key")["Parameter"]["ARN"]
    async with real_store() as parameters:
        by_name, by_arn = [await parameters.fetch(ref(name)) for name in ("/prod/app/key", arn)]
        cipher = await parameters.fetch(ref("/prod/app/key", is_decrypted=False))
        with pytest.raises(SecretNotFound) as caught:
            await parameters.fetch(ref("/prod/app/nope"))

    assert WRITTEN.encode() == by_name.value == by_arn.value
    assert (arn, "/prod/app/key", "1") == (by_name.arn, by_name.name, by_name.version_id)
    assert by_name.parameter is not None
    assert ("SecureString", 1, "text") == (
        by_name.parameter.type,
        by_name.parameter.version,
        by_name.parameter.data_type,
    )
    assert b"kms:" in cipher.value
    assert "Parameter /prod/app/nope not found." == caught.value.aws_message
    assert "parameter '/prod/app/nope' was not found in Parameter Store in this region and this account" == (
        str(caught.value).removesuffix(": Parameter /prod/app/nope not found")
    )


async def test_versions_and_labels(client):
    """By the number of a version, or by a label; without either the newest."""
    for number in (1, 2, 3):
        client.put_parameter(Name="/v/x", Value=f"{CANARY} {number}", Type="String", Overwrite=True)
    client.label_parameter_version(Name="/v/x", ParameterVersion=2, Labels=["prod"])
    refs = [ref("/v/x"), ref("/v/x", version_id="1"), ref("/v/x", version_stage="prod")]
    async with real_store() as parameters:
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
    async with real_store() as parameters:
        path = await parameters.fetch(ref("/tree/"))
        client.put_parameter(Name="/tree/a", Value=CANARY, Type="SecureString", Overwrite=True)
        again = await parameters.fetch(ref("/tree/"))
        with pytest.raises(SecretNotFound):
            await parameters.fetch(ref("/nothing/here/"))

    assert {name.removeprefix("/tree/"): f"{CANARY} {name}" for name in names} == json.loads(path.value)
    assert set(names) == set(path.members or ())
    assert path.version_id != again.version_id
    assert CANARY not in repr(path)


async def test_references_to_secrets_manager(client):
    """`/aws/reference/secretsmanager/NAME` is a parameter by name, and a secret by value."""
    boto3.client("secretsmanager", region_name="eu-west-1", endpoint_url=client.meta.endpoint_url).create_secret(
        Name="prod/db", SecretString=CANARY
    )
    async with real_store() as parameters:
        found = await parameters.fetch(ref("/aws/reference/secretsmanager/prod/db"))

    assert CANARY.encode() == found.value


async def test_ten_are_asked_for_in_one_call():
    """Twenty-five are three calls; those there are not are told one by one, without another call."""
    client = FakeClient(**{f"/p/{number}": f"{CANARY} {number}" for number in range(24)})
    refs = [ref(f"/p/{number}") for number in range(25)]
    found = await fetch_all(store(client), refs)

    assert [f"{CANARY} {number}".encode() for number in range(24)] == [
        outcome.value for one in refs[:24] if isinstance(outcome := found[one], Secret)
    ]
    assert "parameter '/p/24' was not found" in str(found[refs[24]])
    assert [("get_parameters", 10), ("get_parameters", 10), ("get_parameters", 5)] == [
        (operation, len(ids)) for operation, ids in client.calls
    ]
    assert BATCH_SIZE == 10


async def test_what_no_batch_gives_is_asked_for_singly():
    """Paths, and what is not decrypted; a second version of a parameter; and a parameter that is alone."""
    client = FakeClient(**dict.fromkeys(("/b", "/b:1", "/c"), CANARY))
    refs = [ref("/b", version_id="1"), ref("/c", is_decrypted=False), ref("/b", is_decrypted=False)]
    found = await fetch_all(store(client), refs)

    assert {Secret} == set(map(type, found.values()))
    assert ["get_parameter"] * 3 == [operation for operation, _ in client.calls]


async def test_what_ten_together_do_not_give_is_asked_for_singly(caplog):
    """A role may lack GetParameters; one that it may not read fails all ten. One line is logged, once."""
    client = FakeClient(**{"/a": CANARY, "/b": CANARY})
    client.fault = lambda operation, ids: fakes.DENIED if operation == "get_parameters" or ids == ["/b"] else None
    parameters = store(client)
    found = await fetch_all(parameters, [ref("/a"), ref("/b")])
    calls = len(client.calls)
    await fetch_all(parameters, [ref("/a"), ref("/b")])

    assert 2 == len(client.calls) - calls
    assert isinstance(found[ref("/a")], Secret)
    assert "AWS refused parameter '/b' with AccessDeniedException" in str(found[ref("/b")])
    assert [("batch.refused", {"parameters": 2, "code": "AccessDeniedException"})] == [
        (record.msg, record.args) for record in caplog.records
    ]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (fakes.THROTTLED, "ThrottlingException"),
        (fakes.INTERNAL, "InternalServiceError"),
        ({}, "malformed-answer"),
        ("hang", "timeout"),
    ],
)
async def test_what_may_pass_is_the_failure_of_all_ten(caplog, fault, code):
    """Ten calls more are what AWS needs least then, and would take a second budget; each is told in its own name."""
    refs = [ref(f"/p/{number}") for number in range(10)]
    client = FakeClient(**{one.secret_id: CANARY for one in refs})
    client.fault = lambda *_: asyncio.Event().wait() if fault == "hang" else fault
    parameters = store(client, 0.5)
    found = await fetch_all(parameters, refs)
    client.fault = lambda *_: None
    again = await fetch_all(parameters, refs)

    assert [code] * 10 == [error.code for error in found.values() if isinstance(error, SecretUnavailable)]
    assert all(f"parameter '{one.secret_id}' is unavailable" in str(found[one]) for one in refs)
    assert {"get_parameters"} == {operation for operation, _ in client.calls}
    assert 10 == sum(isinstance(outcome, Secret) for outcome in again.values())
    assert [] == caplog.records


async def test_the_failure_of_a_role_is_that_of_all_ten():
    """It keeps the role's name."""
    client = FakeClient()

    def refuse(*_: object) -> None:
        error = SecretRefused("role", code="AccessDenied")
        error.what = "role"
        raise error

    client.fault = refuse
    found = await fetch_all(store(client), [ref("/a"), ref("/b")])

    assert {"AWS refused role 'role' with AccessDenied"} == set(map(str, found.values()))
    assert 1 == len(client.calls)


async def test_one_that_is_malformed_concerns_only_itself():
    """It is asked for once more, by itself."""
    client = FakeClient(**{"/a": CANARY, "/b": CANARY})
    given = {"Parameters": [{"Name": "/a", "Value": 1}, fakes.parameter("/b", CANARY)]}
    client.fault = lambda operation, _: given if operation == "get_parameters" else None
    found = await fetch_all(store(client), [ref("/a"), ref("/b")])

    assert [CANARY.encode()] * 2 == [outcome.value for outcome in found.values() if isinstance(outcome, Secret)]
    assert [("get_parameters", ["/a", "/b"]), ("get_parameter", ["/a"])] == client.calls


@pytest.mark.parametrize("is_own_first", [True, False])
async def test_a_parameter_that_another_account_shares_is_not_taken_for_the_own_of_its_name(is_own_first):
    """AWS gives both the same name. The ARN tells them apart, whichever is listed first."""
    shared_arn, own_arn = (
        f"arn:aws:ssm:eu-west-1:{account}:parameter/a" for account in ("999999999999", "123456789012")
    )
    given = {
        shared_arn: {**fakes.parameter("/a", "shared"), "ARN": shared_arn},
        "/a": {**fakes.parameter("/a", "own"), "ARN": own_arn},
    }
    names = sorted(given, reverse=not is_own_first)
    client = FakeClient()
    client.fault = lambda *_: {"Parameters": [given[name] for name in names]}
    found = await fetch_all(store(client), [ref(name) for name in names])

    assert {"/a": b"own", shared_arn: b"shared"} == {
        one.secret_id: outcome.value for one, outcome in found.items() if isinstance(outcome, Secret)
    }
    assert 1 == len(client.calls)


async def test_a_path_with_nothing_below_it_is_not_found():
    """It is no empty success: a listed path is expected to hold parameters."""
    client = FakeClient()
    client.fault = lambda *_: {"Parameters": []}
    with pytest.raises(SecretNotFound) as caught:
        await store(client).fetch(ref("/p/"))

    assert str(caught.value).startswith("parameter '/p/' was not found in Parameter Store")


async def test_a_path_without_end_is_given_up():
    """What is kept of it is bounded, and the error says by what."""
    client = FakeClient()
    client.fault = lambda *_: {"Parameters": [fakes.parameter("/p/x", "v")], "NextToken": "more"}
    with pytest.raises(SecretUnavailable) as caught:
        await store(client).fetch(ref("/p/"))

    assert "parameter '/p/' is unavailable: there are more than 2000 parameters below it" == str(caught.value)
    assert MAX_PAGES == len(client.calls)


class ImpatientStore(ParameterStore):
    """A store that gives up a path after half a second."""

    path_seconds = 0.5


@pytest.mark.parametrize(("budget_seconds", "bound"), [(0.4, "0.5"), (0.6, "0.6")])
async def test_a_path_of_slow_pages_is_given_up(budget_seconds, bound):
    """Each page comes in time, and there would be hundreds of them: the whole has a limit of its own."""
    client = FakeClient()

    async def page():
        await asyncio.sleep(0.01)
        return {"Parameters": [fakes.parameter("/p/x", "v")], "NextToken": "more"}

    client.fault = lambda *_: page()
    impatient = ImpatientStore(client=client, budget_seconds=budget_seconds, clock=SystemClock(), random=lambda: 0.5)
    with pytest.raises(SecretTimeout) as caught:
        await impatient.fetch(ref("/p/"))

    said = f"AWS did not answer within {bound} s (all pages of a path together)"
    assert f"parameter '/p/' is unavailable: {said}" == str(caught.value)


async def test_a_path_never_has_an_empty_value_for_what_has_none():
    """A reference to a binary secret is not below a path; an answer with one is malformed."""
    client = FakeClient()
    nothing = {"Name": "/p/x", "Value": None}
    for source_result in ("{}", '{"SecretBinary": "/w=="}'):
        client.fault = lambda *_, said=source_result: {"Parameters": [{**nothing, "SourceResult": said}]}
        with pytest.raises(SecretUnavailable) as caught:
            await store(client, 0.05).fetch(ref("/p/"))
        assert "malformed-answer" == caught.value.code


@pytest.mark.parametrize("fault", [fakes.INTERNAL, {}, {"Parameters": [{"Name": "/p/x", "Value": 1}]}])
async def test_a_page_that_fails_is_asked_for_again_and_not_the_whole_path(fault):
    """The other pages are kept. A page that holds something malformed has failed."""
    client = FakeClient()
    first = {"Parameters": [fakes.parameter(f"/p/{number}", CANARY) for number in range(10)], "NextToken": "more"}
    last = {"Parameters": [fakes.parameter(f"/p/{number}", CANARY) for number in range(10, 15)]}
    pages = iter([first, fault, last])
    client.fault = lambda *_: next(pages)
    path = await store(client).fetch(ref("/p/"))

    assert 15 == len(path.members or ())
    assert [("get_parameters_by_path", ["/p"])] * 3 == client.calls


@pytest.mark.parametrize(
    ("arn", "asked"),
    [
        ("arn:aws:ssm:eu-west-1:123456789012:parameter/p/", "/p"),
        ("arn:aws:ssm:eu-west-1:123456789012:parameter/", "/"),
        ("arn:aws:s3:::p/", "arn:aws:s3:::p"),
    ],
)
async def test_a_path_by_its_arn(arn, asked):
    """The call takes names only. An ARN that is no parameter's is for AWS to refuse, and never means all there are."""
    client = FakeClient()
    client.fault = lambda *_: {"Parameters": [fakes.parameter("/p/x", CANARY)]}
    await store(client).fetch(ref(arn))

    assert [("get_parameters_by_path", [asked])] == client.calls


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        (fakes.DENIED, SecretRefused, "AWS refused parameter 'p' with AccessDeniedException"),
        (("ParameterVersionNotFound", 400), SecretNotFound, "parameter 'p' was not found"),
        (fakes.THROTTLED, SecretUnavailable, "parameter 'p' is unavailable: AWS is throttling"),
        ("hang", SecretTimeout, "parameter 'p' is unavailable: AWS did not answer within 0.5 s"),
        ({}, SecretUnavailable, "parameter 'p' is unavailable: AWS's answer is not in the documented form"),
        (
            {"Parameters": []},
            SecretUnavailable,
            "parameter 'p' is unavailable: AWS's answer is not in the documented form",
        ),
        ({"Parameter": []}, SecretUnavailable, "parameter 'p' is unavailable"),
        ({"Parameter": {"Value": 1}}, SecretUnavailable, "parameter 'p' is unavailable"),
        ({"Parameter": {"Value": "\ud800"}}, SecretUnavailable, "parameter 'p' is unavailable"),
    ],
)
async def test_a_failure_is_a_parameters(fault, error, said):
    """The same errors as a secret's, in words of their own."""
    client = FakeClient()
    client.fault = lambda *_: asyncio.Event().wait() if fault == "hang" else fault
    with pytest.raises(error) as caught:
        await store(client, 0.5).fetch(ref("p"))

    assert said in str(caught.value)


# Versions and labels in a batch.


def selected(name: str, selector: str | None, version: int = 3) -> dict[str, object]:
    """Return a parameter of a batch as AWS gives it for a selector."""
    return {**fakes.parameter(name, f"{CANARY} {version}"), "Version": version, "Selector": selector}


async def test_versions_and_labels_are_asked_for_in_one_call():
    """Each is the one that was asked for, by its selector; AWS's answer has it apart from the name."""
    client = FakeClient()
    items = [selected("/c", None, 9), selected("/b", ":stable", 2), selected("/a", ":3"), "nothing"]
    client.fault = lambda *_: {"Parameters": items, "InvalidParameters": []}
    refs = [ref("/a", version_id="3"), ref("/b", version_stage="stable"), ref("/c")]
    found = await fetch_all(store(client), refs)

    assert ["3", "2", "9"] == [found[one].version_id for one in refs]  # type: ignore[union-attr]
    assert [("get_parameters", ["/a:3", "/b:stable", "/c"])] == client.calls


async def test_of_two_versions_of_one_parameter_the_second_has_its_own_call():
    """No answer can mistake one for the other."""
    client = FakeClient(**dict.fromkeys(("/a", "/a:3", "/b"), CANARY))
    await fetch_all(store(client), [ref("/a"), ref("/a", version_id="3"), ref("/b")])

    assert [("get_parameters", ["/a", "/b"]), ("get_parameter", ["/a:3"])] == client.calls


@pytest.mark.parametrize(
    ("asked", "selector", "version", "is_taken"),
    [
        ({"version_id": "3"}, None, 3, True),
        ({"version_id": "3"}, None, 4, False),
        ({"version_id": "3"}, ":4", 4, False),
        ({"version_stage": "stable"}, None, 3, False),
        ({"version_stage": "stable"}, ":stable", 3, True),
        ({}, ":3", 3, False),
        ({}, None, 3, True),
    ],
)
async def test_another_version_than_was_asked_for_is_not_taken(asked, selector, version, is_taken):
    """It is asked for by itself."""
    client = FakeClient()
    items = [selected("/a", selector, version), selected("/b", None)]
    client.fault = lambda operation, _: {"Parameters": items} if operation == "get_parameters" else None
    await fetch_all(store(client), [ref("/a", **asked), ref("/b")])

    assert (0 if is_taken else 1) == client.count("get_parameter")


async def test_a_version_that_a_batch_calls_invalid_is_asked_for_by_itself():
    """Only then AWS says whether the parameter or the version is missing."""
    client = FakeClient(**{"/b": CANARY})
    client.fault = lambda operation, _: ("ParameterVersionNotFound", 400) if operation == "get_parameter" else None
    refs = [ref("/a", version_id="9"), ref("/b")]
    found = await fetch_all(store(client), refs)

    assert isinstance(found[refs[0]], VersionNotFound)


# A reference to a binary secret.


@pytest.mark.parametrize(
    ("source_result", "value", "has_value"),
    [
        (
            '{"secretBinary": {"hb": [0, 127, -128, -1], "offset": 0, "position": 0, "limit": 4}}',
            b"\0\x7f\x80\xff",
            True,
        ),
        ('{"secretBinary": {"hb": [0, 1, 2, 3], "offset": 1, "limit": 2}}', b"\1\2", True),
        ('{"secretBinary": {"hb": [], "offset": 0, "limit": 0}}', b"", True),
        ('{"secretBinary": {"hb": [128], "offset": 0, "limit": 1}}', b"", False),
        ('{"secretBinary": {"hb": ["0"], "offset": 0, "limit": 1}}', b"", False),
        ('{"secretBinary": {"hb": [0], "offset": "0", "limit": 1}}', b"", False),
        ('{"secretBinary": {"hb": [0]}}', b"", False),
        ('{"secretBinary": "AAEC"}', b"", False),
        ("{}", b"", False),
        ("[]", b"", False),
        ("nothing", b"", False),
    ],
)
async def test_a_reference_to_a_binary_secret_has_its_bytes_from_the_source(source_result, value, has_value):
    """AWS gives no value for it, but Secrets Manager's answer."""
    client = FakeClient()
    name = "/aws/reference/secretsmanager/bin"
    item = {"Name": name, "Value": None, "Version": 0, "Type": "SecureString", "SourceResult": source_result}
    client.fault = lambda *_: {"Parameter": item}
    found = await store(client).fetch(ref(name))

    assert (value, False, has_value) == (found.value, found.is_text, found.has_value)
    assert found.parameter is not None
    assert (source_result, None) == (found.parameter.source_result, found.parameter.data_type)


@pytest.mark.parametrize("zone", ["X-24", "X24", "X-24:30"])
async def test_a_time_zone_of_a_day_or_more_does_no_harm(client, monkeypatch, zone):
    """Timestamps do not pass through local time. POSIX allows such zones."""
    client.put_parameter(Name=f"/tz/{zone[1:].replace(':', '.')}", Value=CANARY, Type="String")
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        async with real_store() as parameters:
            found = await parameters.fetch(ref(f"/tz/{zone[1:].replace(':', '.')}"))
    finally:
        monkeypatch.undo()
        time.tzset()

    assert CANARY.encode() == found.value
    assert abs((found.created_at or 0) - time.time()) < PATIENCE_SECONDS * 10
