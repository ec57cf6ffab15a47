"""
One call to Secrets Manager, or to a service beside it, through aiobotocore.

Rules
-----
1. botocore makes one attempt a call: trying again is up to who calls.
2. The client is made when first needed, and made again when its credentials turn out to be missing or expired.
3. A client that is replaced is closed when its last call has ended.
4. So is one whose connections are older than its pool believes: that one goes by the monotonic clock, which stands
   still in a SnapStart snapshot, and may in a freeze.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from aiohttp import ClientConnectorError, ClientOSError, ClientResponseError, ClientSSLError
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    InvalidProxiesConfigError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)

from secrets_cache.aws.errors import EXPIRED_CREDENTIALS, from_aws, malformed, unavailable
from secrets_cache.aws.secretsmanager import MAX_CONNECTIONS
from secrets_cache.aws.session import StrictSession
from secrets_cache.core.clock import Clock, elapsed
from secrets_cache.core.retry import RetryableError
from secrets_cache.core.single_flight import SingleFlight
from secrets_cache.errors import SecretError, SecretUnavailable
from secrets_cache.http1.connections import BadResponse

if TYPE_CHECKING:
    from aiobotocore.client import AioBaseClient
    from aiobotocore.credentials import AioCredentials

    from secrets_cache.aws.engine import RoleCredentials, Service

NO_CREDENTIALS = "no-credentials"
STILL_EXPIRED = "expired-credentials"
MIN_CREDENTIAL = 8


class Client:
    """
    The calls of one service, one attempt each.

    Args:
        timeout_seconds: For connecting, and for an answer: a call that outlives who waits for it ends by this.
        keepalive_seconds: How long an idle connection is kept.
        region: AWS_REGION, which botocore does not read; None leaves it to what botocore does read.
        service: As botocore calls it.
        role: Whose the calls are; None for whoever botocore finds the credentials of.
        clock: What time it is.
    """

    def __init__(
        self,
        *,
        timeout_seconds: float,
        keepalive_seconds: float,
        region: str | None,
        service: "Service",
        role: "RoleCredentials | None",
        clock: Clock,
    ) -> None:
        self._timeout_seconds = timeout_seconds
        self._keepalive_seconds = keepalive_seconds
        self._region = region
        self._service = service
        self._role = role
        self._clock = clock
        self._used = clock.now()
        self._open_client: _OpenClient | None = None
        self._opening: SingleFlight[str, _OpenClient] = SingleFlight()

    async def call(self, operation: str, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """
        Make one call, once; return AWS's answer.

        Raises:
            SecretNotFound, SecretRefused: AWS said so.
            Passing: AWS could not be asked, or its answer says that it may be asked again.
        """
        await self._discard_outdated()
        try:
            client = self._open_client or await self._opening.join("client", self._open)
        except Exception as error:  # noqa: BLE001 - botocore raises what it likes on a setting it dislikes
            raise from_opening(name, error) from None
        failure: SecretError | RetryableError
        async with client:
            try:
                # Within the `try`: what is no object is None here, and so may be what stands in a list.
                answer: Mapping[str, Any] = _with_timestamps(await getattr(client.calls, operation)(**arguments))
            except ClientError as error:
                failure = from_aws(name, error.response, client.credentials_sent())
            except (SecretError, RetryableError) as error:
                # The role's, whose credentials were asked for on the way.
                failure = error
            except Exception as error:  # noqa: BLE001 - whatever the client raises, AWS gave no usable answer
                failure = client.why_unsigned(name, error) or from_client(name, error)
            else:
                return answer
            finally:
                self._used = self._clock.now()
        if client.credentials_may_change and _is_about_credentials(failure):
            await self._discard(client)
        raise failure

    async def aclose(self) -> None:
        """Close all connections."""
        await self._opening.aclose()
        if self._open_client is not None:
            await self._open_client.stack.aclose()

    async def _open(self) -> "_OpenClient":
        config = AioConfig(
            # The budget ends an attempt; these only keep a call that outlives it from waiting for ever.
            connect_timeout=self._timeout_seconds,
            read_timeout=self._timeout_seconds,
            retries={"total_max_attempts": 1, "mode": "standard"},
            max_pool_connections=MAX_CONNECTIONS,
            # AWS judges what it is asked, not a copy of its rules.
            parameter_validation=False,
            # A name need not lead to the same place after a freeze; the clock of aiohttp's memory stands still in it.
            connector_args={"keepalive_timeout": self._keepalive_seconds, "use_dns_cache": False},
            http_session_cls=StrictSession,
            user_agent_extra="secrets-cache",
        )
        session = get_session()
        if self._role is not None:
            # As aiobotocore sets what its own chain of providers has found.
            session._credentials = self._role.credentials()  # type: ignore[attr-defined]  # noqa: SLF001
        credentials = await session.get_credentials()
        stack = AsyncExitStack()
        calls = await stack.enter_async_context(
            session.create_client(self._service, region_name=self._region, config=config)
        )
        self._open_client = _OpenClient(calls, stack, credentials)
        return self._open_client

    async def _discard_outdated(self) -> None:
        """Give up a client whose idle connections its pool would still use, though they are too old."""
        now, keepalive = self._clock.now(), self._keepalive_seconds
        is_old = elapsed(self._used, now).seconds >= keepalive
        if self._open_client is not None and is_old and now.monotonic - self._used.monotonic < keepalive:
            await self._discard(self._open_client)

    async def _discard(self, client: "_OpenClient") -> None:
        """Let the next call begin with a new client, which looks for credentials anew."""
        if self._open_client is client:
            self._open_client = None
            if self._role is not None:
                self._role.forget()
            await client.retire()


class _OpenClient:
    """A client of aiobotocore's, closed when it has been retired and its last call has ended."""

    def __init__(self, calls: "AioBaseClient", stack: AsyncExitStack, credentials: "AioCredentials | None") -> None:
        self.calls = calls
        self.stack = stack
        # Those in the environment of a process cannot become others.
        self.credentials_may_change = credentials is None or credentials.method not in {"env", "explicit"}
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

    def why_unsigned(self, name: str, error: Exception) -> RetryableError | None:
        """Return the failure of a call for which only expired credentials were to be had; None if it is another one."""
        # botocore has no exception of its own for that. Credentials that cannot expire have no such method.
        is_expired = getattr(self._credentials, "refresh_needed", None)
        is_so = isinstance(error, RuntimeError) and is_expired is not None and is_expired(refresh_in=0)
        return unavailable(name, STILL_EXPIRED) if is_so else None

    def credentials_sent(self) -> tuple[str, ...]:
        """Return what an answer may repeat, but nobody may see."""
        held = self._credentials
        # The properties of credentials that are refreshed would ask for new ones.
        names = ("_secret_key", "_token", "_access_key", "secret_key", "token", "access_key")
        values = [str(vars(held).get(name) or "") for name in names] if held is not None else []
        # Anything shorter is no credential, and part of many words.
        return tuple(value for value in values if len(value) >= MIN_CREDENTIAL)


def _with_timestamps(answer: Any) -> Any:  # noqa: ANN401 - whatever stands in an answer
    """Return an answer, or a part of one, with its times as seconds since the epoch, as AWS sent them."""
    if isinstance(answer, datetime):
        return answer.timestamp()
    if isinstance(answer, list):
        return [_with_timestamps(item) for item in answer]
    return {key: _with_timestamps(item) for key, item in answer.items()} if isinstance(answer, dict) else answer


def _is_about_credentials(failure: SecretError | RetryableError) -> bool:
    code = failure.error.code if isinstance(failure, RetryableError) else failure.code
    return code in {NO_CREDENTIALS, STILL_EXPIRED} or code in EXPIRED_CREDENTIALS


_FAILURES: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((ConnectionClosedError,), "connection-closed"),
    ((NoCredentialsError, PartialCredentialsError, CredentialRetrievalError), NO_CREDENTIALS),
    ((NoRegionError,), "no-region"),
    ((ProxyConnectionError, InvalidProxiesConfigError), "proxy-failed"),
    ((SSLError,), "tls-failed"),
    ((ConnectTimeoutError, EndpointConnectionError), "connection-failed"),
    ((ReadTimeoutError,), "timeout"),
)


def from_client(name: str, error: Exception) -> RetryableError:
    """Return what an exception of a call means. Only its type counts: its text might hold anything."""
    inner = error.kwargs.get("error") if isinstance(error, BotoCoreError) else None
    if isinstance(inner, ClientOSError) and not isinstance(inner, ClientConnectorError | ClientSSLError):
        # There was a connection, and it was reset.
        return unavailable(name, "connection-closed")
    for types, code in _FAILURES:
        if isinstance(error, types):
            return unavailable(name, code)
    if isinstance(inner, BadResponse | ClientResponseError):
        return malformed(name)
    if isinstance(error, HTTPClientError):
        cause = f"the request to AWS could not be made ({type(inner).__name__}); are the proxy and AWS_CA_BUNDLE right?"
        return RetryableError(SecretUnavailable(name, code="request-failed", cause=cause))
    if isinstance(error, BotoCoreError):
        return _misconfigured(name, error)
    cause = f"AWS's answer could not be read ({type(error).__name__})"
    return RetryableError(SecretUnavailable(name, code="malformed-answer", cause=cause))


def from_opening(name: str, error: Exception) -> RetryableError:
    """Return what an exception means that ended the making of a client: a setting, unless it is a known failure."""
    if isinstance(error, (BotoCoreError, HTTPClientError)):
        return from_client(name, error)
    return _misconfigured(name, error)


def _misconfigured(name: str, error: Exception) -> RetryableError:
    cause = (
        f"the AWS client could not be made ({type(error).__name__}); "
        "are AWS_REGION, AWS_PROFILE and the AWS_ENDPOINT_URL variables right?"
    )
    return RetryableError(SecretUnavailable(name, code="client-misconfigured", cause=cause))
