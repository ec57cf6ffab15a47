"""
A client for any call and any settings, which imports aiobotocore when a call first needs it.

Importing aiobotocore takes longer than the rest of a cold start.
"""

import contextlib
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from secrets_cache.aws.client import ClientSettings
from secrets_cache.core.retry import RetryableError
from secrets_cache.errors import SecretUnavailable
from secrets_cache.system.lazy_import import LazyImport

if TYPE_CHECKING:
    from secrets_cache.aws.aiobotocore import AiobotocoreClient

_MODULE = "secrets_cache.aws.aiobotocore"


class LazyClient:
    """
    A `ServiceClient` by aiobotocore, imported when first needed.

    Args:
        settings: What it is created with.
        note_import: Called if this client was the first to import it.
    """

    def __init__(self, settings: ClientSettings, note_import: Callable[[], None] = lambda: None) -> None:
        self._note_import = note_import
        self._client: LazyImport[AiobotocoreClient] = LazyImport(
            _MODULE, lambda module: module.AiobotocoreClient(settings)
        )

    async def call(self, operation: str, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make one call, in one attempt, as `ServiceClient` says."""
        try:
            client = await self._load()
        except Exception as error:  # noqa: BLE001 - whatever the import of a damaged layer raises
            cause = f"aiobotocore could not be imported ({type(error).__name__})"
            raise RetryableError(SecretUnavailable(name, code="internal-error", cause=cause)) from None
        return await client.call(operation, name, arguments)

    async def import_library(self) -> None:
        """Import aiobotocore. If that fails, the next call raises the failure."""
        with contextlib.suppress(Exception):
            await self._load()

    async def _load(self) -> "AiobotocoreClient":
        is_new = _MODULE not in sys.modules
        client = await self._client.get()
        if is_new:
            self._note_import()
        return client

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()
        if self._client.created is not None:
            await self._client.created.aclose()
