"""What a policy document names. That it is sufficient and minimal: tests/process/test_policy_proof.py."""

from typing import Any

import pytest

from secrets_cache.cli.iam_resources import Place
from secrets_cache.cli.policy_document import build_policy
from secrets_cache.config import Config, parse
from secrets_cache.errors import PlaceUnknown
from tests.support.upstream import ACCOUNT, REGION

OURS = f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:"
FOREIGN = "arn:aws:secretsmanager:us-east-1:111122223333:secret:"
ROLE = "arn:aws:iam::999999999999:role/of/others"


def parse_valid(text: str) -> Config:
    """Return a configuration without a problem."""
    config = parse(text.encode(), file="config.yaml", environ={})
    assert () == config.problems
    return config


def build(text: str, region: str = REGION, account: str = ACCOUNT) -> dict[str, Any]:
    """Return the policy for a configuration."""
    return build_policy(parse_valid(text), Place(region, account))


@pytest.mark.parametrize(
    ("text", "resources"),
    [
        ("secrets: [db]", [f"{OURS}db-??????"]),
        ("secrets: [db, {id: db, name: again, version_stage: AWSPREVIOUS}]", [f"{OURS}db-??????"]),
        ("secrets: [prod/a-secret]", [f"{OURS}prod/a-secret-??????"]),
        (f'secrets: ["{FOREIGN}db-AbC123"]', [f"{FOREIGN}db-AbC123"]),
        (f'secrets: ["{FOREIGN}db"]', [f"{FOREIGN}db-??????"]),
        ("allow: [prod/*]", [f"{OURS}prod/*-??????"]),
        ("secrets: [prod/x, x]\nallow: [prod/*]", [f"{OURS}prod/*-??????", f"{OURS}x-??????"]),
        ('allow: ["a[bc]d", "e[!f]", "g?"]', [f"{OURS}a?d-??????", f"{OURS}e?-??????", f"{OURS}g?-??????"]),
        ("allow: ['a?', 'a*']", [f"{OURS}a*-??????"]),
        (f'allow: ["{FOREIGN}prod/*"]', [f"{FOREIGN}prod/*"]),
        (f'allow: ["{FOREIGN}prod/*/db"]', [f"{FOREIGN}prod/*/db-??????"]),
        ('allow: ["arn:aws:secretsmanager:*"]', ["arn:aws:secretsmanager:*:*:secret:*"]),
    ],
)
def test_the_policy_names_what_is_listed(text, resources):
    """A name with the six characters that AWS appends, an ARN as it is, a pattern as a pattern."""
    read, decrypt = build(text)["Statement"]
    regions = sorted({resource.split(":")[3] for resource in resources})

    assert ("secretsmanager:GetSecretValue", resources) == (read["Action"], read["Resource"])
    assert ("kms:Decrypt", [f"arn:aws:kms:{region}:*:key/*" for region in regions]) == (
        decrypt["Action"],
        decrypt["Resource"],
    )
    assert {"StringLike": {"kms:ViaService": [f"secretsmanager.{region}.amazonaws.com" for region in regions]}} == (
        decrypt["Condition"]
    )


def test_patterns_that_cover_one_another_leave_one():
    """Patterns that cover each other do not both go."""
    (read, _) = build('allow: ["a*", "a**", "a*?"]')["Statement"]

    assert 1 == len(read["Resource"])


def test_a_version_of_a_parameter_is_no_resource():
    """IAM knows the parameter only. Two versions of one are read together with others, and allowed once."""
    single, together, _ = build("parameters: ['/x:3', {id: /x, label: stable}, /y]")["Statement"]

    assert [f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{name}" for name in "xy"] == single["Resource"]
    assert ("ssm:GetParameters", single["Resource"]) == (together["Action"], together["Resource"])


def test_a_name_needs_a_place():
    """A star in place of an unknown region or account would allow too much. An ARN needs no place."""
    for place, missing in ((Place("", ACCOUNT), "region"), (Place(REGION, ""), "account")):
        for text in ("secrets: [db]", "parameters: [/a]", "allow: [x*]"):
            with pytest.raises(PlaceUnknown) as caught:
                build_policy(parse_valid(text), place)
            assert missing == caught.value.what
    whole = f'secrets: ["{FOREIGN}db-AbC123", {{id: x, role_arn: {ROLE}, region: eu-west-1}}]'
    for role in ("", ROLE):
        assert build_policy(parse_valid(whole), Place("", ""), role=role)["Statement"]
