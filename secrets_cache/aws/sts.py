"""
AWS Security Token Service: the credentials of other roles.

Rules
-----
1. A role is assumed once, however many secrets it reads, and again before its credentials expire.
2. A refusal by STS is reported as the role's, not as the secret's.
"""

import re
from collections.abc import Mapping
from typing import Any

from secrets_cache.aws.client import ServiceClient, is_printable, read_timestamp
from secrets_cache.aws.credentials import MAX_TOKEN, Credentials
from secrets_cache.aws.errors import make_malformed
from secrets_cache.aws.renewal import Grant, RenewedCredentials
from secrets_cache.core.clock import Clock
from secrets_cache.core.retry import RetryableError
from secrets_cache.core.secret import AwsContext
from secrets_cache.errors import SecretError

# A session name is 2 to 64 characters, none of these.
# https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
_NOT_IN_A_SESSION_NAME = re.compile(r"[^\w+=,.@-]", re.ASCII)


class Role(RenewedCredentials):
    """
    The credentials of one role.

    Args:
        context: The role, and how it is assumed.
        client: Makes the calls to STS. Closed with this.
        function: The function's name: part of the session's name, unless `context` gives one.
        clock: Tells the time.

    Attributes:
        source: The role's ARN.
    """

    def __init__(self, context: AwsContext, client: ServiceClient, *, function: str, clock: Clock) -> None:
        super().__init__(clock)
        self._context = context
        self._client = client
        self.source = context.role_arn
        name = f"secrets-cache-{_NOT_IN_A_SESSION_NAME.sub('-', function)}"[:64].rstrip("-")
        self._session_name = context.session_name or name

    def __repr__(self) -> str:
        return f"Role({self.source!r})"

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def _fetch(self) -> Grant:
        role_arn = self.source
        arguments = {"RoleArn": role_arn, "RoleSessionName": self._session_name}
        if self._context.external_id:
            arguments["ExternalId"] = self._context.external_id
        try:
            return _to_grant(role_arn, await self._client.call("assume_role", role_arn, arguments))
        except SecretError as error:
            error.what = "role"
            raise
        except RetryableError as reason:
            reason.error.what = "role"
            raise


def _to_grant(role_arn: str, answer: Mapping[str, Any]) -> Grant:
    """Return what an answer grants. Raises `RetryableError`."""
    given = answer.get("Credentials")
    if not isinstance(given, Mapping):
        raise make_malformed(role_arn)
    parts: list[Any] = [given.get(key) for key in ("AccessKeyId", "SecretAccessKey", "SessionToken")]
    expires_at = read_timestamp(given.get("Expiration"))
    if not all(is_printable(part, MAX_TOKEN) for part in parts) or expires_at is None:
        raise make_malformed(role_arn)
    return Grant(Credentials(*parts), expires_at)
