"""
The fetch lane: the common call without botocore, whose import and client take longer than all the rest of a cold start.

Rules
-----
1. A lane, not a second behaviour: what it sends, botocore would sign alike; what it gives or raises, the engine would.
   The tests hold it to that. What it does not understand, it leaves to the engine.
2. It is taken only where every setting that botocore would read is known to mean the plain case and no other:
   credentials in the environment, the ordinary endpoint of a region or a plain URL, no proxy, no profile.
3. A certificate is trusted only if the engine would trust it. The few roots that AWS's endpoints chain to are tried
   first, since reading them takes a twentieth of the time that all of them take.
"""

import binascii
import json
import os
import re
import ssl
from collections.abc import Mapping
from typing import Any

from secrets_cache import __version__
from secrets_cache.aws.errors import from_aws, malformed, unavailable
from secrets_cache.aws.secretsmanager import KEEPALIVE_SECONDS, Calls
from secrets_cache.aws.signing import Credentials, signed
from secrets_cache.config.environment import uses_fast_paths
from secrets_cache.core.clock import Clock
from secrets_cache.http1.connections import BadResponse, Connections, Endpoint, Response

SERVICE = "secretsmanager"
OPERATIONS = {"get_secret_value": "GetSecretValue", "batch_get_secret_value": "BatchGetSecretValue"}
# Whatever else botocore reads: any of them set is reason enough to leave the call to it.
ELSEWHERE = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_DATA_PATH",
    "BOTO_CONFIG",
    "REQUESTS_CA_BUNDLE",
    *(name for scheme in ("HTTP", "HTTPS", "ALL") for name in (f"{scheme}_PROXY", f"{scheme.lower()}_proxy")),
)
FILES = ("config", "credentials")
# As botocore has it.
FIRST_ERROR = 300
# The regions of the partition "aws", whose endpoints are all named alike.
_REGION = re.compile(r"(us|eu|ap|sa|ca|me|af|il|mx)-(north|south|east|west|central)[a-z]*-[0-9]{1,2}")
_URL = re.compile(r"(https?)://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?/?")
_KEY = re.compile(r"[!-~]{8,}")


class _Unexpected(Exception):
    """An answer that the engine may understand."""


def in_front_of(
    engine: Calls, environ: Mapping[str, str], clock: Clock, keepalive_seconds: float = KEEPALIVE_SECONDS
) -> Calls:
    """Return what makes the calls: the lane, where the settings are the common ones, else the engine."""
    if not uses_fast_paths(environ):
        return engine
    endpoint = endpoint_of(environ)
    credentials = Credentials(
        environ.get("AWS_ACCESS_KEY_ID", ""),
        environ.get("AWS_SECRET_ACCESS_KEY", ""),
        environ.get("AWS_SESSION_TOKEN", ""),
    )
    is_plain = all(map(_KEY.fullmatch, filter(None, (credentials.token, credentials.access_key))))
    if endpoint is None or not is_plain or not credentials.access_key or not _KEY.fullmatch(credentials.secret_key):
        return engine
    trust = _Trust(environ.get("AWS_CA_BUNDLE", ""))
    connections = Connections(endpoint, trust.context, keepalive_seconds=keepalive_seconds, clock=clock)
    return Lane(engine, connections, trust, region=region_of(environ), credentials=credentials, clock=clock)


def region_of(environ: Mapping[str, str]) -> str:
    """Return the region that calls are made to; empty if none is named."""
    return environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or ""


def endpoint_of(environ: Mapping[str, str]) -> Endpoint | None:
    """Return where the calls go; None if that is for botocore to say."""
    if any(environ.get(name) for name in ELSEWHERE):
        return None
    home = environ.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 - no pathlib on the start path
    if any(os.path.exists(f"{home}/.aws/{file}") for file in FILES):  # noqa: PTH110
        return None
    region = region_of(environ)
    if not _REGION.fullmatch(region):
        return None
    url = environ.get("AWS_ENDPOINT_URL_SECRETS_MANAGER") or environ.get("AWS_ENDPOINT_URL") or ""
    if not url:
        return Endpoint(f"{SERVICE}.{region}.amazonaws.com", 443, is_secure=True)
    plain = _URL.fullmatch(url)
    if plain is None:
        return None
    scheme, host, port = plain.groups()
    is_secure = scheme == "https"
    number = int(port) if port else 443 if is_secure else 80
    return Endpoint(host.strip("[]"), number, is_secure=is_secure) if 0 < number < 65536 else None  # noqa: PLR2004


class Lane:
    """
    Calls with static credentials to one plain endpoint.

    Args:
        engine: Makes the calls that the lane does not understand.
        connections: To the endpoint, trusting what `trust` says.
        trust: Widened when the few roots are not enough.
        region: What is signed for.
        credentials: Who signs.
        clock: What time it is.
    """

    def __init__(
        self,
        engine: Calls,
        connections: Connections,
        trust: "_Trust",
        *,
        region: str,
        credentials: Credentials,
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._region = region
        self._credentials = credentials
        self._clock = clock
        self._trust = trust
        self._connections = connections

    async def call(self, operation: str, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make one call, once; return AWS's answer. Raises `SecretNotFound`, `SecretRefused` or `Passing`."""
        try:
            return self._understood(name, await self._post(operation, name, arguments))
        except _Unexpected:
            return await self._engine.call(operation, name, arguments)

    async def prepare(self) -> None:
        """Do nothing: all is here, and the engine is hardly ever needed."""

    async def aclose(self) -> None:
        """Close all connections, the engine's too."""
        await self._connections.aclose()
        await self._engine.aclose()

    async def _post(self, operation: str, name: str, arguments: Mapping[str, Any]) -> Response:
        headers = {
            "Host": self._connections.endpoint.authority,
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"{SERVICE}.{OPERATIONS[operation]}",
        }
        body = json.dumps(arguments).encode()
        try:
            try:
                return await self._send(headers, body)
            except ssl.SSLCertVerificationError:
                if not self._trust.widen():
                    raise
                return await self._send(headers, body)
        except ssl.SSLError:
            raise unavailable(name, "tls-failed") from None
        except (FileNotFoundError, UnicodeError):
            # No roots to be found; a host that is none.
            raise _Unexpected from None
        except ConnectionAbortedError:
            raise unavailable(name, "connection-closed") from None
        except OSError:
            raise unavailable(name, "connection-failed") from None
        except BadResponse:
            raise malformed(name) from None

    async def _send(self, headers: Mapping[str, str], body: bytes) -> Response:
        at = self._clock.now().wall
        of_call = signed(headers, body, credentials=self._credentials, region=self._region, service=SERVICE, at=at)
        return await self._connections.post({**of_call, "User-Agent": f"secrets-cache/{__version__}"}, body)

    def _understood(self, name: str, response: Response) -> Mapping[str, Any]:
        try:
            # As botocore has it: no body is an empty answer.
            answer = json.loads(response.body or b"{}")
        except (ValueError, RecursionError):
            answer = None
        if response.status < FIRST_ERROR:
            if not isinstance(answer, dict):
                raise malformed(name)
            return _as_botocore_has_it(answer)
        error = _error_of(response, answer if isinstance(answer, dict) else {})
        credentials = self._credentials
        raise from_aws(name, error, (credentials.secret_key, credentials.token, credentials.access_key))


def _error_of(response: Response, answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an error answer in the form that botocore gives it."""
    code = str(answer.get("__type") or "").partition(":")[0].rpartition("#")[2]
    message = answer.get("message", answer.get("Message"))
    return {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": response.status},
    }


def _as_botocore_has_it(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer, or a value of a batch's answer, with binary decoded."""
    binary = answer.get("SecretBinary")
    if binary is not None:
        try:
            answer["SecretBinary"] = binascii.a2b_base64(binary)
        except (binascii.Error, ValueError, TypeError):
            raise _Unexpected from None
    if isinstance(answer.get("CreatedDate"), str | bool):
        raise _Unexpected
    values = answer.get("SecretValues")
    if values is not None:
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            raise _Unexpected
        answer["SecretValues"] = [_as_botocore_has_it(value) for value in values]
    return answer


class _Trust:
    """The TLS context: first with the few roots of AWS's endpoints, then, if need be, with all that botocore trusts."""

    def __init__(self, ca_bundle: str) -> None:
        self._ca_bundle = ca_bundle
        self._context: ssl.SSLContext | None = None
        self._is_wide = bool(ca_bundle)

    def context(self) -> ssl.SSLContext:
        """Return the context to use. Raises OSError or ssl.SSLError if the bundle cannot be read."""
        if self._context is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_verify_locations(cafile=self._file())
            self._context = context
        return self._context

    def widen(self) -> bool:
        """Trust all that botocore trusts from now on; return whether that is more than before."""
        was_wide, self._is_wide, self._context = self._is_wide, True, None
        return not was_wide

    def _file(self) -> str:
        if self._ca_bundle:
            return self._ca_bundle
        if not self._is_wide:
            return os.path.join(os.path.dirname(__file__), "amazon_roots.pem")  # noqa: PTH118, PTH120
        import importlib.util  # noqa: PLC0415 - only a certificate of somebody else's needs it

        # Found without importing it.
        found = importlib.util.find_spec("botocore")
        if found is None or found.origin is None:
            raise FileNotFoundError("botocore")
        return os.path.join(os.path.dirname(found.origin), "cacert.pem")  # noqa: PTH118, PTH120
