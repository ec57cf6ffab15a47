"""Which variables are wanted, and from where."""

import pytest

from secrets_cache.config import VariablesFrom
from secrets_cache.core.secret import AwsContext, Ref
from secrets_cache.errors import VariablesFailed
from secrets_cache.variables.rules import Wanted, find_ref, index_names, make_rules
from tests.support.configuration import read_valid

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf"
ELSEWHERE = "arn:aws:secretsmanager:us-east-1:123456789012:secret:db-AbCdEf"
ROLE = "arn:aws:iam::123456789012:role/reader"


def wanted(env=(), **environ):
    """Return what is wanted in eu-west-1."""
    return [rule.wanted for rule in make_rules(env, {"AWS_REGION": "eu-west-1", **environ})]


def test_nothing_is_wanted_where_nothing_says_so():
    """An empty SECRET_ARN counts as not set; its companions alone say nothing, whatever they hold."""
    assert [] == wanted(
        SECRET_ARN=" ,", SECRET_REGION="nowhere", ASSUME_ROLE_ARN="x", API_TIMEOUT="soon", DB="secretsmanager:/"
    )


def test_the_later_source_comes_later():
    """SECRET_ARN, then env:, then references."""
    found = wanted([VariablesFrom("b")], R="secretsmanager://c#k", SECRET_ARN="a, a2")

    assert ["a", "a2", "b", "c"] == [one.id for one in found]


def test_the_companions_of_secret_arn_are_its_alone():
    """Region, role and time-out."""
    found = wanted(
        [VariablesFrom("b")], SECRET_ARN="a", SECRET_REGION="us-east-1", ASSUME_ROLE_ARN=ROLE, API_TIMEOUT="1500"
    )

    assert [Wanted("a", False, "us-east-1", ROLE, 1.5), Wanted("b")] == found


def test_the_time_out_has_a_default():
    """As the original's documentation has it; not set or empty. And a bound: an init does not take longer."""
    given: tuple[dict[str, str], ...] = ({}, {"API_TIMEOUT": ""}, {"API_TIMEOUT": "250"}, {"API_TIMEOUT": "1e9"})
    assert [5.0, 5.0, 0.25, 60.0] == [wanted(SECRET_ARN="a", **more)[0].budget_seconds for more in given]


@pytest.mark.parametrize(
    ("secret_id", "more", "region"),
    [
        (ARN, {}, ""),
        (ELSEWHERE, {}, "us-east-1"),
        (ELSEWHERE, {"SECRET_REGION": "us-west-2"}, "us-west-2"),
        ("db", {"SECRET_REGION": "eu-west-1"}, ""),
    ],
)
def test_the_region_is_the_one_given_else_the_arns_else_ours(secret_id, more, region):
    """Ours is no other region: the cache may then have it."""
    assert region == wanted(SECRET_ARN=secret_id, **more)[0].region


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("secretsmanager://prod/db#password", ("prod/db", False, "password")),
        ("secretsmanager://api-key", ("api-key", False, "")),
        (f"secretsmanager://{ARN}#/a/0", (ARN, False, "/a/0")),
        ("ssm:///prod/app/flag", ("/prod/app/flag", True, "")),
        ("ssm://flag#a#b", ("flag", True, "a#b")),
    ],
)
def test_a_reference_names_its_value(value, expected):
    """What stands behind the first # is a key, or a JSON pointer."""
    rule = make_rules([], {"DB": value})[0]

    assert expected == (rule.wanted.id, rule.wanted.is_parameter, rule.key)
    assert ("DB", "DB") == (rule.env_item.as_name, rule.origin)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"DB": "secretsmanager://"}, "DB: found ''; allowed: the name or ARN of a secret"),
        ({"DB": "ssm://a b"}, "DB: found 'a b'; allowed: the name, path or ARN of a parameter"),
        ({"SECRET_ARN": "a,b c"}, "SECRET_ARN: found 'b c'; allowed: the name or ARN"),
        ({"SECRET_ARN": "a", "SECRET_REGION": "here"}, "SECRET_REGION: found 'here'; allowed: an AWS region"),
        ({"SECRET_ARN": "a", "ASSUME_ROLE_ARN": "me"}, "ASSUME_ROLE_ARN: found 'me'; allowed: the ARN of an IAM role"),
        (
            {"SECRET_ARN": "a", "API_TIMEOUT": "5s"},
            "API_TIMEOUT: found '5s'; allowed: a number of milliseconds, more than 0",
        ),
        ({"SECRET_ARN": "a", "API_TIMEOUT": "nan"}, "API_TIMEOUT: found 'nan'"),
        ({"SECRET_ARN": "a", "API_TIMEOUT": "0"}, "API_TIMEOUT: found '0'"),
    ],
)
def test_what_cannot_be_meant_says_where_and_what_is_allowed(environ, said):
    """One sentence, with the variable, what it holds, and what it may hold."""
    with pytest.raises(VariablesFailed) as caught:
        wanted(**environ)

    assert said in str(caught.value)


PARAMETER_ARN = "arn:aws:ssm:eu-west-1:123456789012:parameter/x"


@pytest.mark.parametrize(
    ("listed", "reference", "ref"),
    [
        ("", "ssm:///x:3", Ref("/x", "3", is_parameter=True)),
        ("", "ssm:///x:stable", Ref("/x", None, "stable", is_parameter=True)),
        ("", f"ssm://{PARAMETER_ARN}:3", Ref(PARAMETER_ARN, "3", is_parameter=True)),
        ("'/x:3'", "ssm:///x:3", Ref("/x", "3", is_parameter=True)),
        ("{id: /x, version: 3, name: y}", "ssm:///x:3", Ref("/x", "3", is_parameter=True)),
        ("/app/", "ssm:///app/x:3", Ref("/app/x", "3", is_parameter=True)),
        ("/app/", "ssm:///app/x", Ref("/app/x", is_parameter=True)),
        (f"{{id: /app/, role_arn: {ROLE}}}", "ssm:///app/x:3", Ref("/app/x", "3", None, AwsContext("", ROLE), True)),
        ("'/app/x:3'", "ssm:///app/x", Ref("/app/x", is_parameter=True)),
    ],
)
def test_a_reference_may_select_a_version_or_a_label(listed, reference, ref):
    """As AWS writes it; the same version that is listed in another form is the same value."""
    names = index_names(read_valid(f"parameters: [{listed}]").listed)

    assert ref == find_ref(wanted(DB=reference)[0], names)
