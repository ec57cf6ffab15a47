"""From rules to variables: what wins, what fails, and what the one line of a failure says."""

import json
from typing import Any

import pytest

from secrets_cache.aws.advice import advise
from secrets_cache.config import VariablesFrom
from secrets_cache.errors import (
    SecretError,
    SecretNotFound,
    SecretRefused,
    SecretTimeout,
    VariablesFailed,
    VersionNotFound,
)
from secrets_cache.variables.resolve import resolve


class FakeReader:
    """Gives values and errors by id, and remembers what was started."""

    def __init__(self, **results: object) -> None:
        self._results = results
        self.started: list[str] = []

    def start(self, wanted):
        self.started.append(wanted.id)

    async def read(self, wanted):
        result = self._results[wanted.id]
        if isinstance(result, Exception):
            raise result
        return json.dumps(result).encode()


def reading(**results: object) -> Any:
    """Return a stand-in for what reads values."""
    return FakeReader(**results)


def about(error: SecretError, what: str) -> SecretError:
    """Return an error of a secret, a parameter or a role."""
    error.what = what
    return error


def missing_in(place: str) -> SecretNotFound:
    """Return the error of a secret that a file lacks, which stands for AWS."""
    error = SecretNotFound("a")
    error.place = place
    return error


async def test_a_later_rule_wins_and_every_value_is_started_first():
    """So that no value waits for another one."""
    reader = reading(a={"X": "1", "Y": "1"}, b={"Y": "2"})
    found = await resolve([VariablesFrom("a"), VariablesFrom("b")], {}, [], reader)

    assert {b"X": b"1", b"Y": b"2"} == found
    assert ["a", "b"] == reader.started


async def test_an_optional_value_that_fails_is_skipped_and_logged(caplog):
    """The others are set."""
    reader = reading(a=SecretNotFound("a"), b={"Y": "2"})
    found = await resolve([VariablesFrom("a", required=False), VariablesFrom("b")], {}, [], reader)

    assert {b"Y": b"2"} == found
    (record,) = caplog.records
    assert ("variables.skipped", "a") == (record.msg, record.args["source"])


async def test_a_variable_that_is_refused_is_logged_by_name(caplog):
    """One WARNING without the value; the others are set."""
    found = await resolve([VariablesFrom("a")], {}, [], reading(a={"LD_PRELOAD": "x", "Y": "2"}))

    assert {b"Y": b"2"} == found
    (record,) = caplog.records
    assert ("WARNING", "variable.refused") == (record.levelname, record.msg)
    reason = record.args["reason"]
    assert {"source": "a", "key": "LD_PRELOAD", "name": "LD_PRELOAD", "reason": reason} == record.args


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SecretNotFound("a"), "check its name and its region (SECRET_REGION)"),
        (missing_in("dev.yaml"), "was not found in dev.yaml; check its name"),
        (VersionNotFound("a", aws_message="no label X"), "this account: no label X; check its version or label"),
        (
            SecretRefused("a", code="AccessDeniedException"),
            "allow the role secretsmanager:GetSecretValue on this secret",
        ),
        (
            SecretRefused("a", code="AccessDeniedException", aws_message="Access to KMS is not allowed"),
            "allow the role kms:Decrypt on the key that encrypts this secret",
        ),
        (about(SecretRefused("r", code="AccessDenied"), "role"), "which needs sts:AssumeRole on this role"),
        (SecretNotFound("a", aws_message="Not there."), "Not there; check its name and its region (SECRET_REGION)"),
        (
            advise(SecretTimeout("a", budget_seconds=5), in_lambda=True),
            "add a NAT gateway or an endpoint for Secrets Manager",
        ),
        (VariablesFailed("as it is"), "as it is"),
    ],
)
async def test_a_failure_says_what_to_do(error, said):
    """One sentence, which begins with the setting where that is known."""
    with pytest.raises(VariablesFailed) as caught:
        await resolve([], {"SECRET_ARN": "a"}, [b"AWS_LAMBDA_RUNTIME_API"], reading(a=error))

    assert str(caught.value).endswith(said)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            SecretRefused("a", code="AccessDeniedException"),
            "allow the user or role of the AWS credentials secretsmanager:GetSecretValue on this secret",
        ),
        (
            SecretRefused("a", code="AccessDeniedException", aws_message="Access to KMS is not allowed"),
            "allow the user or role of the AWS credentials kms:Decrypt on the key that encrypts this secret",
        ),
        (
            about(SecretRefused("r", code="AccessDenied"), "role"),
            "must allow the user or role of the AWS credentials, which needs sts:AssumeRole on this role",
        ),
    ],
)
async def test_elsewhere_a_failure_does_not_speak_of_lambda(error, said):
    """A machine of one's own has no role of a function, and is in no VPC."""
    with pytest.raises(VariablesFailed) as caught:
        await resolve([], {"SECRET_ARN": "a"}, [b"HOME"], reading(a=error))

    assert str(caught.value).endswith(said)


async def test_a_missing_key_names_the_value():
    """The error itself knows only the key."""
    with pytest.raises(VariablesFailed, match=r"^R: secret 'a' has no key 'nope'$"):
        await resolve([], {"R": "secretsmanager://a#nope"}, [], reading(a={"X": "1"}))
