"""
The engine: aiobotocore, complete, and imported only when a call needs it.

Its import takes longer than the rest of a cold start together. It is made in a thread, so that meanwhile others are
answered.
"""

import asyncio
import contextlib
import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

from secrets_cache.aws.secretsmanager import KEEPALIVE_SECONDS
from secrets_cache.core.clock import Clock
from secrets_cache.core.retry import RetryableError
from secrets_cache.core.single_flight import SingleFlight
from secrets_cache.errors import SecretUnavailable

if TYPE_CHECKING:
    from secrets_cache.aws.aiobotocore import Client

Service = Literal["secretsmanager", "ssm", "sts"]


class RoleCredentials(Protocol):
    """Whoever has the credentials of another role, and refreshes them."""

    def credentials(self) -> Any:  # noqa: ANN401 - botocore's, which is not imported here
        """Return them, as botocore has them."""
        ...

    def forget(self) -> None:
        """Let the next `credentials` begin anew."""
        ...


class Engine:
    """
    Makes any call, whatever the settings.

    Args:
        timeout_seconds: For connecting, and for an answer.
        keepalive_seconds: How long an idle connection is kept.
        region: AWS_REGION, which botocore does not read; None leaves it to what botocore does read.
        service: Whose calls they are, as botocore calls it.
        role: Whose they are; None for whoever botocore finds the credentials of.
        clock: What time it is.
    """

    def __init__(
        self,
        *,
        timeout_seconds: float,
        keepalive_seconds: float = KEEPALIVE_SECONDS,
        region: str | None,
        service: Service = "secretsmanager",
        role: RoleCredentials | None = None,
        clock: Clock,
    ) -> None:
        self._settings: dict[str, Any] = {
            "timeout_seconds": timeout_seconds,
            "keepalive_seconds": keepalive_seconds,
            "region": region,
            "service": service,
            "role": role,
            "clock": clock,
        }
        self._client: Client | None = None
        self._importing: SingleFlight[str, Client] = SingleFlight()

    async def call(self, operation: str, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make one call, once; return AWS's answer. Raises `SecretNotFound`, `SecretRefused` or `RetryableError`."""
        try:
            client = self._client or await self._importing.join("client", self._import)
        except Exception as error:  # noqa: BLE001 - whatever the import of a damaged layer raises
            cause = f"aiobotocore could not be imported ({type(error).__name__})"
            raise RetryableError(SecretUnavailable(name, code="internal-error", cause=cause)) from None
        return await client.call(operation, name, arguments)

    async def prepare(self) -> None:
        """Import aiobotocore; a call says so if that cannot be."""
        if self._client is None:
            with contextlib.suppress(Exception):
                await self._importing.join("client", self._import)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._importing.aclose()
        if self._client is not None:
            await self._client.aclose()

    async def _import(self) -> "Client":
        module = await asyncio.to_thread(importlib.import_module, "secrets_cache.aws.aiobotocore")
        self._client = module.Client(**self._settings)
        return self._client
