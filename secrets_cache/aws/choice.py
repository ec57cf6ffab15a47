"""
Which client makes the calls: the direct one where the settings are the common ones, else aiobotocore.

Rules
-----
1. Any setting that botocore reads, and that is not known here, is botocore's: nothing is guessed.
2. What is chosen, and why, is in the log, at DEBUG.
"""

import functools
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from secrets_cache.aws.client import KEEPALIVE_SECONDS, ClientSettings, Service, ServiceClient
from secrets_cache.aws.credentials import CredentialsProvider, find_provider
from secrets_cache.aws.direct import DirectClient
from secrets_cache.aws.endpoints import find_endpoint, find_obstacle
from secrets_cache.aws.lazy_client import LazyClient
from secrets_cache.aws.trust import TrustStore
from secrets_cache.config.environment import uses_fast_paths
from secrets_cache.core.clock import Clock
from secrets_cache.http1.connections import Connections

if TYPE_CHECKING:
    from secrets_cache.aws.sts import Role

logger = logging.getLogger(__name__)


class Clients:
    """
    Creates clients that share what they may: the credentials of the process, and the trusted certificates.

    Args:
        environ: The environment variables.
        timeout_seconds: Time for one call by aiobotocore.
        clock: Tells the time.
        keepalive_seconds: How long an idle connection is kept.
        create_library_client: Returns a client by aiobotocore.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        timeout_seconds: float,
        clock: Clock,
        keepalive_seconds: float = KEEPALIVE_SECONDS,
        create_library_client: Callable[[ClientSettings, Callable[[], None]], ServiceClient] = LazyClient,
    ) -> None:
        self._environ = environ
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._keepalive_seconds = keepalive_seconds
        self._trust = TrustStore(environ.get("AWS_CA_BUNDLE", ""))
        self._create_library_client = create_library_client
        self._has_imported = False
        self._provider = find_provider(environ, clock) if uses_fast_paths(environ) else None

    def create(self, service: Service, region: str = "", role: "Role | None" = None) -> ServiceClient:
        """Return a client of a service; `region` is empty for the region of the environment."""
        environ = {**self._environ, "AWS_REGION": region} if region else self._environ
        own_region = environ.get("AWS_REGION") or None
        settings = ClientSettings(
            service, own_region, self._timeout_seconds, self._clock, role, self._keepalive_seconds
        )
        provider: CredentialsProvider | None = role or self._provider
        found = find_endpoint(service, environ) if uses_fast_paths(environ) else None
        fields = {"service": service, "region": own_region}
        if found is None or provider is None:
            reason = _explain(environ) if found is None else "botocore must find the credentials"
            logger.debug("client.chosen", {**fields, "client": "aiobotocore", "reason": reason})
            return self._create_library_client(settings, functools.partial(self._note_import, reason))
        logger.debug("client.chosen", {**fields, "client": "direct", "reason": "the settings are common ones"})
        connections = Connections(
            found.endpoint, self._trust.context, keepalive_seconds=self._keepalive_seconds, clock=self._clock
        )
        return DirectClient(
            self._create_library_client(
                settings, functools.partial(self._note_import, f"an unexpected answer of {service}")
            ),
            connections,
            self._trust,
            service=service,
            region=found.region,
            provider=provider,
            clock=self._clock,
        )

    def is_container_silent(self) -> bool:
        """Return whether the last call was given up while it waited for the endpoint of the container's credentials."""
        return self._provider is not None and self._provider.was_given_up

    def _note_import(self, reason: str) -> None:
        if not self._has_imported:
            self._has_imported = True
            logger.info("engine.loaded", {"engine": "aiobotocore", "reason": reason})


def _explain(environ: Mapping[str, str]) -> str:
    """Return why botocore must find the endpoint."""
    if not uses_fast_paths(environ):
        return "SECRETS_CACHE_LANES=0"
    return find_obstacle(environ) or "the region or the endpoint's URL is not a common one"
