"""
The least-privilege IAM policy document of a configuration. Pure.

    Config and the function's variables -> refs and patterns -> the calls that `AwsSource` makes for them -> statements

Rules
-----
1. A policy belongs to one role: the function's own, or one that the configuration assumes. They share no statement.
2. It grants the calls that are made: the thresholds for batch calls come from the code that makes the calls.
3. Nothing is granted twice: a resource that a pattern covers is not listed.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from secrets_cache.aws.parameterstore import BATCH_SIZE
from secrets_cache.aws.source import choose_batch_threshold
from secrets_cache.cli.iam_resources import (
    PARAMETERS,
    SECRETS,
    Place,
    build_parameter_arn,
    build_secret_arn,
    list_grants,
    resolve_region,
)
from secrets_cache.config import Config
from secrets_cache.core.arn import Arn, find_region
from secrets_cache.core.secret import AwsContext, Ref
from secrets_cache.variables.rules import find_ref, index_names, make_rules

# A parameter of this name is a secret: https://docs.aws.amazon.com/systems-manager/latest/userguide/integration-ps-secretsmanager.html
REFERENCE = "/aws/reference/secretsmanager/"
# One read: the name of its statement, its action, its resource, the region that is called.
_Read = tuple[str, str, str, str]


def find_roles(config: Config, environ: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """Return the ARNs of the roles that the configuration assumes, sorted. Raises `VariablesFailed`."""
    return sorted({ref.context.role_arn for ref in _collect_refs(config, environ, "")} - {""})


def build_policy(
    config: Config, place: Place, *, environ: Mapping[str, str] = MappingProxyType({}), role: str = ""
) -> dict[str, Any]:
    """
    Return the policy document for `config` and `environ`.

    An ARN that ends in a hyphen and six characters is complete, and is the resource as it is. `[...]` in a pattern,
    which IAM does not know, becomes `?`: slightly more than the pattern, but still one character.

    Args:
        config: The listed items, the `allow` patterns and `env:`.
        place: The region, account and partition of the function.
        environ: The function's variables, of which SECRET_ARN, SECRET_REGION, ASSUME_ROLE_ARN and references count.
        role: The ARN of an assumed role, for the policy of that role; empty for the function's own role.

    Raises:
        PlaceUnknown: A bare name was given, but its region or account is unknown.
        VariablesFailed: A variable in `environ` has an invalid value.
    """
    refs = _collect_refs(config, environ, place.region)
    if role:
        arn = Arn.parse(role)
        assert arn is not None  # noqa: S101 - the configuration allows nothing else
        place = Place(place.region, arn.account, arn.partition)
    mine = [ref for ref in refs if ref.context.role_arn == role]
    reads = [*_read_secrets(mine, place), *_read_parameters(config, mine, place, role)]
    if not role:
        allowed = [one for pattern in config.allow for one in list_grants(pattern, place)]
        reads += [(*one, find_region(one[2])) for one in allowed]
    statements = [*_make_statements(SECRETS, reads, place), *_make_statements(PARAMETERS, reads, place)]
    threshold = choose_batch_threshold(config.batch)
    batches = _group_batches([item.ref for item in config.secrets], place, role)
    if threshold is not None and any(len(together) > threshold for together in batches):
        # IAM takes no other resource for it; by itself it gives access to nothing.
        statements.append(_make_statement("ReadSecretsTogether", "secretsmanager:BatchGetSecretValue", "*"))
    assumed = sorted({ref.context.role_arn for ref in refs} - {""})
    if assumed and not role:
        statements.append(_make_statement("AssumeRoles", "sts:AssumeRole", assumed))
    return {"Version": "2012-10-17", "Statement": statements}


# What is read.


def _collect_refs(config: Config, environ: Mapping[str, str], region: str) -> list[Ref]:
    """Return everything that is fetched without a request: the listed items, and the values of variables."""
    listed = index_names(config.listed)
    rules = make_rules(config.env, {**environ, "AWS_REGION": region})
    return [*(item.ref for item in config.listed), *(find_ref(rule.wanted, listed) for rule in rules)]


def _group_batches(refs: Iterable[Ref], place: Place, role: str) -> list[list[Ref]]:
    """Return the refs that may share a batch call: for one region and role. Of secrets: current ones."""
    together: dict[AwsContext, list[Ref]] = {}
    for ref in refs:
        is_current = ref.version_id is None and ref.version_stage is None
        if ref.context.role_arn == role and (is_current or ref.is_parameter) and not ref.is_path:
            together.setdefault(ref.context._replace(region=resolve_region(ref, place)), []).append(ref)
    return list(together.values())


def _read_secrets(refs: Sequence[Ref], place: Place) -> list[_Read]:
    named = [ref for ref in refs if not ref.is_parameter]
    named += [
        ref._replace(secret_id=ref.secret_id.removeprefix(REFERENCE), is_parameter=False)
        for ref in refs
        if ref.is_parameter and ref.secret_id.startswith(REFERENCE)
    ]
    return [
        ("Secrets", "secretsmanager:GetSecretValue", build_secret_arn(ref, place), resolve_region(ref, place))
        for ref in named
    ]


def _read_parameters(config: Config, refs: Sequence[Ref], place: Place, role: str) -> list[_Read]:
    named = [ref for ref in refs if ref.is_parameter]
    chunks = [
        here[start : start + BATCH_SIZE]
        for here in _group_batches((item.ref for item in config.parameters), place, role)
        for start in range(0, len(here), BATCH_SIZE)
    ]
    together = [ref for chunk in chunks if len(chunk) > 1 for ref in chunk]
    reads = [
        *(("Parameters", "ssm:GetParameter", ref) for ref in named if not ref.is_path),
        *(("ParametersTogether", "ssm:GetParameters", ref) for ref in together),
        # Permission for a path covers every parameter below it.
        *(("Paths", "ssm:GetParametersByPath", ref) for ref in named if ref.is_path),
    ]
    return [(what, action, build_parameter_arn(ref, place), resolve_region(ref, place)) for what, action, ref in reads]


# The statements.


def _make_statements(service: str, reads: Sequence[_Read], place: Place) -> list[dict[str, Any]]:
    """Return the statements for reading from a service, and for decryption through it."""
    by_action: dict[tuple[str, str], list[str]] = {}
    regions = set()
    for what, action, resource, region in reads:
        if action.startswith(f"{service}:"):
            by_action.setdefault((what, action), []).append(resource)
            regions.add(region)
    if not by_action:
        return []
    keys = [f"arn:{place.partition}:kms:{region}:*:key/*" for region in regions]
    through = [f"{service}.{region}.amazonaws.com" for region in regions]
    sid = "DecryptSecrets" if service == SECRETS else "DecryptParameters"
    return [
        *(_make_statement(f"Read{what}", action, _drop_covered(found)) for (what, action), found in by_action.items()),
        {
            **_make_statement(sid, "kms:Decrypt", _drop_covered(keys)),
            "Condition": {"StringLike": {"kms:ViaService": _drop_covered(through)}},
        },
    ]


def _make_statement(sid: str, action: str, resource: "str | list[str]") -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": action, "Resource": resource}


def _drop_covered(texts: Iterable[str]) -> list[str]:
    """Return the patterns, sorted, without those that another one covers. `*` and `?` are wildcards."""
    kept = sorted(set(texts))
    for text in list(kept):
        if any(other != text and _covers(other, text) for other in kept):
            kept.remove(text)
    return kept


def _covers(pattern: str, text: str) -> bool:
    """Return whether `pattern` matches everything that `text`, perhaps a pattern itself, matches."""
    meanings = {"*": ".*", "?": "[^*]"}
    return re.fullmatch("".join(meanings.get(char) or re.escape(char) for char in pattern), text) is not None
