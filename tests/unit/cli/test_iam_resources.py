"""Secrets and parameters as resources of IAM policies. Whole policies: `tests/unit/cli/test_iam_policy.py`."""

import pytest

from secrets_cache.cli.iam_resources import (
    Place,
    build_parameter_arn,
    build_secret_arn,
    list_grants,
    resolve_region,
)
from secrets_cache.core.secret import AwsContext, Ref
from secrets_cache.errors import PlaceUnknown

PLACE = Place("eu-west-1", "123456789012")
ARN = "arn:aws:secretsmanager:us-east-1:999999999999:secret:db"
PREFIX = "arn:aws:secretsmanager:eu-west-1:123456789012:secret"


@pytest.mark.parametrize(
    ("ref", "region"),
    [
        (Ref("db"), "eu-west-1"),
        (Ref(ARN), "us-east-1"),
        (Ref("db", context=AwsContext("us-west-2")), "us-west-2"),
        (Ref(ARN, context=AwsContext("us-west-2")), "us-west-2"),
    ],
)
def test_a_region_is_the_one_given_else_the_arns_else_the_functions(ref, region):
    """As the source has it."""
    assert region == resolve_region(ref, PLACE)


@pytest.mark.parametrize(("ref", "place"), [(Ref("db"), Place("", "1")), (Ref("arn:aws:ssm"), PLACE)])
def test_a_region_that_is_not_known_is_not_guessed(ref, place):
    """A star would grant more than was asked for."""
    with pytest.raises(PlaceUnknown):
        resolve_region(ref, place)


def test_a_secrets_arn_has_six_characters_more_than_its_name():
    """They are added where they are missing."""
    assert f"{PREFIX}:db-??????" == build_secret_arn(Ref("db"), PLACE)
    assert [f"{ARN}-??????", f"{ARN}-AbCdEf", f"{ARN}-*"] == [
        build_secret_arn(Ref(arn), PLACE) for arn in (ARN, f"{ARN}-AbCdEf", f"{ARN}-*")
    ]


@pytest.mark.parametrize(
    ("name", "resource"), [("/p/x", "parameter/p/x"), ("x", "parameter/x"), ("/p/", "parameter/p"), ("/", "parameter/")]
)
def test_a_parameters_arn_has_one_slash_between(name, resource):
    """The last slash of a path is not in it."""
    found = build_parameter_arn(Ref(name, is_parameter=True), PLACE)
    assert f"arn:aws:ssm:eu-west-1:123456789012:{resource}" == found


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        ("prod/*", [("secretsmanager:GetSecretValue", f"{PREFIX}:prod/*-??????")]),
        ("prod/[ab]", [("secretsmanager:GetSecretValue", f"{PREFIX}:prod/?-??????")]),
        (f"{ARN}-*", [("secretsmanager:GetSecretValue", f"{ARN}-*")]),
        ("arn:aws:ssm:*:*:parameter/p/", [("ssm:GetParametersByPath", "arn:aws:ssm:*:*:parameter/p")]),
        ("arn:aws:ssm:*:*:parameter/p", [("ssm:GetParameter", "arn:aws:ssm:*:*:parameter/p")]),
        (
            "arn:*",
            [
                ("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:*:*:secret:*"),
                ("ssm:GetParameter", "arn:aws:ssm:*:*:parameter/*"),
                ("ssm:GetParametersByPath", "arn:aws:ssm:*:*:parameter/*"),
            ],
        ),
    ],
)
def test_what_a_pattern_makes_possible(pattern, allowed):
    """Of names secrets only; of ARNs what their service is."""
    assert allowed == [(action, resource) for _, action, resource in list_grants(pattern, PLACE)]
