"""
The least-privilege IAM policy of a configuration: what a role must be allowed, and nothing more. Pure.

    Config and the function's variables -> refs and patterns -> which calls `Aws` makes for them -> statements

Rules
-----
1. One policy is one role's: the function's own, or that of a role which is assumed. They never share a statement.
2. What is granted is what is called: the thresholds of asking together are those of the code that asks.
3. Nothing twice: what a pattern covers is not named beside it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from secrets_cache.aws.arn import PARAMETERS, SECRETS, Place, allowed_by, parameter_arn, region_of, secret_arn
from secrets_cache.aws.parameterstore import TOGETHER
from secrets_cache.aws.source import batch_above
from secrets_cache.config import Config
from secrets_cache.core.secret import AwsContext, Ref
from secrets_cache.variables.rules import names_of, ref_of, rules_of

# A parameter of this name is a secret: https://docs.aws.amazon.com/systems-manager/latest/userguide/integration-ps-secretsmanager.html
REFERENCE = "/aws/reference/secretsmanager/"


class _Reads(NamedTuple):
    """What is read of one service: which action is used on which resource, and in which regions."""

    service: str
    used: tuple[tuple[str, str, str], ...]
    regions: tuple[str, ...]


def roles_of(config: Config, environ: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """Return the roles that are assumed, as `policy` takes them. Raises `VariablesFailed`."""
    return sorted({ref.access.role_arn for ref in _refs(config, environ, "")} - {""})


def policy(
    config: Config, place: Place, *, environ: Mapping[str, str] = MappingProxyType({}), role: str = ""
) -> dict[str, Any]:
    """
    Return the policy for what `config` and `environ` want.

    An ARN is taken exactly as it is where it ends as a complete one does, in a hyphen and six characters. A pattern's
    `[...]`, which IAM does not know, becomes `?`: slightly more than the pattern, and still one character.

    Args:
        config: What is listed, allowed, and wanted as variables.
        place: Where the function is.
        environ: The function's variables: SECRET_ARN and its companions, and references.
        role: The role whose policy it is, which is assumed for some of it; empty for the function's own role.

    Raises:
        PlaceUnknown: Something is given by name, and it is not known where that is.
        VariablesFailed: `environ` wants what cannot be meant.
    """
    refs = _refs(config, environ, place.region)
    if role:
        place = Place(place.region, role.split(":")[4], role.split(":")[1])
    mine = [ref for ref in refs if ref.access.role_arn == role]
    allowed = [one for pattern in config.allow for one in allowed_by(pattern, place)] if not role else []
    statements = [
        *_reading(_secrets(mine, allowed, place), place),
        *_reading(_parameters(config, mine, allowed, place, role), place),
    ]
    threshold = batch_above(config.batch)
    batches = _places([item.ref for item in config.secrets], place, role)
    if threshold is not None and any(len(together) > threshold for together in batches):
        # It gives access to nothing by itself, and takes no other resource.
        statements.append(_statement("ReadSecretsTogether", "secretsmanager:BatchGetSecretValue", "*"))
    assumed = sorted({ref.access.role_arn for ref in refs} - {""})
    if assumed and not role:
        statements.append(_statement("AssumeRoles", "sts:AssumeRole", assumed))
    return {"Version": "2012-10-17", "Statement": statements}


# What is wanted.


def _refs(config: Config, environ: Mapping[str, str], region: str) -> list[Ref]:
    """Return all that is asked for without anybody asking us: what is listed, and what becomes variables."""
    listed = names_of(config.listed)
    rules = rules_of(config.env, {**environ, "AWS_REGION": region})
    return [*(item.ref for item in config.listed), *(ref_of(rule.wanted, listed) for rule in rules)]


def _places(refs: Iterable[Ref], place: Place, role: str) -> list[list[Ref]]:
    """Return what `Aws` asks one client for, whose current version is wanted: only that is asked for together."""
    together: dict[AwsContext, list[Ref]] = {}
    for ref in refs:
        if ref.access.role_arn == role and ref.version_id is None and ref.version_stage is None and not ref.is_path:
            together.setdefault(ref.access._replace(region=region_of(ref, place)), []).append(ref)
    return list(together.values())


def _secrets(refs: Sequence[Ref], allowed: Sequence[tuple[str, str, str]], place: Place) -> _Reads:
    named = [ref for ref in refs if not ref.is_parameter]
    named += [
        ref._replace(secret_id=ref.secret_id.removeprefix(REFERENCE), is_parameter=False)
        for ref in refs
        if ref.is_parameter and ref.secret_id.startswith(REFERENCE)
    ]
    used = [("Secrets", "secretsmanager:GetSecretValue", secret_arn(ref, place)) for ref in named]
    patterns = [one for one in allowed if one[1].startswith(SECRETS)]
    regions = (*(region_of(ref, place) for ref in named), *(resource.split(":")[3] for _, _, resource in patterns))
    return _Reads(SECRETS, (*used, *patterns), regions)


def _parameters(
    config: Config, refs: Sequence[Ref], allowed: Sequence[tuple[str, str, str]], place: Place, role: str
) -> _Reads:
    named = [ref for ref in refs if ref.is_parameter]
    single = [ref for ref in named if not ref.is_path]
    chunks = [
        here[start : start + TOGETHER]
        for here in _places((item.ref for item in config.parameters), place, role)
        for start in range(0, len(here), TOGETHER)
    ]
    together = [ref for chunk in chunks if len(chunk) > 1 for ref in chunk]
    used = [
        *(("Parameters", "ssm:GetParameter", parameter_arn(ref, place)) for ref in single),
        *(("ParametersTogether", "ssm:GetParameters", parameter_arn(ref, place)) for ref in together),
        # Who may have a path may have all that is below it.
        *(("Paths", "ssm:GetParametersByPath", parameter_arn(ref, place)) for ref in named if ref.is_path),
    ]
    patterns = [one for one in allowed if one[1].startswith(PARAMETERS)]
    regions = (*(region_of(ref, place) for ref in named), *(resource.split(":")[3] for _, _, resource in patterns))
    return _Reads(PARAMETERS, (*used, *patterns), regions)


# What is granted.


def _reading(reads: _Reads, place: Place) -> list[dict[str, Any]]:
    """Return the statements for reading, and for decrypting through the service that has what is read."""
    by_action: dict[tuple[str, str], list[str]] = {}
    for what, action, resource in reads.used:
        by_action.setdefault((what, action), []).append(resource)
    if not by_action:
        return []
    regions = set(reads.regions)
    keys = [f"arn:{place.partition}:kms:{region}:*:key/*" for region in regions]
    through = [f"{reads.service}.{region}.amazonaws.com" for region in regions]
    decrypt = _statement("Secrets" if reads.service == SECRETS else "Parameters", "kms:Decrypt", _fewest(keys))
    return [
        *(_statement(f"Read{what}", action, _fewest(resources)) for (what, action), resources in by_action.items()),
        {
            **decrypt,
            "Sid": f"Decrypt{decrypt['Sid']}",
            "Condition": {"StringLike": {"kms:ViaService": _fewest(through)}},
        },
    ]


def _statement(sid: str, action: str, resource: "str | list[str]") -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": action, "Resource": resource}


def _fewest(texts: Iterable[str]) -> list[str]:
    """Return texts in which `*` and `?` are wildcards, in their order, without those that another one covers."""
    kept = sorted(set(texts))
    for text in list(kept):
        if any(other != text and _covers(other, text) for other in kept):
            kept.remove(text)
    return kept


def _covers(pattern: str, text: str) -> bool:
    """Return whether a pattern fits all that a text fits, which may be a pattern itself."""
    meanings = {"*": ".*", "?": "[^*]"}
    return re.fullmatch("".join(meanings.get(char) or re.escape(char) for char in pattern), text) is not None
