"""
Credentials that sign requests, and where they come from.

Rules
-----
1. No credential shows in a repr, a log line or an error.
2. Credentials that AWS rejected are not given again without asking their source anew.
3. The source is the one that botocore would find. Where botocore would look at anything else first, it finds them.
"""

import logging
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol, TypeVar

from secrets_cache.aws.endpoints import find_obstacle
from secrets_cache.aws.errors import is_about_credentials, may_be_revoked
from secrets_cache.core.clock import Clock
from secrets_cache.core.retry import RetryableError
from secrets_cache.errors import SecretError

T = TypeVar("T")

CONTAINER_VARIABLES = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
# botocore looks at these, too, before it asks the container.
_BEFORE_CONTAINER = ("AWS_CREDENTIAL_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE")
_FILES_BEFORE_CONTAINER = ("~/.boto", "/etc/boto.cfg")
_KEY = re.compile(r"[!-~]{8,}")
MIN_SECRET_LENGTH = 8
# AWS sets no limit; its tokens have around a thousand characters.
MAX_TOKEN = 65536

logger = logging.getLogger(__name__)


class Credentials:
    """What signs a request; `token` is empty where there is none. Their repr shows none of them."""

    __slots__ = ("access_key", "secret_key", "token")

    def __init__(self, access_key: str, secret_key: str, token: str) -> None:
        self.access_key: Final = access_key
        self.secret_key: Final = secret_key
        self.token: Final = token

    def __repr__(self) -> str:
        return "Credentials(...)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Credentials) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash(self._parts())

    def _parts(self) -> tuple[str, str, str]:
        return self.secret_key, self.token, self.access_key

    def hidden(self) -> tuple[str, ...]:
        """Return the parts that an answer may repeat and must not show. Shorter ones are part of many words."""
        return tuple(part for part in self._parts() if len(part) >= MIN_SECRET_LENGTH)


class CredentialsProvider(Protocol):
    """
    Gives credentials, and renews them in time.

    Attributes:
        source: Where they come from, as the log shows it: botocore's name for it, such as `env` or `container-role`, or
            the ARN of a role.
        was_given_up: Whether the last caller was cancelled before there were any.
    """

    source: str
    was_given_up: bool

    async def get(self, name: str) -> Credentials:
        """
        Return credentials that are valid now.

        Args:
            name: The secret, parameter or role that an error names.

        Raises:
            SecretError, RetryableError: There are none.
        """
        ...

    def reject(self, credentials: Credentials) -> bool:
        """Forget these credentials, which AWS rejected; return whether `get` may give others."""
        ...


class StaticCredentials:
    """The credentials in the environment of a process, which stay what they are."""

    source = "env"
    was_given_up = False

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def get(self, name: str) -> Credentials:  # noqa: ARG002 - there is no error
        """Return the credentials."""
        return self._credentials

    def reject(self, credentials: Credentials) -> bool:  # noqa: ARG002 - there are no others
        """Return False."""
        return False


def find_provider(environ: Mapping[str, str], clock: Clock) -> CredentialsProvider | None:
    """Return what gives the credentials of this process; None if botocore must find them."""
    if environ.get("AWS_ACCESS_KEY_ID"):
        credentials = _find_static(environ)
        return None if credentials is None else StaticCredentials(credentials)
    if not any(name in environ for name in CONTAINER_VARIABLES) or find_obstacle(environ):
        return None
    home = environ.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 - pathlib is slow to import
    files = (file.replace("~", home) for file in _FILES_BEFORE_CONTAINER)
    if any(environ.get(name) for name in _BEFORE_CONTAINER) or any(map(os.path.exists, files)):
        return None
    from secrets_cache.aws.container import find_container  # noqa: PLC0415 - the common function has no such endpoint

    return find_container(environ, clock)


def _find_static(environ: Mapping[str, str]) -> Credentials | None:
    """Return the credentials in the environment; None if they are not complete, or cannot be sent as they are."""
    access_key, secret_key = environ.get("AWS_ACCESS_KEY_ID", ""), environ.get("AWS_SECRET_ACCESS_KEY", "")
    # The older name comes first, as in botocore.
    token = environ.get("AWS_SECURITY_TOKEN") or environ.get("AWS_SESSION_TOKEN", "")
    is_complete = all(map(_KEY.fullmatch, (access_key, secret_key)))
    is_plain = not token or _KEY.fullmatch(token) is not None
    may_expire = "AWS_CREDENTIAL_EXPIRATION" in environ
    return Credentials(access_key, secret_key, token) if is_complete and is_plain and not may_expire else None


class SignedCalls:
    """
    The calls of one client, which its provider's credentials sign.

    Args:
        provider: Gives the credentials.
        service: The service that is called, as the log shows it.
    """

    def __init__(self, provider: CredentialsProvider, service: str) -> None:
        self._provider = provider
        self._service = service
        self._is_logged = False
        # Newer credentials that AWS denied a call as well: then it is not the session that is denied.
        self._denied: Credentials | None = None

    async def make(self, name: str, attempt: Callable[[Credentials], Awaitable[T]]) -> T:
        """Return what `attempt` returns; where AWS rejects its credentials, with newer ones, if there are any."""
        credentials = await self._provider.get(name)
        try:
            answer = await attempt(credentials)
        except (SecretError, RetryableError) as failure:
            is_worth_it = is_about_credentials(failure) or (may_be_revoked(failure) and credentials != self._denied)
            if not is_worth_it or not self._provider.reject(credentials):
                raise
            error = failure.error if isinstance(failure, RetryableError) else failure
            # If it may pass, there will be another attempt: it asks for credentials anew.
            newer = credentials if error is not failure else await self._provider.get(name)
            if is_about_credentials(failure) or newer != credentials:
                self._log(error.code)
            if newer == credentials:
                raise
            try:
                answer = await attempt(newer)
            except SecretError:
                self._denied = newer
                raise
        self._is_logged = False
        return answer

    def _log(self, code: str) -> None:
        """Log whose credentials AWS rejected and why: once, until a call succeeds."""
        if not self._is_logged:
            self._is_logged = True
            fields = {"service": self._service, "credentials": self._provider.source, "code": code}
            logger.warning("credentials.rejected", fields)
