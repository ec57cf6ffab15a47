"""
The policy is sufficient and minimal: AWS, as `iam.Guard` plays it, refuses no call, and each part of it is needed.

That AWS understands it is what parliament says, a linter of policies, which knows AWS's list of actions.
"""

import asyncio
import copy
import json
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secrets_cache.app import build_cache, build_source
from secrets_cache.cli.iam_resources import Place
from secrets_cache.cli.policy_document import build_policy, find_roles
from secrets_cache.config import Config, parse
from secrets_cache.errors import SecretRefused
from secrets_cache.system.clock import SystemClock
from secrets_cache.variables.reader import SecretReader
from secrets_cache.variables.resolve import resolve
from tests.conftest import EXAMPLES
from tests.support.aws_cli import CLI, set_up_the_cli
from tests.support.fakes import CANARY
from tests.support.iam import Guard, Request, allows
from tests.support.upstream import ACCOUNT, REGION, Upstream

FOREIGN = "arn:aws:secretsmanager:us-east-1:111122223333:secret:"
PARAMETERS = f"arn:aws:ssm:eu-west-1:{ACCOUNT}:parameter/"
ROLE = "arn:aws:iam::999999999999:role/of/others"
SECOND_ROLE = f"arn:aws:iam::{ACCOUNT}:role/second"
DB_AND_X = "env: [{secret: db}, {parameter: /prod/x, as: X}]"
MANY = ", ".join(f"s{number}" for number in range(11))

# A configuration, the function's variables, and names that somebody asks for because `allow` covers them.
CASES: dict[str, tuple[str, dict[str, str], tuple[str, ...]]] = {
    "a name": ("secrets: [db]", {}, ()),
    "a name that looks like a whole ARN": ("secrets: [my-secret]", {}, ()),
    "two versions of one": ("secrets: [db, {id: db, name: old, version_stage: AWSPREVIOUS}]", {}, ()),
    "an ARN elsewhere": (f'secrets: ["{FOREIGN}db-AbC123", db]', {}, ()),
    "an ARN without its end": (f'secrets: ["{FOREIGN}db"]', {}, ()),
    "another region": ("secrets: [{id: db, region: us-west-2}, pin]", {}, ()),
    "eleven": (f"secrets: [{MANY}]", {}, ()),
    "eleven, never together": (f"secrets: [{MANY}]\nbatch: never", {}, ()),
    "eleven in two regions": (
        f"secrets: [{MANY}, {{id: s10, name: t, region: us-west-2}}]".replace(", s10,", ","),
        {},
        (),
    ),
    "one, always together": ("secrets: [db]\nbatch: always", {}, ()),
    "one old version, always together": ("secrets: [{id: db, version_stage: AWSPREVIOUS}]\nbatch: always", {}, ()),
    "one parameter": ("parameters: [/a/b]", {}, ()),
    "two parameters": ("parameters: [/a/b, c]", {}, ()),
    "eleven parameters": (f"parameters: [{', '.join(f'/p{number}' for number in range(11))}]", {}, ()),
    "two parameters in two places": (
        f"parameters: [/a, {{id: /b, role_arn: {ROLE}}}, {{id: /c, region: us-west-2}}]",
        {},
        (),
    ),
    "versions of parameters": ("parameters: [{id: /a, version: 3}, {id: /b, label: prod}, /c]", {}, ()),
    "the ARN of a parameter": (f'parameters: ["arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/a"]', {}, ()),
    "a path": ("parameters: [/prod/app/, /a]", {}, ()),
    "all there is": ("parameters: [/]", {}, ()),
    "a path by its ARN": (f'parameters: ["{PARAMETERS}prod/app/"]', {}, ()),
    "a secret as a parameter": ("parameters: [/aws/reference/secretsmanager/db]", {}, ()),
    "patterns": ("secrets: [prod/db]\nallow: [prod/*, 'a[bc]d', 'g?']", {}, ("prod/x", "abd", "gg")),
    "patterns of ARNs": (
        f'allow: ["{FOREIGN}prod/*", "{FOREIGN}*/db"]',
        {},
        (f"{FOREIGN}prod/x-AbCdEf", f"{FOREIGN}a/db"),
    ),
    "patterns of parameters": (
        f'allow: ["{PARAMETERS}prod/*", "{PARAMETERS}x/"]',
        {},
        (f"{PARAMETERS}prod/x", f"{PARAMETERS}prod/y/", f"{PARAMETERS}x/"),
    ),
    "every ARN": (
        'secrets: [db]\nallow: ["arn:*"]',
        {},
        ("db", f"{FOREIGN}x-AbCdEf", f"{PARAMETERS}a", f"{PARAMETERS}b/"),
    ),
    "roles": (
        f"secrets: [db, {{id: theirs, role_arn: {ROLE}}}, {{id: more, role_arn: {SECOND_ROLE}, region: us-west-2}}]",
        {},
        (),
    ),
    "eleven by a role": (
        f"secrets: [{', '.join(f'{{id: s{number}, role_arn: {ROLE}}}' for number in range(11))}]",
        {},
        (),
    ),
    "variables": ("env: [{secret: db}, {parameter: /prod/x}, {parameter: y, as: Y}]", {}, ()),
    "variables of what is listed by another name": (
        f"secrets: [{{id: prod/db, name: db, role_arn: {ROLE}}}]\nparameters: [/prod/]\n{DB_AND_X}",
        {},
        (),
    ),
    "references": ("", {"DB": "secretsmanager://prod/db#a", "FLAG": "ssm:///prod/flag"}, ()),
    "SECRET_ARN": ("", {"SECRET_ARN": f"{FOREIGN}db-AbCdEf,db", "ASSUME_ROLE_ARN": ROLE}, ()),
    "SECRET_REGION": ("", {"SECRET_ARN": "db", "SECRET_REGION": "us-west-2"}, ()),
}


def parse_valid(text: str) -> Config:
    """Return a configuration without a problem."""
    config = parse(text.encode(), file="config.yaml", environ={})
    assert () == config.problems
    return config


def build_policies(config: Config, environ: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return all policies that a configuration takes, by role."""
    place = Place(REGION, ACCOUNT)
    return {
        role: build_policy(config, place, environ=environ, role=role) for role in ("", *find_roles(config, environ))
    }


async def do_everything(config: Config, environ: Mapping[str, str], names: tuple[str, ...], url: str) -> None:
    """Do what extension and wrapper do with a configuration: prefetch, refresh, fetch on demand, make variables."""
    ours = {
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": f"{CANARY}-key",
        "AWS_ENDPOINT_URL": url,
        "HOME": "/nonexistent",
    }
    clock = SystemClock()
    async with build_source(config, ours, clock) as source:
        cache = build_cache(config, source, clock)
        await cache.prefetch()
        for item in config.listed:
            await source.fetch(item.ref)
        for name in names:
            await cache.get(name)
        await cache.aclose()
    async with SecretReader(
        cache=None, listed=config.listed, environ=ours, budget_seconds=config.fetch_timeout, clock=clock
    ) as reader:
        await resolve(config.env, {**environ, "AWS_REGION": REGION}, [], reader)


def shrink(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return a policy without each of its statements, without each resource, and without each value of a condition."""
    for number, statement in enumerate(document["Statement"]):
        without = copy.deepcopy(dict(document))
        del without["Statement"][number]
        yield statement["Sid"], without
        lists = [("Resource",)] + [("Condition", *path) for path in _list_paths(statement.get("Condition", {}))]
        for path in lists:
            values = _follow(statement, path)
            assert "*" == values or isinstance(values, list)
            for value in values if isinstance(values, list) and len(values) > 1 else ():
                without = copy.deepcopy(dict(document))
                _follow(without["Statement"][number], path).remove(value)
                yield f"{statement['Sid']}: {value}", without


def _list_paths(condition: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(operator, key) for operator, wanted in condition.items() for key in wanted]


def _follow(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


async def prove(upstream: Upstream, text: str, environ: Mapping[str, str], names: tuple[str, ...]) -> set[Request]:
    """Fail unless the policies of a configuration are sufficient and minimal; return what was asked for."""
    config = parse_valid(text)
    policies = build_policies(config, environ)
    upstream.fault = guard = Guard(policies)
    await do_everything(config, environ, names, upstream.url)

    assert set() == guard.refused
    for role, document in policies.items():
        asked = [request for request in guard.asked if request.role == role]
        assert all(isinstance(statement["Action"], str) for statement in document["Statement"])
        for what, less in shrink(document):
            assert not all(allows(less, request) for request in asked), f"{role}: nobody needs {what}"
    return guard.asked


@pytest.mark.parametrize("case", CASES)
async def test_a_policy_allows_all_that_is_called_and_nothing_that_is_not(case, upstream):
    """No call is refused, on demand or for variables; without any statement, resource or condition, one would be."""
    assert await prove(upstream, *CASES[case])


NAMES = ("db", "prod/x", "my-secret", f"{FOREIGN}db", f"{FOREIGN}other-AbC123")
PATHS = ("/a", "b", "/prod/x", "/prod/", "/", f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/z")
ACCESS = st.sampled_from([{}, {}, {"region": "us-west-2"}, {"role_arn": ROLE}, {"role_arn": ROLE, "external_id": "x1"}])


@st.composite
def configurations(draw) -> dict[str, Any]:
    """Return a configuration of some secrets, parameters, variables and patterns, in some places."""
    secrets = draw(st.lists(st.tuples(st.sampled_from(NAMES), ACCESS), max_size=4))
    many = draw(st.sampled_from([0, 0, 9, 11]))
    secrets += [(f"s{number}", {}) for number in range(many)]
    parameters = draw(st.lists(st.tuples(st.sampled_from(PATHS), ACCESS), max_size=4))
    wanted = draw(st.lists(st.sampled_from([("secret", "db"), ("secret", "n0"), ("parameter", "/prod/x")]), max_size=2))
    return {
        # A name for each, so that one may be there twice.
        "secrets": [{"id": one, "name": f"n{number}", **where} for number, (one, where) in enumerate(secrets)],
        "parameters": [{"id": one, "name": f"p{number}", **where} for number, (one, where) in enumerate(parameters)],
        "env": [{kind: one, **({"as": "V"} if kind == "parameter" else {})} for kind, one in wanted],
        "batch": draw(st.sampled_from(["auto", "never", "always"])),
    }


@settings(max_examples=6 * EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(configuration=configurations())
def test_any_policy_is_sufficient_and_minimal(configuration):
    """Whatever is listed, and wherever it is."""
    config = parse(json.dumps(configuration).encode(), file="config.yaml", environ={})
    listed = {item.name for item in config.listed}
    for kind in ("secrets", "parameters"):
        # Twice the same is a problem of the configuration, not of the policy.
        configuration[kind] = [item for item in configuration[kind] if item["name"] in listed]
    with Upstream() as upstream, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", upstream.url)
        asyncio.run(prove(upstream, json.dumps(configuration), {}, ()))


LINTER = """
import json, sys
from parliament import analyze_policy_string
policies = json.load(sys.stdin)
found = {name: analyze_policy_string(json.dumps(policy)).findings for name, policy in policies.items()}
json.dump({name: list(map(str, findings)) for name, findings in found.items()}, sys.stdout)
"""


def lint(policies: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what parliament finds in each of several policies."""
    set_up_the_cli()
    done = subprocess.run(
        [str(CLI / "bin" / "python"), "-W", "ignore", "-c", LINTER],
        input=json.dumps(policies),
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def test_a_linter_finds_no_fault():
    """Every action exists, every resource is one that the action takes, none is a star that need not be."""
    policies = {
        f"{case} {role}": document
        for case, (text, environ, _) in CASES.items()
        for role, document in build_policies(parse_valid(text), environ).items()
    }
    wrong = copy.deepcopy(policies["a name "])
    wrong["Statement"][0]["Action"] = "secretsmanager:GetSecret"
    found = lint({**policies, "wrong": wrong})

    assert "UNKNOWN_ACTION" in found.pop("wrong")[0]
    assert {case: [] for case in policies} == found


def test_the_judge_refuses_what_no_policy_allows(upstream):
    """A stub that lets all pass would prove nothing: without a part of its policy, the secret is refused."""
    config = parse_valid("secrets: [db]")
    for what, less in shrink(build_policies(config, {})[""]):
        upstream.fault = guard = Guard({"": less})
        with pytest.raises(SecretRefused):
            asyncio.run(do_everything(config, {}, (), upstream.url))
        assert guard.refused, what
