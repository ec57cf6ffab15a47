"""`secrets-cache policy`: the IAM policy that the function's role needs, or a role that it assumes."""

import argparse
import json
import os
import sys

from secrets_cache.aws.endpoints import find_partition
from secrets_cache.cli.arguments import Usage
from secrets_cache.cli.iam_resources import Place
from secrets_cache.cli.inputs import find_unread_file, read_function_configuration, read_function_variables
from secrets_cache.cli.policy_document import build_policy, find_roles
from secrets_cache.cli.terminal import print_error
from secrets_cache.config import values
from secrets_cache.errors import PlaceUnknown, VariablesFailed, add_advice
from secrets_cache.system.files import ConfigFile

OPTIONS = (
    ("region", values.REGION),
    ("account", values.Text(r"[0-9]{12}", "the 12 digits of an AWS account")),
    ("partition", values.Text(r"aws[a-z-]*", "an AWS partition such as aws or aws-cn")),
    ("role", values.ROLE),
)


def run(given: argparse.Namespace) -> int:
    """Print the policy as JSON with sorted keys, or one line for each problem."""
    place = _read_place(given)
    # This command's own environment is not the function's.
    environ = read_function_variables(given.environment) if given.environment else {}
    file, config = read_function_configuration(given, environ)
    problems = [*map(str, config.problems)]
    try:
        roles = find_roles(config, environ)
        document = build_policy(config, place, environ=environ, role=given.role)
        if not (problems or given.role or document["Statement"]):
            problems.append(_explain_emptiness(file))
    except VariablesFailed as error:
        problems.append(error.reason)
    except PlaceUnknown as error:
        if not problems:
            raise Usage(_ask_for_place(error, place, given.role)) from None
    for problem in problems:
        print_error(problem)
    if problems:
        return 1
    if given.role and given.role not in roles:
        if not roles:
            raise Usage("--role: the configuration assumes no role")
        raise Usage(f"--role: found {given.role!r}; allowed: one of {', '.join(roles)}")
    sys.stdout.write(json.dumps(document, indent=4, sort_keys=True) + "\n")
    if roles and not given.role:
        note = "print the policies of these roles with --role; each must trust the function's role"
        print_error(f"note: {note}: {', '.join(roles)}")
    return 0


def _read_place(given: argparse.Namespace) -> Place:
    region = given.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""
    for option, value_type in OPTIONS:
        text = getattr(given, option)
        try:
            if text:
                value_type.parse(text)
        except values.InvalidValue:
            raise Usage(f"--{option}: found {text!r}; allowed: {value_type.allowed}") from None
    return Place(region, given.account, given.partition or find_partition(region) or "aws")


def _ask_for_place(error: PlaceUnknown, place: Place, role: str) -> str:
    # The account of a role is in its ARN.
    if error.what == "region" and not (place.account or role):
        both = "give them with --region and --account"
        return f"{error.name!r} is a name, not an ARN, and its region and account are unknown; {both}"
    return f"{error}; give it with --{error.what}"


def _explain_emptiness(file: ConfigFile) -> str:
    if not file.exists:
        return add_advice(f"{file.path}: no such file", find_unread_file())
    return f"{file.path}: nothing is listed; add an entry under secrets, parameters, allow or env"
