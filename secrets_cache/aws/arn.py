"""
Where something is in AWS, and what it is called there: ARNs, exact or with IAM's wildcards. Pure.

Rules
-----
1. What is not known is not guessed: a star in its place would mean more than was said.
2. What was given as an ARN is taken as it is; only what AWS appends to it is added where it is missing.
"""

import re
from fnmatch import fnmatchcase
from typing import NamedTuple

from secrets_cache.core.secret import Ref
from secrets_cache.errors import PlaceUnknown

SECRETS, PARAMETERS = "secretsmanager", "ssm"
# Secrets Manager appends a hyphen and six characters to the name when it makes the ARN.
SUFFIX = "-??????"
PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov", "us-iso-": "aws-iso", "us-isob-": "aws-iso-b"}
# arn:partition:service:region:account:resource
FIELDS = 6


class Place(NamedTuple):
    """Where everything is that is given by name: the region and the account of who asks. Empty if not known."""

    region: str
    account: str
    partition: str = "aws"


def partition_of(region: str) -> str:
    """Return the partition that a region is in."""
    return next((name for prefix, name in PARTITIONS.items() if region.startswith(prefix)), "aws")


def region_of(ref: Ref, place: Place) -> str:
    """Return where something is asked for. Raises `PlaceUnknown`."""
    parts = ref.secret_id.split(":")
    region = ref.access.region or (parts[3] if ref.secret_id.startswith("arn:") else place.region)
    return _known("region", region, ref.secret_id)


def _known(what: str, value: str, name: str) -> str:
    if not value:
        raise PlaceUnknown(what, name)
    return value


def _prefix(service: str, name: str, place: Place, region: str = "") -> str:
    account = _known("account", place.account, name)
    return f"arn:{place.partition}:{service}:{_known('region', region or place.region, name)}:{account}"


def secret_arn(ref: Ref, place: Place) -> str:
    """Return the ARN of a secret. Raises `PlaceUnknown`."""
    if ref.secret_id.startswith("arn:"):
        return _with_suffix(ref.secret_id)
    return f"{_prefix(SECRETS, ref.secret_id, place, region_of(ref, place))}:secret:{ref.secret_id}{SUFFIX}"


def _with_suffix(arn: str) -> str:
    return arn if arn.endswith("*") or re.search(r"-[A-Za-z0-9?]{6}$", arn) else arn + SUFFIX


def parameter_arn(ref: Ref, place: Place) -> str:
    """Return the ARN of a parameter or a path: its leading slash is the ARN's own, its last one is not in it."""
    name = ref.secret_id
    if not name.startswith("arn:"):
        name = f"{_prefix(PARAMETERS, name, place, region_of(ref, place))}:parameter/{name.removeprefix('/')}"
    return name if name.endswith(":parameter/") else name.rstrip("/")


def allowed_by(pattern: str, place: Place) -> list[tuple[str, str, str]]:
    """Return what a pattern of `allow` makes possible. Only one that begins as an ARN counts for ARNs."""
    pattern = re.sub(r"\[!?\]?[^\]]*\]", "?", pattern)
    read = ("Secrets", "secretsmanager:GetSecretValue")
    if not pattern.startswith("arn:"):
        return [(*read, f"{_prefix(SECRETS, pattern, place)}:secret:{pattern}{SUFFIX}")]
    parts = pattern.split(":", FIELDS - 1)
    found = []
    if fnmatchcase(SECRETS, (*parts, "", "*")[2] or "*"):
        # What has fewer parts than an ARN, IAM refuses: it stands for every ARN.
        arn = ":".join([*parts[:2], SECRETS, *parts[3:]]) if len(parts) == FIELDS else ""
        found.append((*read, _with_suffix(arn) if arn else f"arn:{place.partition}:{SECRETS}:*:*:secret:*"))
    if fnmatchcase(PARAMETERS, (*parts, "", "*")[2] or "*"):
        arn = ":".join([*parts[:2], PARAMETERS, *parts[3:]]) if len(parts) == FIELDS else ""
        arn = arn or f"arn:{place.partition}:{PARAMETERS}:*:*:parameter/*"
        if not arn.endswith("/"):
            found.append(("Parameters", "ssm:GetParameter", arn))
        if arn.endswith(("/", "*", "?")):
            found.append(("Paths", "ssm:GetParametersByPath", arn.rstrip("/")))
    return found
