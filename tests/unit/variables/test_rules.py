"""Which variables are wanted, and from where."""

import pytest

from secrets_cache.config import ListedSecret, VariablesFrom
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
    """Not set or empty; and a bound: an init does not take longer."""
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


def listed(secret_id, **more):
    """Return what is listed: a secret in another version and by a role."""
    ref = Ref(secret_id, version_stage="AWSPENDING", context=AwsContext(role_arn=ROLE), **more)
    return index_names([ListedSecret(ref, secret_id)])


ECS = [
    (f"{ARN}:password::", "password", (None, None)),
    (f"{ARN}:password", "password", (None, None)),
    (f"{ARN}:::", "", (None, None)),
    (f"{ARN}::AWSPREVIOUS:", "", (None, "AWSPREVIOUS")),
    (f"{ARN}::AWSCURRENT:", "", (None, None)),
    (f"{ARN}:user:AWSCURRENT:9d4c", "user", ("9d4c", "AWSCURRENT")),
    (f"{ARN}:user::9d4c", "user", ("9d4c", None)),
]


@pytest.mark.parametrize(("reference", "key", "version"), ECS)
def test_what_ecs_writes_means_what_it_means_there(reference, key, version):
    """In a reference, in SECRET_ARN and in env: a secret, a key in it, and a version."""
    rules = make_rules(
        [VariablesFrom(reference, as_name="X"), VariablesFrom(reference, prefix="P_")],
        {"SECRET_ARN": reference, "R": f"secretsmanager://{reference}"},
    )

    assert {ARN} == {rule.wanted.id for rule in rules} == {rule.env_item.id for rule in rules}
    assert {version} == {find_ref(rule.wanted, {})[1:3] for rule in rules}
    assert ["", key, "", key] == [rule.key for rule in rules]
    include = (key,) if key else ()
    assert [include, (), include, ()] == [rule.env_item.include for rule in rules]
    assert ["SECRET_ARN", f"env: {reference}", f"env: {reference}", "R"] == [rule.origin for rule in rules]


def test_a_version_in_a_reference_is_read_as_the_list_says():
    """By its role; without a version in the reference, the listed one."""
    names = listed(ARN)
    (previous,), (plain,) = wanted(R=f"secretsmanager://{ARN}::AWSPREVIOUS:"), wanted(R=f"secretsmanager://{ARN}:k::")

    assert (ROLE, "AWSPREVIOUS") == (
        find_ref(previous, names).context.role_arn,
        find_ref(previous, names).version_stage,
    )
    assert (ROLE, "AWSPENDING") == (find_ref(plain, names).context.role_arn, find_ref(plain, names).version_stage)


@pytest.mark.parametrize(
    ("more", "role"),
    [({}, ROLE), ({"SECRET_REGION": "us-east-1"}, ROLE), ({"SECRET_REGION": "us-west-2"}, "")],
)
def test_the_arn_of_another_region_means_its_entry(more, role):
    """In every source; unless SECRET_REGION says that it is read in a region that is not the ARN's."""
    names = listed(ELSEWHERE)
    of_secret_arn, of_env, of_reference = wanted(
        [VariablesFrom(ELSEWHERE)], SECRET_ARN=ELSEWHERE, R=f"secretsmanager://{ELSEWHERE}", **more
    )

    assert role == find_ref(of_secret_arn, names).context.role_arn
    assert [ROLE, ROLE] == [find_ref(one, names).context.role_arn for one in (of_env, of_reference)]
    assert AwsContext("us-east-1", "") == find_ref(of_env, listed(ARN)).context


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
        ({"DB": f"secretsmanager://{ARN}:a:b:c:d"}, "or as ECS has it, ARN:key:stage:version"),
        ({"DB": f"secretsmanager://{ARN}:a:b c:"}, "DB: found '"),
        ({"DB": f"secretsmanager://{ARN}:::b c"}, "DB: found '"),
        ({"DB": "secretsmanager://db:password::"}, "DB: found 'db:password::'; allowed: the name or ARN"),
        ({"DB": f"secretsmanager://{ARN}:a::#b"}, "DB: found two keys, 'a' and 'b'; allowed: one"),
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


def test_one_key_of_an_item_becomes_one_variable():
    """Of a secret and of a parameter; a key behind an ARN is that key alone, whatever characters it holds."""
    env = read_valid(
        f"""env:
  - {{secret: prod/db, key: password, as: DB_PASSWORD}}
  - {{parameter: /x, key: /a/0, as: X}}
  - {{secret: '{ARN}:pass*::', prefix: DB_}}
"""
    ).env
    rules = make_rules(env, {"SECRET_ARN": f"{ARN}:a[b]::"})

    assert [
        ("", "", ("a[[]b]",)),
        ("password", "DB_PASSWORD", ()),
        ("/a/0", "X", ()),
        ("", "", ("pass[*]",)),
    ] == [(rule.key, rule.env_item.as_name, rule.env_item.include) for rule in rules]
