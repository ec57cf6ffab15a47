"""
A client without botocore, whose import and first client take longer than the rest of a cold start.

Rules
-----
1. It behaves as `LazyClient` does: it sends what botocore would sign, and returns and raises the same. The tests
   compare the two. An answer that it does not understand, it leaves to the fallback.
2. It trusts a certificate only if botocore would.
"""

import ssl
from collections.abc import Mapping
from typing import Any

from secrets_cache import __version__
from secrets_cache.aws.client import ServiceClient
from secrets_cache.aws.credentials import Credentials, CredentialsProvider, SignedCalls
from secrets_cache.aws.errors import classify, make_malformed, make_unanswered, make_unusable_bundle
from secrets_cache.aws.protocols import OPERATIONS, Malformed, Operation, Unexpected, encode, read_answer, read_error
from secrets_cache.aws.signing import sign
from secrets_cache.aws.trust import TrustStore, UnusableBundle
from secrets_cache.core.clock import Clock
from secrets_cache.http1.connections import BadResponse, Connections, Response

# As in botocore.
FIRST_ERROR = 300
FIRST_SERVER_ERROR = 500


class DirectClient:
    """
    A `ServiceClient` of one service, with one endpoint.

    Args:
        fallback: Makes the calls whose answers this does not understand. Closed with this.
        connections: Connections to the endpoint, with the context of `trust`. Closed with this.
        trust: Widened when its few roots are not enough.
        service: The service, for the log.
        region: The region that requests are signed for.
        provider: Gives the credentials that sign requests.
        clock: Tells the time.
    """

    def __init__(
        self,
        fallback: ServiceClient,
        connections: Connections,
        trust: TrustStore,
        *,
        service: str,
        region: str,
        provider: CredentialsProvider,
        clock: Clock,
    ) -> None:
        self._fallback = fallback
        self._region = region
        self._calls = SignedCalls(provider, service)
        self._clock = clock
        self._trust = trust
        self._connections = connections

    async def call(self, operation: str, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make one call, in one attempt, as `ServiceClient` says; in a second one where newer credentials are found."""
        known = OPERATIONS[operation]

        async def attempt(credentials: Credentials) -> Mapping[str, Any]:
            return _interpret(known, name, await self._post(known, name, arguments, credentials), credentials)

        try:
            return await self._calls.make(name, attempt)
        except Unexpected:
            return await self._fallback.call(operation, name, arguments)

    async def import_library(self) -> None:
        """Do nothing: everything is imported, and the fallback is hardly ever needed."""

    async def aclose(self) -> None:
        """Close all connections, the fallback's too."""
        await self._connections.aclose()
        await self._fallback.aclose()

    async def _post(
        self, operation: Operation, name: str, arguments: Mapping[str, Any], credentials: Credentials
    ) -> Response:
        headers, body = encode(operation, arguments)
        signed = sign(
            {"Host": self._connections.endpoint.authority, **headers},
            body,
            credentials=credentials,
            region=self._region,
            service=operation.service,
            at_seconds=self._clock.now().wall,
        )
        was_wide = self._trust.is_wide
        try:
            return await self._connections.request(
                "POST", "/", {**signed, "User-Agent": f"secrets-cache/{__version__}"}, body
            )
        except UnusableBundle as error:
            raise make_unusable_bundle(name, error) from None
        except ssl.SSLError as error:
            # Other calls may have widened it meanwhile.
            if isinstance(error, ssl.SSLCertVerificationError) and not was_wide:
                self._trust.widen()
                return await self._post(operation, name, arguments, credentials)
            raise make_unanswered(name, "tls-failed") from None
        except (FileNotFoundError, UnicodeError):
            # There is no file of roots; the host's name is invalid.
            raise Unexpected from None
        except ConnectionAbortedError:
            raise make_unanswered(name, "connection-closed") from None
        except OSError:
            raise make_unanswered(name, "connection-failed") from None
        except BadResponse:
            raise make_malformed(name) from None


def _interpret(operation: Operation, name: str, response: Response, credentials: Credentials) -> Mapping[str, Any]:
    try:
        if response.status < FIRST_ERROR:
            return read_answer(operation, response.body)
        # As in botocore: such an answer is not AWS's own, and only its status counts.
        stripped = response.body.strip()
        is_generic = response.status >= FIRST_SERVER_ERROR and (not stripped or stripped.startswith(b"<html>"))
        code, message = ("", "") if is_generic else read_error(operation, response.body)
    except Malformed:
        raise make_malformed(name) from None
    raise classify(name, status=response.status, code=code, message=message, hidden=credentials.hidden())
