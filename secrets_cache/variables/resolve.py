"""Rules and values put together: the variables that are to be set, or the one reason why they cannot be."""

import logging
from collections.abc import Collection, Iterable, Mapping

from secrets_cache.aws import is_about_key, is_about_permission
from secrets_cache.config import VariablesFrom
from secrets_cache.errors import (
    KeyNotFound,
    SecretError,
    SecretNotFound,
    SecretRefused,
    SecretUnavailable,
    VariablesFailed,
)
from secrets_cache.variables.assignments import assigned
from secrets_cache.variables.rules import Rule, rules_of
from secrets_cache.variables.sources import SecretReader

logger = logging.getLogger(__name__)

SERVICES = {"secret": "Secrets Manager", "parameter": "Systems Manager", "role": "STS"}


async def resolved(
    env: Iterable[VariablesFrom], environ: Mapping[str, str], present: Collection[bytes], sources: SecretReader
) -> dict[bytes, bytes | None]:
    """
    Return the variables that are to be set, None for one to be unset.

    Args:
        env: What `env:` in config.yaml says.
        environ: The function's variables, at least those that say what is wanted.
        present: The names of all of them.
        sources: Where values come from.

    Raises:
        VariablesFailed: One that is required cannot be had.
    """
    rules = rules_of(env, environ)
    for rule in rules:
        sources.start(rule.wanted)
    result: dict[bytes, bytes | None] = {}
    for rule in rules:
        try:
            value = await sources.value(rule.wanted)
            result.update(assigned(rule, value, {*present, *result}))
        except (SecretError, VariablesFailed) as error:
            reason = str(error) if isinstance(error, VariablesFailed) else why(rule, error)
            if rule.spread.required:
                raise VariablesFailed(reason) from None
            logger.warning("variables.skipped", {"source": rule.wanted.id, "reason": reason})
    return result


def why(rule: Rule, error: SecretError) -> str:
    """Return in one sentence what went wrong, and what to do."""
    if isinstance(error, KeyNotFound):
        # It does not know what it was asked by.
        what = "parameter" if rule.wanted.is_parameter else "secret"
        return f"{rule.origin}: {what} {rule.wanted.id!r} has no key {error.key!r}"
    advice = _advice(rule, error)
    return f"{rule.origin}: {error}{'; ' if advice else ''}{advice}"


def _advice(rule: Rule, error: SecretError) -> str:
    is_parameter = rule.wanted.is_parameter
    if isinstance(error, SecretNotFound):
        return "check its name and its region" + (" (SECRET_REGION)" if rule.origin.startswith("SECRET_ARN") else "")
    if isinstance(error, SecretRefused):
        if error.what == "role":
            trust = "its trust policy must let the function's role in, and that role needs sts:AssumeRole on it"
            return trust if is_about_permission(error) else ""
        if is_about_key(error):
            return "give the role kms:Decrypt on the key that encrypts it"
        if is_about_permission(error):
            action = "ssm:GetParameter" if is_parameter else "secretsmanager:GetSecretValue"
            return f"give the role {action} on it"
        return ""
    if isinstance(error, SecretUnavailable) and error.code == "timeout":
        service = SERVICES[error.what]
        return f"in a VPC, is there a NAT gateway or an endpoint for {service}?"
    return ""
