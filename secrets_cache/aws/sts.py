"""
AWS Security Token Service: the credentials of other roles.

Rules
-----
1. A role is assumed once, however many secrets it reads, and again before its credentials expire: aiobotocore does
   both, and this module only makes the call.
2. A refusal by STS is reported as the role's, not as the secret's.
"""

import asyncio
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from secrets_cache.aws.client import ClientSettings, is_printable, read_timestamp
from secrets_cache.aws.errors import make_malformed
from secrets_cache.aws.lazy_client import LazyClient
from secrets_cache.core.clock import Clock
from secrets_cache.core.retry import RetryableError
from secrets_cache.core.secret import AwsContext
from secrets_cache.errors import SecretError

if TYPE_CHECKING:
    from aiobotocore.credentials import AioDeferredRefreshableCredentials

# A session name is 2 to 64 characters, none of these.
# https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
_NOT_IN_A_SESSION_NAME = re.compile(r"[^\w+=,.@-]", re.ASCII)
# AWS sets no limit; its tokens have around a thousand characters.
MAX_TOKEN = 65536


class Role:
    """
    The credentials of one role, refreshed before they expire.

    Args:
        context: The role, and how it is assumed; `region` is that of STS, empty for the region that botocore finds.
        function: The function's name: part of the session's name, unless `context` gives one.
        timeout_seconds: Time for one call.
        clock: Tells the time.

    Attributes:
        arn: The role's ARN.
        was_given_up: Whether the last call was cancelled before it was answered.
    """

    def __init__(self, context: AwsContext, *, function: str, timeout_seconds: float, clock: Clock) -> None:
        self._context = context
        self.arn = context.role_arn
        name = f"secrets-cache-{_NOT_IN_A_SESSION_NAME.sub('-', function)}"[:64].rstrip("-")
        self._session_name = context.session_name or name
        self._client = LazyClient(ClientSettings("sts", context.region or None, timeout_seconds, clock))
        self._credentials: AioDeferredRefreshableCredentials | None = None
        self.was_given_up = False

    def __repr__(self) -> str:
        return f"Role({self.arn!r})"

    def credentials(self) -> "AioDeferredRefreshableCredentials":
        """Return credentials that ask STS when first needed, and again before they expire."""
        if self._credentials is None:
            from aiobotocore.credentials import AioDeferredRefreshableCredentials  # noqa: PLC0415 - slow to import

            # Not local time, which some values of TZ make impossible.
            self._credentials = AioDeferredRefreshableCredentials(
                self._assume, "assume-role", time_fetcher=lambda: datetime.now(UTC)
            )
        return self._credentials

    def forget(self) -> None:
        """Drop the credentials, so that the next call of `credentials` assumes the role again."""
        self._credentials = None

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def _assume(self) -> dict[str, str]:
        """Return credentials for an hour, as botocore wants them. Raises `SecretRefused` or `RetryableError`."""
        role_arn = self.arn
        arguments = {"RoleArn": role_arn, "RoleSessionName": self._session_name}
        if self._context.external_id:
            arguments["ExternalId"] = self._context.external_id
        try:
            return _to_metadata(role_arn, await self._client.call("assume_role", role_arn, arguments))
        except SecretError as error:
            error.what = "role"
            raise
        except RetryableError as reason:
            reason.error.what = "role"
            raise
        finally:
            self.was_given_up = isinstance(sys.exception(), asyncio.CancelledError)


def _to_metadata(role_arn: str, answer: Mapping[str, Any]) -> dict[str, str]:
    """Return the credentials of an answer under the names that botocore uses. Raises `RetryableError`."""
    given = answer.get("Credentials")
    if not isinstance(given, Mapping):
        raise make_malformed(role_arn)
    names = {"access_key": "AccessKeyId", "secret_key": "SecretAccessKey", "token": "SessionToken"}
    found = {name: str(given[key]) for name, key in names.items() if is_printable(given.get(key), MAX_TOKEN)}
    expires_at = read_timestamp(given.get("Expiration"))
    if len(found) < len(names) or expires_at is None:
        raise make_malformed(role_arn)
    return {**found, "expiry_time": datetime.fromtimestamp(expires_at, UTC).isoformat()}
