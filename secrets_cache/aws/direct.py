"""
A client for the common call without botocore, whose import and first client take longer than the rest of a cold start.

Rules
-----
1. It behaves as `LazyClient` does: it sends what botocore would sign, and returns and raises the same. The tests
   compare the two. An answer that it does not understand, it leaves to the fallback.
2. It is used only where every setting that botocore would read has its common meaning: credentials in the environment,
   the ordinary endpoint of a region or a plain URL, no proxy, no profile.
3. It trusts a certificate only if botocore would.
"""

import binascii
import json
import ssl
from collections.abc import Mapping
from typing import Any, Final

from secrets_cache import __version__
from secrets_cache.aws.client import KEEPALIVE_SECONDS, ServiceClient, read_text
from secrets_cache.aws.credentials import Credentials, find_static
from secrets_cache.aws.endpoints import find_endpoint
from secrets_cache.aws.errors import classify, make_malformed, make_unanswered, make_unusable_bundle
from secrets_cache.aws.signing import sign
from secrets_cache.aws.trust import TrustStore, UnusableBundle
from secrets_cache.config.environment import uses_fast_paths
from secrets_cache.core.clock import Clock
from secrets_cache.http1.connections import BadResponse, Connections, Response

SERVICE: Final = "secretsmanager"
OPERATIONS = {"get_secret_value": "GetSecretValue", "batch_get_secret_value": "BatchGetSecretValue"}
# As in botocore.
FIRST_ERROR = 300


class _Unexpected(Exception):
    """An answer that the fallback may understand."""


def choose_client(
    fallback: ServiceClient, environ: Mapping[str, str], clock: Clock, keepalive_seconds: float = KEEPALIVE_SECONDS
) -> ServiceClient:
    """Return a direct client in front of `fallback` where the settings are the common ones, else `fallback`."""
    if not uses_fast_paths(environ):
        return fallback
    found, credentials = find_endpoint(SERVICE, environ), find_static(environ)
    if found is None or credentials is None:
        return fallback
    trust = TrustStore(environ.get("AWS_CA_BUNDLE", ""))
    connections = Connections(found.endpoint, trust.context, keepalive_seconds=keepalive_seconds, clock=clock)
    return DirectClient(fallback, connections, trust, region=found.region, credentials=credentials, clock=clock)


class DirectClient:
    """
    A `ServiceClient` of Secrets Manager, with static credentials and one plain endpoint.

    Args:
        fallback: Makes the calls whose answers this does not understand. Closed with this.
        connections: Connections to the endpoint, with the context of `trust`. Closed with this.
        trust: Widened when its few roots are not enough.
        region: The region that requests are signed for.
        credentials: The credentials that sign requests.
        clock: Tells the time.
    """

    def __init__(
        self,
        fallback: ServiceClient,
        connections: Connections,
        trust: TrustStore,
        *,
        region: str,
        credentials: Credentials,
        clock: Clock,
    ) -> None:
        self._fallback = fallback
        self._region = region
        self._credentials = credentials
        self._clock = clock
        self._trust = trust
        self._connections = connections

    async def call(self, operation: str, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make one call, in one attempt, as `ServiceClient` says."""
        try:
            return self._interpret(name, await self._post(operation, name, arguments))
        except _Unexpected:
            return await self._fallback.call(operation, name, arguments)

    async def import_library(self) -> None:
        """Do nothing: everything is imported, and the fallback is hardly ever needed."""

    async def aclose(self) -> None:
        """Close all connections, the fallback's too."""
        await self._connections.aclose()
        await self._fallback.aclose()

    async def _post(self, operation: str, name: str, arguments: Mapping[str, Any]) -> Response:
        headers = {
            "Host": self._connections.endpoint.authority,
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"{SERVICE}.{OPERATIONS[operation]}",
        }
        body = json.dumps(arguments).encode()
        signed = sign(
            headers,
            body,
            credentials=self._credentials,
            region=self._region,
            service=SERVICE,
            at_seconds=self._clock.now().wall,
        )
        try:
            return await self._connections.request(
                "POST", "/", {**signed, "User-Agent": f"secrets-cache/{__version__}"}, body
            )
        except UnusableBundle as error:
            raise make_unusable_bundle(name, error) from None
        except ssl.SSLError as error:
            if isinstance(error, ssl.SSLCertVerificationError) and self._trust.widen():
                return await self._post(operation, name, arguments)
            raise make_unanswered(name, "tls-failed") from None
        except (FileNotFoundError, UnicodeError):
            # There is no file of roots; the host's name is invalid.
            raise _Unexpected from None
        except ConnectionAbortedError:
            raise make_unanswered(name, "connection-closed") from None
        except OSError:
            raise make_unanswered(name, "connection-failed") from None
        except BadResponse:
            raise make_malformed(name) from None

    def _interpret(self, name: str, response: Response) -> Mapping[str, Any]:
        try:
            # As in botocore: no body is an empty answer, and only UTF-8 is one. Of bytes, `loads` guesses the encoding.
            answer = json.loads(response.body.decode() or "{}")
        except UnicodeDecodeError:
            raise make_malformed(name) from None
        except (ValueError, RecursionError):
            answer = None
        if response.status < FIRST_ERROR:
            if not isinstance(answer, dict):
                raise make_malformed(name)
            return _convert(answer)
        error = answer if isinstance(answer, dict) else {}
        credentials = self._credentials
        raise classify(
            name,
            status=response.status,
            # As in botocore: "com.amazonaws.secretsmanager#Code:http://...".
            code=str(error.get("__type") or "").partition(":")[0].rpartition("#")[2],
            message=read_text(error.get("message", error.get("Message"))),
            hidden=(credentials.secret_key, credentials.token, credentials.access_key),
        )


def _convert(answer: dict[str, Any]) -> dict[str, Any]:
    """
    Return an answer, or a value of a batch's answer, with the types that `ServiceClient` has: blobs are bytes.

    By hand, since botocore's parser is part of the import that is avoided here.
    """
    blob = answer.get("SecretBinary")
    if blob is not None:
        try:
            answer["SecretBinary"] = binascii.a2b_base64(blob)
        except (binascii.Error, ValueError, TypeError):
            raise _Unexpected from None
    if isinstance(answer.get("CreatedDate"), str | bool):
        raise _Unexpected
    values = answer.get("SecretValues")
    if values is not None:
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            raise _Unexpected
        answer["SecretValues"] = [_convert(value) for value in values]
    return answer
