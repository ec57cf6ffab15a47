"""
Secrets and parameters as resources of IAM policies: ARNs, exact or with IAM's wildcards. No I/O.

Rules
-----
1. What is not known is not guessed: a star in its place would grant more than was asked for.
2. An ARN that was given is kept as it is; only the suffix that AWS appends to it is added where it is missing.
"""

import re
from fnmatch import fnmatchcase
from typing import NamedTuple

from secrets_cache.core.arn import Arn, find_region
from secrets_cache.core.secret import Ref
from secrets_cache.errors import PlaceUnknown

SECRETS, PARAMETERS = "secretsmanager", "ssm"
# Secrets Manager appends a hyphen and six characters to the name when it makes the ARN.
SUFFIX = "-??????"
# The colons of arn:partition:service:region:account:resource.
COLONS = 5


class Place(NamedTuple):
    """The region and the account of everything that is given by name. Empty if not known."""

    region: str
    account: str
    partition: str = "aws"


def resolve_region(ref: Ref, place: Place) -> str:
    """Return the region where `ref` is read. Raises `PlaceUnknown`."""
    of_names = place.region if Arn.parse(ref.secret_id) is None else ""
    return _require("region", find_region(ref.secret_id, given=ref.context.region) or of_names, ref.secret_id)


def _require(what: str, value: str, name: str) -> str:
    if not value:
        raise PlaceUnknown(what, name)
    return value


def _build_prefix(service: str, name: str, place: Place, region: str = "") -> str:
    account = _require("account", place.account, name)
    return f"arn:{place.partition}:{service}:{_require('region', region or place.region, name)}:{account}"


def build_secret_arn(ref: Ref, place: Place) -> str:
    """Return the ARN of a secret. Raises `PlaceUnknown`."""
    if Arn.parse(ref.secret_id) is not None:
        return _add_suffix(ref.secret_id)
    return f"{_build_prefix(SECRETS, ref.secret_id, place, resolve_region(ref, place))}:secret:{ref.secret_id}{SUFFIX}"


def _add_suffix(arn: str) -> str:
    return arn if arn.endswith("*") or re.search(r"-[A-Za-z0-9?]{6}$", arn) else arn + SUFFIX


def build_parameter_arn(ref: Ref, place: Place) -> str:
    """
    Return the ARN of a parameter or a path. Raises `PlaceUnknown`.

    The leading slash of a name is the ARN's own; the last one of a path is not part of the ARN.
    """
    name = ref.secret_id
    if Arn.parse(name) is None:
        name = (
            f"{_build_prefix(PARAMETERS, name, place, resolve_region(ref, place))}:parameter/{name.removeprefix('/')}"
        )
    return name if name.endswith(":parameter/") else name.rstrip("/")


def list_grants(pattern: str, place: Place) -> list[tuple[str, str, str]]:
    """
    Return what a pattern of `allow` makes possible: statement, action, resource. Raises `PlaceUnknown`.

    Only a pattern that begins as an ARN covers ARNs.
    """
    pattern = re.sub(r"\[!?\]?[^\]]*\]", "?", pattern)
    read = ("Secrets", "secretsmanager:GetSecretValue")
    arn = Arn.parse(pattern)
    if arn is None:
        return [(*read, f"{_build_prefix(SECRETS, pattern, place)}:secret:{pattern}{SUFFIX}")]
    # IAM refuses what has fewer fields than an ARN: such a pattern covers every ARN.
    is_complete = pattern.count(":") >= COLONS
    found = []
    if fnmatchcase(SECRETS, arn.service or "*"):
        resource = _add_suffix(str(arn._replace(service=SECRETS))) if is_complete else ""
        found.append((*read, resource or f"arn:{place.partition}:{SECRETS}:*:*:secret:*"))
    if fnmatchcase(PARAMETERS, arn.service or "*"):
        resource = str(arn._replace(service=PARAMETERS)) if is_complete else ""
        resource = resource or f"arn:{place.partition}:{PARAMETERS}:*:*:parameter/*"
        if not resource.endswith("/"):
            found.append(("Parameters", "ssm:GetParameter", resource))
        if resource.endswith(("/", "*", "?")):
            found.append(("Paths", "ssm:GetParametersByPath", resource.rstrip("/")))
    return found
