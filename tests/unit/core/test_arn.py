"""ARNs, taken apart."""

import pytest

from secrets_cache.core.arn import (
    Arn,
    SecretReference,
    expand_parameter_name,
    find_region,
    list_possible_names,
    split_selector,
)
from tests.support.upstream import arn_of

PARAMETER = "arn:aws-cn:ssm:cn-north-1:123456789012:parameter/app/db"


def test_an_arn_has_five_fields():
    """The last one is everything after the fifth colon."""
    assert Arn("aws", "secretsmanager", "eu-west-1", "123456789012", "secret:db-AbCdEf") == Arn.parse(arn_of("db"))
    assert Arn("aws", "iam", "", "1", "a:b:c") == Arn.parse("arn:aws:iam::1:a:b:c")


@pytest.mark.parametrize("text", ["", "db", "prod/db", "Arn:aws:ssm:x:1:y", "/arn:x", "arn"])
def test_a_name_is_no_arn(text):
    """Only what begins with "arn:" is one."""
    assert Arn.parse(text) is None


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("arn:", Arn("", "", "", "", "")),
        ("arn:aws:ssm", Arn("aws", "ssm", "", "", "")),
        ("arn:aws:ssm:eu-west-1:1", Arn("aws", "ssm", "eu-west-1", "1", "")),
    ],
)
def test_what_is_missing_is_empty(text, fields):
    """A pattern of names may end anywhere in an ARN."""
    assert fields == Arn.parse(text)


@pytest.mark.parametrize("text", [arn_of("db"), PARAMETER])
def test_an_arn_is_written_as_it_was_read(text):
    """Its fields and what joins them are all there is."""
    assert text == str(Arn.parse(text))


@pytest.mark.parametrize(
    ("text", "is_parameter", "name"),
    [
        (PARAMETER, True, "/app/db"),
        ("arn:aws:ssm:eu-west-1:1:parameter/", True, "/"),
        ("arn:aws:ssm:eu-west-1:1:document/app", True, ""),
        ("arn:aws:s3:::parameter/app", False, ""),
        (arn_of("parameter/app"), False, ""),
    ],
)
def test_a_parameters_arn_holds_its_name(text, is_parameter, name):
    """With the slash that it begins with; nothing else's ARN holds one."""
    arn = Arn.parse(text)

    assert arn is not None
    assert (is_parameter, name) == (arn.is_parameter, arn.parameter_name)


@pytest.mark.parametrize(
    ("secret_id", "given", "region"),
    [
        ("db", "", ""),
        ("db", "us-west-2", "us-west-2"),
        (PARAMETER, "", "cn-north-1"),
        (PARAMETER, "us-west-2", "us-west-2"),
        (arn_of("db"), "", ""),
        (PARAMETER, "eu-west-1", ""),
    ],
)
def test_a_given_region_counts_before_that_of_an_arn(secret_id, given, region):
    """The function's own region is empty, however it was given."""
    assert region == find_region(secret_id, given=given, own="eu-west-1")


@pytest.mark.parametrize(
    ("secret_id", "names"),
    [
        ("db", ("db",)),
        (arn_of("prod/db"), (arn_of("prod/db").rpartition(":")[2], "prod/db")),
        ("arn:aws:secretsmanager:eu-west-1:1:secret:db", ("db",)),
        (PARAMETER, ("/app/db", "app/db")),
    ],
)
def test_an_arn_may_hold_two_names(secret_id, names):
    """AWS's suffix may be part of a secret's name, and the slash part of a parameter's."""
    assert names == list_possible_names(secret_id)


@pytest.mark.parametrize("name", ["/app/db", "app/db", PARAMETER])
def test_a_parameters_name_is_expanded_to_the_full_one(name):
    """With or without its slash, and from an ARN."""
    assert "/app/db" == expand_parameter_name(name)


DB = arn_of("db")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("db", ("db", "", "", "")),
        (DB, (DB, "", "", "")),
        (f"{DB}:", (DB, "", "", "")),
        (f"{DB}:::", (DB, "", "", "")),
        (f"{DB}:password", (DB, "password", "", "")),
        (f"{DB}:password::", (DB, "password", "", "")),
        (f"{DB}::AWSPREVIOUS:", (DB, "", "AWSPREVIOUS", "")),
        (f"{DB}:::9d4cb84b", (DB, "", "", "9d4cb84b")),
        (f"{DB}:password:AWSPREVIOUS:9d4cb84b", (DB, "password", "AWSPREVIOUS", "9d4cb84b")),
        (f"{DB}:a:b:c:d", (f"{DB}:a:b:c:d", "", "", "")),
        (PARAMETER + ":a::", (PARAMETER + ":a::", "", "", "")),
        ("db:password::", ("db:password::", "", "", "")),
    ],
)
def test_a_reference_is_an_arn_with_a_key_and_a_version_behind_it(text, parts):
    """As a task definition of ECS has it; each part may be empty. Everything else is an id alone."""
    assert parts == SecretReference.parse(text)


@pytest.mark.parametrize(
    ("parameter_id", "parts"),
    [
        ("/app/db", ("/app/db", None, None)),
        ("/app/db:3", ("/app/db", "3", None)),
        ("db:stable", ("db", None, "stable")),
        (PARAMETER, (PARAMETER, None, None)),
        (f"{PARAMETER}:3", (PARAMETER, "3", None)),
        (f"{PARAMETER}:stable", (PARAMETER, None, "stable")),
        ("db:", ("db:", None, None)),
        (":3", (":3", None, None)),
        (":/app/db", (":/app/db", None, None)),
    ],
)
def test_a_selector_is_a_version_or_a_label(parameter_id, parts):
    """A name holds no colon; an ARN has its own ones."""
    assert parts == split_selector(parameter_id)
