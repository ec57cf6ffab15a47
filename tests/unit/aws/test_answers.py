"""Answers of AWS with something odd at every place: each reader gives a secret, or one of our own errors."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from secrets_cache.aws.secretsmanager import to_secret
from secrets_cache.aws.sts import _to_grant
from secrets_cache.core.retry import RetryableError
from secrets_cache.core.secret import Ref, Secret
from secrets_cache.errors import SecretError
from tests.support.fakes import CANARY
from tests.unit.aws import fakes
from tests.unit.aws.fakes import FakeClient, manager, store

ODD: list[object] = [
    *(None, True, False, 0, -1, 10**5000, 1e300, float("nan"), float("inf")),
    *("", "\ud800", "a\r\nb", '"', "\0", b"x", "x" * 5000),
    *([], [[]], [None], [{}], {}, {"a": 1}, {"Name": []}, {1: 2}),
]
PARAMETER = {
    **fakes.parameter("/a", CANARY),
    "ARN": "arn:aws:ssm:eu-west-1:123456789012:parameter/a",
    "LastModifiedDate": 1.5,
    "DataType": "text",
    "Selector": ":1",
    "SourceResult": "{}",
}
SECRET = {**fakes.secret_value("a", CANARY), "CreatedDate": 1.5, "VersionStages": ["AWSCURRENT"]}
# Too little for a second attempt.
BUDGET_SECONDS = 0.05


def spoil(answer: Any) -> Iterator[Any]:
    """Give an answer with each odd value at each of its places in turn, and without what is at each place."""
    yield from ODD
    if isinstance(answer, dict):
        for key, value in answer.items():
            yield {name: other for name, other in answer.items() if name != key}
            yield from ({**answer, key: spoiled} for spoiled in spoil(value))
    elif isinstance(answer, list):
        for number, value in enumerate(answer):
            yield from ([*answer[:number], spoiled, *answer[number + 1 :]] for spoiled in spoil(value))


def objects(answer: Any) -> list[Any]:
    """Return the spoiled answers that a client returns: it gives objects only."""
    return [spoiled for spoiled in spoil(answer) if isinstance(spoiled, dict)]


def test_a_secret():
    """Of GetSecretValue, or an item of a batch."""
    for answer in [*spoil(SECRET), *spoil({**SECRET, "SecretString": None, "SecretBinary": b"x"})]:
        try:
            assert isinstance(to_secret("a", answer), Secret)
        except RetryableError as reason:
            assert "malformed-answer" == reason.error.code  # noqa: PT017 - most raise, some do not
            assert CANARY not in str(reason.error)  # noqa: PT017 - the same


async def test_a_batch_of_secrets():
    """An item that is malformed concerns only itself."""
    client = FakeClient()
    source = manager(client, BUDGET_SECONDS)
    for answer in objects({"SecretValues": [SECRET]}):
        client.fault = lambda *_, answer=answer: answer
        await keep_errors(source._fetch_batch([Ref("a")]))  # noqa: SLF001 - it hides nothing
    for item in spoil(SECRET):
        client.fault = lambda *_, item=item: {"SecretValues": [item, fakes.secret_value("b", CANARY)]}
        found = await source._fetch_batch([Ref("a"), Ref("b")])  # noqa: SLF001 - the same
        assert isinstance(found.get(Ref("b")), Secret)


async def keep_errors(fetch: Any) -> object:
    """Return what a fetch gives; None if it raises an error that was raised on purpose."""
    try:
        return await fetch
    except SecretError as error:
        assert error.code in {"malformed-answer", "ParameterNotFound"}  # noqa: PT017 - the same
        return None


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("/a", {"Parameter": PARAMETER}),
        ("/a", {"Parameter": {**PARAMETER, "Value": None}}),
        ("/", {"Parameters": [PARAMETER, fakes.parameter("/b", "b")], "NextToken": None}),
    ],
)
async def test_a_parameter_and_a_path(name, answer):
    """The secret of a path can be written as JSON, whatever the names of its members are."""
    client = FakeClient()
    parameters = store(client, BUDGET_SECONDS)
    for spoiled in objects(answer):
        # A token leads to another page, which ends the path.
        pages = iter([spoiled, {"Parameters": []}])
        client.fault = lambda *_, pages=pages: next(pages, {"Parameters": []})
        found = await keep_errors(parameters.fetch(Ref(name, is_parameter=True)))
        assert found is None or isinstance(found, Secret)
        assert (
            found is None
            or found.members is None
            or json.loads(found.value).keys() == {member.removeprefix("/") for member in found.members}
        )


async def test_a_batch_of_parameters():
    """An item that is malformed concerns only itself, and so does the list of those that are invalid."""
    client = FakeClient()
    parameters = store(client, BUDGET_SECONDS)
    refs = [Ref("/a", is_parameter=True), Ref("/b", "3", is_parameter=True)]
    for answer in objects({"Parameters": [PARAMETER], "InvalidParameters": ["/b:3", "/c"]}):
        client.fault = lambda *_, answer=answer: answer
        await keep_errors(parameters._fetch_batch(refs))  # noqa: SLF001 - it hides nothing
    other = Ref("/c", is_parameter=True)
    for item in spoil(PARAMETER):
        client.fault = lambda *_, item=item: {"Parameters": [item, fakes.parameter("/c", CANARY)]}
        found = await parameters._fetch_batch([refs[0], other])  # noqa: SLF001 - the same
        assert isinstance(found.get(other), Secret)


@pytest.mark.parametrize("names", [[[]], [{}], [None], {"/a": 1}, "/a", 5])
async def test_a_list_of_invalid_parameters_that_is_none_fails_nothing(names):
    """The parameters that did come are used, with no call of their own."""
    client = FakeClient()
    given = [fakes.parameter(one, CANARY) for one in ("/a", "/b")]
    client.fault = lambda *_: {"Parameters": given, "InvalidParameters": names}
    refs = [Ref(one, is_parameter=True) for one in ("/a", "/b")]
    found = await store(client)._fetch_batch(refs)  # noqa: SLF001 - the same

    assert [Secret, Secret] == [type(one) for one in found.values()]


def test_the_credentials_of_a_role():
    """A part that is no text is none, and no text of it becomes a credential."""
    good = {
        "Credentials": {
            "AccessKeyId": "ASIA",
            "SecretAccessKey": CANARY,
            "SessionToken": CANARY,
            "Expiration": 253_402_300_799,
        }
    }
    read = []
    for answer in [good, *objects(good)]:
        try:
            read.append(_to_grant("role", answer).credentials.access_key)
        except RetryableError as reason:
            assert CANARY not in str(reason.error)  # noqa: PT017 - the same

    assert "ASIA" == read[0]
    assert {str} == set(map(type, read))
    assert not any(set(one) & {"\r", "\0", "\ud800"} for one in read)
