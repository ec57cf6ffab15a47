"""
A client for any call, through aiobotocore.

Rules
-----
1. botocore makes one attempt for each call: another attempt is up to the caller.
2. The client is created when first needed. Each attempt is signed with credentials that were asked for just before: a
   role's, or those that botocore finds, which are looked for anew when they are missing, have expired, or are rejected.
3. A client that is replaced is closed when its last call has ended.
4. A client is replaced when its connections are older than their pool believes: the pool uses the monotonic
   clock, which stops in a SnapStart snapshot, and may stop in a freeze.
5. No redirect is followed, and no answer is read that is larger than any of AWS's. aiobotocore alone reads
   answers of any size, and follows redirects to any host, with the session token that signs the request.

Longer than most modules here: everything that knows aiobotocore and botocore is in one place.
"""

import os
import re
import ssl
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioCredentials
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import get_session
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigParseError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    InvalidProxiesConfigError,
    InvalidRegionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
    SSOError,
    TokenRetrievalError,
)

from secrets_cache.aws.client import MAX_CONNECTIONS, ClientSettings, read_text
from secrets_cache.aws.credentials import Credentials, SignedCalls
from secrets_cache.aws.errors import (
    NO_CREDENTIALS,
    STILL_EXPIRED,
    classify,
    make_malformed,
    make_unanswered,
    make_unusable_bundle,
)
from secrets_cache.aws.trust import UnusableBundle
from secrets_cache.core.clock import elapsed
from secrets_cache.core.retry import RetryableError
from secrets_cache.core.single_flight import SingleFlight
from secrets_cache.core.text import shorten
from secrets_cache.errors import SecretError, SecretUnavailable
from secrets_cache.http1.connections import MAX_BODY, BadResponse

if TYPE_CHECKING:
    from aiobotocore.client import AioBaseClient


class AiobotocoreClient:
    """A `ServiceClient` of any service, under any settings."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._clock = settings.clock
        self._used = settings.clock.now()
        self._open_client: _OpenClient | None = None
        self._opening: SingleFlight[str, _OpenClient] = SingleFlight()
        self._found = FoundCredentials()
        self._calls = SignedCalls(settings.role or self._found, settings.service)

    async def call(self, operation: str, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make one call, in one attempt, as `ServiceClient` says; in a second one where newer credentials are found."""
        await self._discard_outdated()
        return await self._calls.make(name, lambda credentials: self._attempt(credentials, operation, name, arguments))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._found.aclose()
        await self._opening.aclose()
        if self._open_client is not None:
            await self._open_client.stack.aclose()

    async def _find_client(self, name: str) -> "_OpenClient":
        try:
            return self._open_client or await self._opening.join("client", self._open)
        except Exception as error:  # noqa: BLE001 - botocore may raise any exception for an invalid setting
            raise classify_opening(name, error) from None

    async def _attempt(
        self, credentials: Credentials, operation: str, name: str, arguments: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        client = await self._find_client(name)
        client.sign_with(credentials)
        async with client:
            try:
                answer = await getattr(client.calls, operation)(**arguments)
            except ClientError as error:
                raise classify_error(name, error, credentials) from None
            except Exception as error:  # noqa: BLE001 - whatever the client raises, AWS gave no usable answer
                raise classify_exception(name, error) from None
            finally:
                self._used = self._clock.now()
        if not isinstance(answer, dict):
            # As botocore reads an answer of `null` or `[]`.
            raise make_malformed(name)
        return answer

    async def _open(self) -> "_OpenClient":
        config = AioConfig(
            # The budget ends an attempt; these end a call that outlives its attempt.
            connect_timeout=self._settings.timeout_seconds,
            read_timeout=self._settings.timeout_seconds,
            retries={"total_max_attempts": 1, "mode": "standard"},
            max_pool_connections=MAX_CONNECTIONS,
            # AWS judges requests, not a copy of its rules.
            parameter_validation=False,
            # After a freeze a name may have another address; the clock of aiohttp's DNS cache stops in it.
            connector_args={"keepalive_timeout": self._settings.keepalive_seconds, "use_dns_cache": False},
            http_session_cls=StrictSession,
            user_agent_extra="secrets-cache",
        )
        session = get_session()
        session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_read_timestamp)
        # As aiobotocore sets what its own chain of providers has found. Each attempt says what they are.
        credentials = session._credentials = AioCredentials("", "")  # type: ignore[attr-defined]  # noqa: SLF001
        stack = AsyncExitStack()
        calls = await stack.enter_async_context(
            session.create_client(self._settings.service, region_name=self._settings.region, config=config)
        )
        self._open_client = _OpenClient(calls, stack, credentials)
        return self._open_client

    async def _discard_outdated(self) -> None:
        """Discard a client whose idle connections are too old, where their pool would still use them."""
        now, keepalive = self._clock.now(), self._settings.keepalive_seconds
        is_old = elapsed(self._used, now).seconds >= keepalive
        if self._open_client is not None and is_old and now.monotonic - self._used.monotonic < keepalive:
            client, self._open_client = self._open_client, None
            # As under SnapStart: what was restored from a snapshot has other credentials now.
            self._found.forget()
            await client.retire()


class _OpenClient:
    """A client of aiobotocore's, closed when it has been retired and its last call has ended."""

    def __init__(self, calls: "AioBaseClient", stack: AsyncExitStack, credentials: AioCredentials) -> None:
        self.calls = calls
        self.stack = stack
        self._credentials = credentials
        self._under_way = 0
        self._is_retired = False

    async def __aenter__(self) -> None:
        self._under_way += 1

    async def __aexit__(self, *_: object) -> None:
        self._under_way -= 1
        await self._close_if_done()

    async def retire(self) -> None:
        """Take no part in further calls."""
        self._is_retired = True
        await self._close_if_done()

    async def _close_if_done(self) -> None:
        if self._is_retired and self._under_way == 0:
            await self.stack.aclose()

    def sign_with(self, credentials: Credentials) -> None:
        """Sign the calls that follow with these credentials."""
        held = self._credentials
        held.access_key, held.secret_key, held.token = credentials.access_key, credentials.secret_key, credentials.token


class FoundCredentials:
    """A `CredentialsProvider` of what botocore finds, and renews."""

    was_given_up = False

    def __init__(self) -> None:
        self.source = ""
        self._held: AioCredentials | None = None
        self._finding: SingleFlight[str, AioCredentials | None] = SingleFlight()

    async def get(self, name: str) -> Credentials:
        """Return credentials that are valid now, as `CredentialsProvider` says."""
        try:
            held = self._held or await self._finding.join("credentials", self._find)
        except Exception as error:  # noqa: BLE001 - botocore may raise any exception for an invalid setting
            raise _end_attempts(classify_opening(name, error)) from None
        if held is None:
            raise make_unanswered(name, NO_CREDENTIALS)
        try:
            found = await held.get_frozen_credentials()
        except Exception as error:  # noqa: BLE001 - the same
            self._held = None
            # botocore has no exception of its own for those that are expired, even anew.
            is_expired = getattr(held, "refresh_needed", None)
            if isinstance(error, RuntimeError) and is_expired is not None and is_expired(refresh_in=0):
                raise make_unanswered(name, STILL_EXPIRED) from None
            raise _end_attempts(classify_exception(name, error)) from None
        return Credentials(found.access_key or "", found.secret_key or "", found.token or "")

    def reject(self, credentials: Credentials) -> bool:  # noqa: ARG002 - none of them is good
        """Look for credentials anew; return False for those of the environment, which stay what they are."""
        self.forget()
        return self.source not in {"env", "explicit"}

    def forget(self) -> None:
        """Look for credentials anew."""
        self._held = None

    async def aclose(self) -> None:
        """Stop looking."""
        await self._finding.aclose()

    async def _find(self) -> AioCredentials | None:
        held = self._held = await get_session().get_credentials()
        self.source = "" if held is None else held.method
        return held


def _read_timestamp(value: object) -> object:
    """
    Return a timestamp as `ServiceClient` has it: a number as AWS sent it, a date as seconds since the epoch.

    botocore's own parser takes the way through local time, which some values of TZ make impossible.
    """
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        pass
    try:
        date = datetime.fromisoformat(value)
    except ValueError:
        return value
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()


# What exceptions mean.


def _end_attempts(failure: RetryableError) -> SecretError | RetryableError:
    """Return what ends the attempts of a call for want of credentials: what gives none has made attempts of its own."""
    return failure.error if failure.error.code == NO_CREDENTIALS else failure


def classify_error(name: str, error: ClientError, credentials: Credentials) -> SecretError | RetryableError:
    """Return what an error answer to a call with these credentials means."""
    told = error.response.get("Error", {})
    return classify(
        name,
        status=error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0),
        code=str(told.get("Code") or ""),
        # Bytes are the body of an answer that is not AWS's.
        message=read_text(told.get("Message")),
        hidden=credentials.hidden(),
    )


_CODES: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((ConnectionClosedError,), "connection-closed"),
    ((NoCredentialsError, PartialCredentialsError, CredentialRetrievalError), NO_CREDENTIALS),
    ((SSOError, TokenRetrievalError), STILL_EXPIRED),
    ((NoRegionError,), "no-region"),
    ((ProxyConnectionError, InvalidProxiesConfigError), "proxy-failed"),
    ((SSLError,), "tls-failed"),
    ((ConnectTimeoutError, EndpointConnectionError), "connection-failed"),
    ((ReadTimeoutError,), "timeout"),
)


def classify_exception(name: str, error: Exception) -> RetryableError:
    """Return what an exception of a call means. Only its type counts: its text might hold anything."""
    inner = error.kwargs.get("error") if isinstance(error, BotoCoreError) else None
    no_connection = aiohttp.ClientConnectorError | aiohttp.ClientSSLError
    if isinstance(inner, UnusableBundle):
        return make_unusable_bundle(name, inner)
    if isinstance(inner, aiohttp.ClientOSError) and not isinstance(inner, no_connection):
        # There was a connection, and it was reset.
        return make_unanswered(name, "connection-closed")
    for types, code in _CODES:
        if isinstance(error, types):
            failure = make_unanswered(name, code)
            if isinstance(error, PartialCredentialsError):
                missing = shorten(str(error.kwargs.get("cred_var", "")))
                failure.error.cause = f"the AWS credentials are incomplete: {missing} is missing"
            if isinstance(error, CredentialRetrievalError):
                provider = shorten(str(error.kwargs.get("provider", "")))
                failure.error.cause = f"the AWS credentials could not be retrieved ({provider})"
            return failure
    # The last two are how botocore fails on another encoding than UTF-8, and on `null`.
    if isinstance(inner or error, BadResponse | aiohttp.ClientResponseError | UnicodeDecodeError | AttributeError):
        return make_malformed(name)
    if isinstance(error, HTTPClientError):
        cause = f"the request to AWS could not be sent ({type(inner).__name__}); check the proxy and AWS_CA_BUNDLE"
        return RetryableError(SecretUnavailable(name, code="request-failed", cause=cause))
    if isinstance(error, BotoCoreError) or _explain_setting(error):
        return _misconfigured_client(name, error)
    cause = f"AWS's answer could not be read ({type(error).__name__})"
    return RetryableError(SecretUnavailable(name, code="malformed-answer", cause=cause))


def classify_opening(name: str, error: Exception) -> RetryableError:
    """Return what an exception means that was raised while a client was created: a bad setting, unless it is known."""
    if isinstance(error, (BotoCoreError, HTTPClientError)):
        return classify_exception(name, error)
    return _misconfigured_client(name, error)


def _misconfigured_client(name: str, error: Exception) -> RetryableError:
    cause = _explain_setting(error) or (
        f"the AWS client could not be created ({type(error).__name__}); "
        "check AWS_REGION, AWS_PROFILE and the AWS_ENDPOINT_URL variables"
    )
    return RetryableError(SecretUnavailable(name, code="client-misconfigured", cause=cause))


# As in botocore: by variable, the file without it.
_FILES = (("AWS_CONFIG_FILE", "~/.aws/config"), ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"))


def _explain_setting(error: Exception) -> str:
    """Return what is wrong with a setting, in words; empty if the exception does not tell."""
    if isinstance(error, ProfileNotFound):
        profile = shorten(str(error.kwargs.get("profile", "")))
        files = " nor ".join(os.environ.get(variable) or default for variable, default in _FILES)
        return f"the AWS profile {profile!r} is in neither {files}; check AWS_PROFILE"
    if isinstance(error, InvalidRegionError):
        return f"{shorten(str(error.kwargs.get('region_name', '')))!r} is not the name of a region; check AWS_REGION"
    if isinstance(error, ConfigParseError):
        return f"{shorten(str(error.kwargs.get('path', '')))} cannot be parsed as an AWS configuration file"
    if not isinstance(error, ValueError):
        return ""
    # As botocore and urllib word it. A URL with a user's name and password in it is not shown.
    if re.fullmatch(r"Port (out of range 0-65535|could not be cast to integer value as .*)", str(error)):
        return "the port of an endpoint or a proxy is not a port; check AWS_ENDPOINT_URL and the proxy"
    found = re.fullmatch(r"Invalid endpoint: ([^@]*)", str(error))
    if found is None:
        return ""
    lacks_scheme = re.fullmatch(r"[A-Za-z0-9.-]+(:[0-9]+)?/?", found[1])
    remedy = f", with a scheme, such as http://{shorten(found[1])}" if lacks_scheme else ""
    return f"{shorten(found[1])!r} is not the URL of an endpoint; set {_find_variable(found[1])} to one{remedy}"


def _find_variable(url: str) -> str:
    """Return the variable that botocore has a URL from."""
    names = (name for name, value in os.environ.items() if value == url and name.startswith("AWS_ENDPOINT_URL"))
    return next(names, "AWS_ENDPOINT_URL")


# The HTTP session: rule 5.


class StrictSession(AIOHTTPSession):
    """A session that follows no redirect, and reads no answer that is larger than any of AWS's."""

    # Neither is public, but there is no other hook. The tests fail if one ever has no effect.

    def _build_verify_context(self) -> ssl.SSLContext:
        try:
            return super()._build_verify_context()  # type: ignore[misc, no-any-return]
        except OSError as error:
            if not isinstance(self._verify, str):  # type: ignore[attr-defined]
                raise
            raise UnusableBundle(self._verify, error) from None  # type: ignore[attr-defined]

    async def _get_session(self, proxy_url: str | None) -> "_Session":
        return _Session(await super()._get_session(proxy_url))  # type: ignore[misc]


class _Session:
    """The part of aiohttp's session that aiobotocore uses."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def request(self, method: str, **details: Any) -> "_Response":  # noqa: ANN401 - what aiobotocore gives to aiohttp
        """Return the response to a request, read whole. Raises BadResponse if it is too large."""
        async with self._session.request(method, allow_redirects=False, **details) as response:
            return _Response(response, await _read(response))


class _Response:
    """The part of aiohttp's response that aiobotocore uses. Its repr shows the status only."""

    def __init__(self, response: aiohttp.ClientResponse, body: bytes) -> None:
        self.url = response.url
        self.status = response.status
        self.raw_headers = response.raw_headers
        self._body = body

    def __repr__(self) -> str:
        return f"_Response({self.status})"

    async def read(self) -> bytes:
        """Return the body."""
        return self._body


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    if (response.content_length or 0) > MAX_BODY:
        raise _refuse(response)
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MAX_BODY:
            raise _refuse(response)
    return bytes(body)


def _refuse(response: aiohttp.ClientResponse) -> BadResponse:
    # Or aiohttp would read it to its end, to use the connection again.
    response.close()
    return BadResponse(f"the body is longer than {MAX_BODY} bytes")
