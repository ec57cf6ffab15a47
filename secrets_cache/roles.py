"""AWS Security Token Service: the credentials of another role."""

from collections.abc import Mapping
from typing import Any

from secrets_cache.attempts import within_budget
from secrets_cache.chance import chance
from secrets_cache.clock import Clock
from secrets_cache.errors import SecretError, SecretTimeout
from secrets_cache.secretsmanager import Credentials, Engine, malformed


async def assumed(role_arn: str, *, region: str, session_name: str, budget_seconds: float, clock: Clock) -> Credentials:
    """
    Return credentials of a role, for an hour.

    Args:
        role_arn: The role.
        region: Whose STS is asked; empty leaves it to what botocore reads.
        session_name: What CloudTrail shows.
        budget_seconds: For all attempts together.
        clock: What time it is.

    Raises:
        SecretRefused: AWS said so.
        SecretUnavailable: AWS could not be asked, or gave no usable answer.
    """
    engine = Engine(timeout_seconds=budget_seconds + 1, region=region or None, service="sts", clock=clock)
    arguments = {"RoleArn": role_arn, "RoleSessionName": session_name}

    async def attempt() -> Credentials:
        return _credentials(role_arn, await engine.call("assume_role", role_arn, arguments))

    try:
        return await within_budget(attempt, budget_seconds=budget_seconds, clock=clock, random=chance)
    except TimeoutError:
        failure: SecretError = SecretTimeout(role_arn, budget_seconds=budget_seconds)
    except SecretError as error:
        failure = error
    finally:
        await engine.aclose()
    failure.what = "role"
    raise failure from None


def _credentials(role_arn: str, answer: Mapping[str, Any]) -> Credentials:
    given = answer.get("Credentials")
    found = [given.get(name) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")] if given else []
    if not found or not all(isinstance(part, str) and part for part in found):
        raise malformed(role_arn)
    return Credentials(*found)
