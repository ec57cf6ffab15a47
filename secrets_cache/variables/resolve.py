"""From rules to variables: reads every value, and returns the variables to set or the reason why that failed."""

import logging
import os
from collections.abc import Collection, Iterable, Mapping

from secrets_cache.aws.advice import is_in_lambda
from secrets_cache.aws.errors import is_about_key, is_about_permission
from secrets_cache.config import VariablesFrom
from secrets_cache.errors import (
    KeyNotFound,
    SecretError,
    SecretNotFound,
    SecretRefused,
    VariablesFailed,
    VersionNotFound,
    add_advice,
)
from secrets_cache.variables.assignments import assign
from secrets_cache.variables.reader import SecretReader
from secrets_cache.variables.rules import Rule, make_rules

logger = logging.getLogger(__name__)

READ_ACTIONS = {"secret": "secretsmanager:GetSecretValue", "parameter": "ssm:GetParameter"}


async def resolve(
    env: Iterable[VariablesFrom], environ: Mapping[str, str], present: Collection[bytes], reader: SecretReader
) -> dict[bytes, bytes | None]:
    """
    Return the variables to set; None for a variable to unset.

    Args:
        env: The items of `env:` in config.yaml.
        environ: The function's variables, at least those that name secrets.
        present: The names of all of the function's variables.
        reader: Reads the values.

    Raises:
        VariablesFailed: A required value could not be read.
    """
    rules, in_lambda = make_rules(env, environ), is_in_lambda({os.fsdecode(name) for name in present} | environ.keys())
    for rule in rules:
        reader.start(rule.wanted)
    result: dict[bytes, bytes | None] = {}
    for rule in rules:
        try:
            value = await reader.read(rule.wanted)
            variables, refused = assign(rule, value, {*present, *result})
        except (SecretError, VariablesFailed) as error:
            reason = str(error) if isinstance(error, VariablesFailed) else explain(rule, error, in_lambda=in_lambda)
            if rule.env_item.required:
                raise VariablesFailed(reason) from None
            logger.warning("variables.skipped", {"source": rule.wanted.id, "reason": reason})
            continue
        result.update(variables)
        for one in refused:
            logger.warning("variable.refused", {"source": rule.wanted.id, **one._asdict()})
    return result


def explain(rule: Rule, error: SecretError, *, in_lambda: bool) -> str:
    """Return one sentence: what went wrong, and what to do where this program runs."""
    if isinstance(error, KeyNotFound):
        # The error does not know the name.
        what = "parameter" if rule.wanted.is_parameter else "secret"
        return f"{rule.origin}: {what} {rule.wanted.id!r} has no key {error.key!r}"
    advice = _advise(rule, error, in_lambda=in_lambda)
    return f"{rule.origin}: {add_advice(str(error), advice)}"


def _advise(rule: Rule, error: SecretError, *, in_lambda: bool) -> str:
    caller = "role" if in_lambda else "user or role of the AWS credentials"
    kind = "parameter" if rule.wanted.is_parameter else "secret"
    if isinstance(error, VersionNotFound):
        return "check its version or label"
    if isinstance(error, SecretNotFound) and error.place:
        return "check its name"
    if isinstance(error, SecretNotFound):
        return "check its name and its region" + (" (SECRET_REGION)" if rule.origin.startswith("SECRET_ARN") else "")
    if isinstance(error, SecretRefused):
        if error.what == "role":
            caller = "function's role" if in_lambda else caller
            trust = f"the role's trust policy must allow the {caller}, which needs sts:AssumeRole on this role"
            return trust if is_about_permission(error) else ""
        if is_about_key(error):
            return f"allow the {caller} kms:Decrypt on the key that encrypts this {kind}"
        if is_about_permission(error):
            return f"allow the {caller} {READ_ACTIONS[kind]} on this {kind}"
        return ""
    return ""
