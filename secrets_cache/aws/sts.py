"""
AWS Security Token Service: the credentials of other roles.

Rules
-----
1. A role is assumed once, however many secrets are read by it, and again before its credentials end: aiobotocore does
   both, and we only make the call.
2. What STS says is the caller's answer: it is not made a failure of the secret's.
"""

import asyncio
import re
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from secrets_cache.aws import Engine, malformed, timestamp
from secrets_cache.core.clock import Clock
from secrets_cache.core.retry import RetryableError
from secrets_cache.core.secret import AwsContext
from secrets_cache.errors import SecretError

if TYPE_CHECKING:
    from aiobotocore.credentials import AioDeferredRefreshableCredentials

# STS: 2 to 64 of these.
_NOT_IN_A_SESSION_NAME = re.compile(r"[^\w+=,.@-]", re.ASCII)


class Role:
    """
    One role, and its credentials.

    Args:
        access: Which role, and how it is assumed; its region is whose STS is asked, empty for what botocore reads.
        function: The function's name, which the session gets where it has none of its own.
        timeout_seconds: For one call.
        clock: What time it is.

    Attributes:
        was_given_up: Whether the last call was given up before it was answered.
    """

    def __init__(self, access: AwsContext, *, function: str, timeout_seconds: float, clock: Clock) -> None:
        self._access = access
        name = f"secrets-cache-{_NOT_IN_A_SESSION_NAME.sub('-', function)}"[:64].rstrip("-")
        self._session_name = access.session_name or name
        self._engine = Engine(timeout_seconds=timeout_seconds, region=access.region or None, service="sts", clock=clock)
        self._credentials: AioDeferredRefreshableCredentials | None = None
        self.was_given_up = False

    def credentials(self) -> "AioDeferredRefreshableCredentials":
        """Return what asks STS when it is first needed, and again before the credentials end."""
        if self._credentials is None:
            from aiobotocore.credentials import AioDeferredRefreshableCredentials  # noqa: PLC0415 - slow to import

            self._credentials = AioDeferredRefreshableCredentials(self._assume, "assume-role")
        return self._credentials

    def forget(self) -> None:
        """Let the next `credentials` begin anew: AWS says that these have expired."""
        self._credentials = None

    async def aclose(self) -> None:
        """Close all connections."""
        await self._engine.aclose()

    async def _assume(self) -> dict[str, str]:
        """Return credentials for an hour, as botocore wants them. Raises `SecretRefused` or `RetryableError`."""
        role_arn = self._access.role_arn
        arguments = {"RoleArn": role_arn, "RoleSessionName": self._session_name}
        if self._access.external_id:
            arguments["ExternalId"] = self._access.external_id
        try:
            return _credentials(role_arn, await self._engine.call("assume_role", role_arn, arguments))
        except SecretError as error:
            error.what = "role"
            raise
        except RetryableError as reason:
            reason.error.what = "role"
            raise
        finally:
            self.was_given_up = isinstance(sys.exception(), asyncio.CancelledError)


def _credentials(role_arn: str, answer: Mapping[str, Any]) -> dict[str, str]:
    given = answer.get("Credentials") or {}
    names = {"access_key": "AccessKeyId", "secret_key": "SecretAccessKey", "token": "SessionToken"}
    found = {ours: str(given.get(theirs) or "") for ours, theirs in names.items()}
    ends_at = timestamp(given.get("Expiration"))
    if not all(found.values()) or ends_at is None:
        raise malformed(role_arn)
    return {**found, "expiry_time": datetime.fromtimestamp(ends_at).astimezone().isoformat()}
