"""
AWS Secrets Manager, through aiobotocore: one secret, or many at once.

Rules
-----
1. Only this module knows AWS's error codes. Outside it there are definite refusals and passing failures.
2. botocore makes one attempt a call; all attempts together have a budget, which is ours (`attempts`).
3. An answer's body may hold a secret: nothing of it is shown but AWS's error code and message.
4. Importing this is slow (aiobotocore): that is done when the extension has registered, not before.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import (
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

from secrets_cache.attempts import Passing, within_budget
from secrets_cache.clock import Clock, elapsed
from secrets_cache.errors import SecretError, SecretNotFound, SecretRefused, SecretUnavailable
from secrets_cache.flight import Flights
from secrets_cache.secret import Ref, Secret

if TYPE_CHECKING:
    from types_aiobotocore_secretsmanager import SecretsManagerClient

logger = logging.getLogger(__name__)

# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html
BATCH_SIZE = 20
BATCH_ABOVE = 10
MAX_CONNECTIONS = 20
# Shorter than any freeze worth the name: a pooled connection dies in it, and nobody tells us.
KEEPALIVE_SECONDS = 4

THROTTLED = frozenset(
    {
        "LimitExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
PASSING = frozenset(
    {
        "InternalFailure",
        "InternalServiceError",
        "InternalServiceErrorException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
    }
)
NO_CREDENTIALS = "no-credentials"
EXPIRED_CREDENTIALS = frozenset({"ExpiredToken", "ExpiredTokenException"})
EXPIRED_SIGNATURE = frozenset({"RequestExpired", "RequestTimeTooSkewed"})
# The same code says that the key is wrong, which is definite, and that the signature has expired, which is not.
WRONG_SIGNATURE = frozenset({"InvalidSignatureException", "SignatureDoesNotMatch"})
# What goes into header fields and log lines.
_PRINTABLE = re.compile(r"[\x21\x23-\x7e]{1,2048}")
_EXPIRED = re.compile("expired|not yet current")


class SecretsManager:
    """
    The source of secrets. An async context manager.

    The client is made when first needed, and made again when its credentials turn out to be missing or expired.

    Args:
        budget_seconds: For one secret, all attempts together.
        batch_above: With more secrets than this, `fetch_many` asks for them together; None for never.
        region: AWS_REGION, which botocore does not read; None leaves it to what botocore does read.
        clock: What time it is.
    """

    def __init__(self, *, budget_seconds: float, batch_above: int | None, region: str | None, clock: Clock) -> None:
        self._region = region
        self._budget_seconds = budget_seconds
        self._batch_above = batch_above
        self._clock = clock
        self._client: _Client | None = None
        self._opening: Flights[str, _Client] = Flights()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opening.aclose()
        if self._client is not None:
            await self._client.stack.aclose()

    async def fetch(self, ref: Ref) -> Secret:
        """
        Return one secret, asking up to three times within the budget.

        Raises:
            SecretNotFound, SecretRefused: AWS said so.
            SecretUnavailable: AWS could not be asked, or gave no usable answer.
        """
        return await self._fetch(ref, self._budget_seconds)

    async def fetch_many(self, refs: Sequence[Ref], deliver: Callable[[Ref, Secret | SecretError], None]) -> None:
        """
        Call `deliver` once for each of `refs`, as soon as it is known.

        Above `batch_above` of them, BatchGetSecretValue is asked first, for at most half of the budget; whatever it
        does not give, for any reason, is asked for one by one in what is left.
        """
        current = [ref for ref in refs if ref.version_id is None and ref.version_stage is None]
        if self._batch_above is None or len(current) <= self._batch_above:
            current = []
        singles = [ref for ref in refs if ref not in set(current)]
        chunks = [current[start : start + BATCH_SIZE] for start in range(0, len(current), BATCH_SIZE)]
        await asyncio.gather(
            *(self._deliver_chunk(chunk, deliver) for chunk in chunks),
            *(self._deliver(ref, self._budget_seconds, deliver) for ref in singles),
        )

    async def _deliver(
        self, ref: Ref, budget_seconds: float, deliver: Callable[[Ref, Secret | SecretError], None]
    ) -> None:
        try:
            deliver(ref, await self._fetch(ref, budget_seconds))
        except SecretError as error:
            deliver(ref, error)

    async def _deliver_chunk(self, chunk: Sequence[Ref], deliver: Callable[[Ref, Secret | SecretError], None]) -> None:
        began = self._clock.now()
        missing = list(chunk)
        try:
            for ref, secret in (await self._fetch_chunk(chunk)).items():
                deliver(ref, secret)
                missing.remove(ref)
        except SecretError as error:
            logger.warning("batch.refused", {"secrets": len(chunk), "code": error.code})
        left = max(self._budget_seconds - elapsed(began, self._clock.now()).seconds, self._budget_seconds / 2)
        await asyncio.gather(*(self._deliver(ref, left, deliver) for ref in missing))

    async def _fetch(self, ref: Ref, budget_seconds: float) -> Secret:
        arguments = {"SecretId": ref.secret_id, "VersionId": ref.version_id, "VersionStage": ref.version_stage}
        given = {name: value for name, value in arguments.items() if value is not None}

        async def attempt() -> Secret:
            return to_secret(ref.secret_id, await self._call("get_secret_value", ref.secret_id, given))

        return await within_budget(attempt, name=ref.secret_id, budget_seconds=budget_seconds, clock=self._clock)

    async def _fetch_chunk(self, chunk: Sequence[Ref]) -> dict[Ref, Secret]:
        """Return what one BatchGetSecretValue gives; what it leaves out or gives malformed is not in it."""
        name = f"{len(chunk)} secrets"

        async def attempt() -> Mapping[str, Any]:
            ids = [ref.secret_id for ref in chunk]
            try:
                return await self._call("batch_get_secret_value", name, {"SecretIdList": ids})
            except Passing as reason:
                if reason.at_once:
                    raise
                # Asking for each is the better second attempt: its quota is a hundred times the batch's.
                raise reason.error from None

        answer = await within_budget(attempt, name=name, budget_seconds=self._budget_seconds / 2, clock=self._clock)
        found: dict[Ref, Secret] = {}
        values = answer.get("SecretValues")
        if not isinstance(values, list):
            raise _malformed(name).error
        for value in values:
            try:
                secret = to_secret(name, value)
            except Passing:
                continue
            for ref in chunk:
                # An ARN without its last six characters is also an id.
                if ref.secret_id in {secret.arn, secret.name, secret.arn[:-7]}:
                    found[ref] = secret
        return found

    async def _call(self, operation: str, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make one call, once. Raises `SecretNotFound`, `SecretRefused` or `Passing`."""
        client = None
        try:
            client = self._client or await self._opening.join("client", self._open)
            answer: Mapping[str, Any] = await getattr(client.calls, operation)(**arguments)
        except ClientError as error:
            failure = from_aws(name, error.response)
        except Exception as error:  # noqa: BLE001 - whatever the client raises, AWS gave no usable answer
            failure = from_client(name, error)
        else:
            return answer
        if client is not None and client.credentials_may_change and _is_about_credentials(failure):
            await self._discard(client)
        raise failure

    async def _open(self) -> "_Client":
        config = AioConfig(
            # The budget ends an attempt; these only keep a client that outlives it from waiting for ever.
            connect_timeout=self._budget_seconds + 1,
            read_timeout=self._budget_seconds + 1,
            retries={"total_max_attempts": 1, "mode": "standard"},
            max_pool_connections=MAX_CONNECTIONS,
            # AWS judges what it is asked, not a copy of its rules.
            parameter_validation=False,
            connector_args={"keepalive_timeout": KEEPALIVE_SECONDS},
            user_agent_extra="secrets-cache",
        )
        session = get_session()
        credentials = await session.get_credentials()
        stack = AsyncExitStack()
        calls = await stack.enter_async_context(
            session.create_client("secretsmanager", region_name=self._region, config=config)
        )
        # Those in the environment of a process cannot become others.
        may_change = credentials is None or credentials.method != "env"
        self._client = _Client(calls, stack, may_change)
        return self._client

    async def _discard(self, client: "_Client") -> None:
        """Let the next call begin with a new client, which looks for credentials anew."""
        if self._client is client:
            self._client = None
            await client.stack.aclose()


@dataclass(frozen=True, slots=True)
class _Client:
    calls: "SecretsManagerClient"
    stack: AsyncExitStack
    credentials_may_change: bool


def _is_about_credentials(failure: SecretError | Passing) -> bool:
    code = failure.error.code if isinstance(failure, Passing) else failure.code
    return code == NO_CREDENTIALS or code in EXPIRED_CREDENTIALS


def to_secret(name: str, answer: Mapping[str, Any]) -> Secret:
    """
    Return the secret in an answer of GetSecretValue, or in one of BatchGetSecretValue's values.

    Raises:
        Passing: It is not of the documented form. What it holds instead is not told.
    """
    arn, own_name, version_id = (answer.get(key) for key in ("ARN", "Name", "VersionId"))
    text, binary, created = (answer.get(key) for key in ("SecretString", "SecretBinary", "CreatedDate"))
    try:
        value = text.encode() if isinstance(text, str) else binary
    except UnicodeEncodeError:
        value = None
    if not all(isinstance(part, str) and _PRINTABLE.fullmatch(part) for part in (arn, own_name, version_id)):
        value = None
    if not isinstance(value, bytes):
        raise _malformed(name)
    return Secret(
        arn=str(arn),
        name=str(own_name),
        version_id=str(version_id),
        created_at=created.timestamp() if isinstance(created, datetime) else None,
        value=value,
        is_text=isinstance(text, str),
    )


def _malformed(name: str) -> Passing:
    cause = "AWS's answer is not of the documented form"
    return Passing(SecretUnavailable(name, code="malformed-answer", cause=cause))


def from_aws(name: str, answer: Mapping[str, Any]) -> SecretError | Passing:
    """Return what an error answer means."""
    code = str(answer.get("Error", {}).get("Code", ""))
    message = " ".join(str(answer.get("Error", {}).get("Message", "")).split())[:300]
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "ResourceNotFoundException":
        return SecretNotFound(name)
    if code in EXPIRED_SIGNATURE or (code in WRONG_SIGNATURE and _EXPIRED.search(message)):
        cause = "AWS found the request's signature too old or too new"
        return Passing(SecretUnavailable(name, code=code, cause=cause), at_once=True)
    if code in EXPIRED_CREDENTIALS:
        return Passing(SecretUnavailable(name, code=code, cause="the AWS credentials have expired"), at_once=True)
    if code in THROTTLED or status == HTTPStatus.TOO_MANY_REQUESTS:
        return Passing(SecretUnavailable(name, code=code, cause="AWS is throttling the calls of this account"))
    if code in PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Passing(SecretUnavailable(name, code=code or str(status), cause=f"AWS answered with status {status}"))
    if not code or code.isdigit():
        cause = f"something that does not speak for AWS answered with status {status}"
        return Passing(SecretUnavailable(name, code="malformed-answer", cause=cause))
    return SecretRefused(name, code=code, aws_message=message)


_CLIENT_FAILURES: tuple[tuple[tuple[type[Exception], ...], str, str], ...] = (
    (
        (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError),
        NO_CREDENTIALS,
        "no AWS credentials are to be had: the function's execution role gives them",
    ),
    ((NoRegionError,), "no-region", "AWS_REGION is not set"),
    (
        (ProxyConnectionError, InvalidProxiesConfigError),
        "proxy-failed",
        "the proxy that HTTPS_PROXY names could not be used",
    ),
    ((SSLError,), "tls-failed", "the TLS connection to AWS could not be verified"),
    (
        (ConnectTimeoutError, EndpointConnectionError),
        "connection-failed",
        "no connection to AWS: in a VPC, is there a NAT gateway or an endpoint for Secrets Manager?",
    ),
    ((ReadTimeoutError,), "timeout", "AWS accepted the request, but did not answer"),
)


def from_client(name: str, error: Exception) -> Passing:
    """Return what an exception of the client means. Only its type counts: its text might hold anything."""
    if isinstance(error, ConnectionClosedError):
        cause = "AWS closed the connection before it had answered"
        return Passing(SecretUnavailable(name, code="connection-closed", cause=cause), at_once=True)
    for types, code, cause in _CLIENT_FAILURES:
        if isinstance(error, types):
            return Passing(SecretUnavailable(name, code=code, cause=cause))
    if isinstance(error, HTTPClientError):
        inner = type(error.kwargs.get("error")).__name__
        cause = f"the request to AWS could not be made ({inner}); are the proxy and AWS_CA_BUNDLE right?"
        return Passing(SecretUnavailable(name, code="request-failed", cause=cause))
    cause = f"AWS's answer could not be read ({type(error).__name__})"
    return Passing(SecretUnavailable(name, code="malformed-answer", cause=cause))
