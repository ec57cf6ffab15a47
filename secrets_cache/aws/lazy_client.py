"""
A client for any call and any settings, which imports aiobotocore when a call first needs it.

Importing aiobotocore takes longer than the rest of a cold start.
"""

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from secrets_cache.aws.client import ClientSettings
from secrets_cache.core.retry import RetryableError
from secrets_cache.errors import SecretUnavailable
from secrets_cache.system.lazy_import import LazyImport

if TYPE_CHECKING:
    from secrets_cache.aws.aiobotocore import AiobotocoreClient


class LazyClient:
    """A `ServiceClient` by aiobotocore, imported when first needed."""

    def __init__(self, settings: ClientSettings) -> None:
        self._client: LazyImport[AiobotocoreClient] = LazyImport(
            "secrets_cache.aws.aiobotocore", lambda module: module.AiobotocoreClient(settings)
        )

    async def call(self, operation: str, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make one call, in one attempt, as `ServiceClient` says."""
        try:
            client = await self._client.get()
        except Exception as error:  # noqa: BLE001 - whatever the import of a damaged layer raises
            cause = f"aiobotocore could not be imported ({type(error).__name__})"
            raise RetryableError(SecretUnavailable(name, code="internal-error", cause=cause)) from None
        return await client.call(operation, name, arguments)

    async def import_library(self) -> None:
        """Import aiobotocore. If that fails, the next call raises the failure."""
        with contextlib.suppress(Exception):
            await self._client.get()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()
        if self._client.created is not None:
            await self._client.created.aclose()
