"""`secrets-cache policy`: what the function's role must be allowed, or a role that it assumes."""

import argparse
import json
import os
import re
import sys

from secrets_cache.aws.arn import Place, partition_of
from secrets_cache.cli.arguments import Usage
from secrets_cache.cli.iam_policy import policy, roles_of
from secrets_cache.cli.inputs import complain, configuration, function_variables
from secrets_cache.config import Config, values
from secrets_cache.errors import PlaceUnknown, VariablesFailed

KINDS = (
    ("region", values.REGION),
    ("account", values.Text(r"[0-9]{12}", "the 12 digits of an AWS account")),
    ("partition", values.Text(r"aws[a-z-]*", "a partition such as aws or aws-cn")),
    ("role", values.ROLE),
)


def run(given: argparse.Namespace) -> int:
    """Print the policy as JSON with sorted keys, or each problem in one line."""
    place = _place(given)
    # Not our own environment: it is not the function's.
    environ = function_variables(given.environment) if given.environment else {}
    file, config = configuration(given, environ)
    try:
        problems = [*map(str, config.problems), *_nothing(file.path, config, environ)]
        roles = roles_of(config, environ)
        document = policy(config, place, environ=environ, role=given.role)
    except VariablesFailed as error:
        problems = [*map(str, config.problems), error.reason]
    except PlaceUnknown as error:
        if not config.problems:
            raise Usage(f"{error}; --{error.what} says it") from None
        problems = [*map(str, config.problems)]
    for problem in problems:
        complain(problem)
    if problems:
        return 1
    if given.role and given.role not in roles:
        raise Usage(
            f"--role: found {given.role!r}; allowed: one of {', '.join(roles) or 'none, as no role is assumed'}"
        )
    sys.stdout.write(json.dumps(document, indent=4, sort_keys=True) + "\n")
    if roles and not given.role:
        complain(
            f"note: what these roles need is printed with --role, and they must trust this one: {', '.join(roles)}"
        )
    return 0


def _place(given: argparse.Namespace) -> Place:
    region = given.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""
    for option, kind in KINDS:
        text = getattr(given, option)
        try:
            if text:
                kind.parse(text)
        except values.Unacceptable:
            raise Usage(f"--{option}: found {text!r}; allowed: {kind.allowed}") from None
    return Place(region, given.account, given.partition or partition_of(region))


def _nothing(path: str, config: Config, environ: dict[str, str]) -> list[str]:
    if config.listed or config.allow or config.env or config.problems:
        return []
    if environ.get("SECRET_ARN") or any(re.match("(secretsmanager|ssm)://", value) for value in environ.values()):
        return []
    return [f"{path}: found no secret and no pattern; allowed: at least one under secrets, parameters, allow or env"]
