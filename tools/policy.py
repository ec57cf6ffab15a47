"""
The least-privilege IAM policy for a config.yaml: what the function's role must be allowed, and nothing more.

    python -m tools.policy CONFIG --region REGION --account ID [--partition aws]

Prints the policy as JSON with sorted keys. Exit codes: 0 good, 1 problems found, 2 usage.
"""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secrets_cache.config import Batch, Config, parse

# Above this many listed secrets, `batch: auto` means BatchGetSecretValue.
SINGLE_CALLS = 10
# Secrets Manager appends a hyphen and six characters to the name when it makes the ARN.
SUFFIX = "-??????"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the secrets that are given by name are: those of the function."""

    region: str
    account: str
    partition: str = "aws"


def policy(config: Config, place: Place) -> dict[str, Any]:
    """
    Return the policy for what `config` lists and allows.

    An ARN is taken exactly as it is where it ends as a complete one does, in a hyphen and six characters. A pattern's
    `[...]`, which IAM does not know, becomes `?`: slightly more than the pattern, and still one character.
    """
    listed = [
        *(_resource(secret.ref.secret_id, place) for secret in config.secrets),
        *(_resource(item.id, place) for item in config.env if not item.is_parameter),
    ]
    allowed = [_resource(re.sub(r"\[!?\]?[^\]]*\]", "?", pattern), place) for pattern in config.allow]
    secrets = sorted({*listed, *allowed})
    parameters = sorted({_parameter(item.id, place) for item in config.env if item.is_parameter})
    statements: list[dict[str, Any]] = []
    if secrets:
        statements += _reading("Secrets", "secretsmanager:GetSecretValue", "secretsmanager", secrets)
    if parameters:
        statements += _reading("Parameters", "ssm:GetParameter", "ssm", parameters)
    if _batches(config):
        action = "secretsmanager:BatchGetSecretValue"
        # It gives access to nothing by itself, and takes no other resource.
        statements.append({"Sid": "ReadSecretsTogether", "Effect": "Allow", "Action": action, "Resource": "*"})
    return {"Version": "2012-10-17", "Statement": statements}


def _reading(what: str, action: str, service: str, resources: list[str]) -> list[dict[str, Any]]:
    """Return the statements for reading `resources`, and for decrypting them through the service that has them."""
    regions = sorted({resource.split(":")[3] for resource in resources})
    via = {"StringLike": {"kms:ViaService": [f"{service}.{name}.amazonaws.com" for name in regions]}}
    return [
        {"Sid": f"Read{what}", "Effect": "Allow", "Action": action, "Resource": resources},
        {"Sid": f"Decrypt{what}", "Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*", "Condition": via},
    ]


def _parameter(name: str, place: Place) -> str:
    """Return the ARN of a parameter; a path's leading slash is the ARN's own."""
    if name.startswith("arn:"):
        return name
    return f"arn:{place.partition}:ssm:{place.region}:{place.account}:parameter/{name.removeprefix('/')}"


def _batches(config: Config) -> bool:
    return config.batch is not Batch.NEVER and len(config.secrets) > SINGLE_CALLS


def _resource(name: str, place: Place) -> str:
    """Return the ARN of a secret, or of the secrets whose names fit a pattern."""
    if not name.startswith("arn:"):
        name = f"arn:{place.partition}:secretsmanager:{place.region}:{place.account}:secret:{name}"
    elif name.count(":") < 6:
        # A pattern such as arn:aws:*, which IAM refuses: it stands for every ARN.
        return f"arn:{place.partition}:secretsmanager:*:*:secret:*"
    elif name.endswith("*") or re.search(r"-[A-Za-z0-9?]{6}$", name):
        return name
    return name + SUFFIX


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the policy for one file; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.policy",
        description="The least-privilege IAM policy for a config.yaml.",
        allow_abbrev=False,
    )
    parser.add_argument("config", type=Path)
    parser.add_argument("--region", required=True)
    parser.add_argument("--account", required=True)
    parser.add_argument("--partition", default="aws")
    given = parser.parse_args(arguments)
    try:
        data = given.config.read_bytes()
    except OSError as error:
        print(f"{given.config}: {error.strerror}", file=sys.stderr)
        return 1
    config = parse(data, file=str(given.config), environ={})
    problems = [str(problem) for problem in config.problems]
    if not problems and not (config.secrets or config.allow or config.env):
        found = "found no secret and no pattern; allowed: at least one under secrets, allow or env"
        problems = [f"{given.config}: {found}"]
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        return 1
    place = Place(given.region, given.account, given.partition)
    print(json.dumps(policy(config, place), indent=4, sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
