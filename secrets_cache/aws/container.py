"""
Credentials from the endpoint of a container: SnapStart, ECS, EKS Pod Identity.

Rules
-----
1. Addresses, token, time-out and attempts are botocore's. The tests compare the two.
2. An address that is not one of the usual, or that is not understood here, is botocore's to ask or to refuse: a token
   is sent to no other host. No redirect is followed.
3. The token in a file is read for each request: it is exchanged.
4. Any failure means that there are no credentials. What the endpoint said does not show: it may hold some.
"""

import asyncio
import contextlib
import json
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from secrets_cache.aws.client import KEEPALIVE_SECONDS
from secrets_cache.aws.credentials import MAX_TOKEN, Credentials
from secrets_cache.aws.renewal import Grant, RenewedCredentials
from secrets_cache.config.values import MAX_PORT
from secrets_cache.core.clock import Clock
from secrets_cache.core.retry import timeout_unless_frozen
from secrets_cache.http1.connections import Connections, Endpoint

ATTEMPTS = 3
PAUSE_SECONDS = 1.0
TIMEOUT_SECONDS = 2.0
OK = 200
# Of ECS; of EKS; of Lambda and of others.
_HOSTS = r"169\.254\.170\.2|169\.254\.170\.23|\[fd00:ec2::23\]|127\.0\.0\.1|\[::1\]|localhost"
_URL = re.compile(rf"http://({_HOSTS})(?::([0-9]{{1,5}}))?(/[A-Za-z0-9._~!$&'()*+,;=:@/?%-]*)")
_TOKEN = "AWS_CONTAINER_AUTHORIZATION_TOKEN"  # noqa: S105 - a variable's name


def find_container(
    environ: Mapping[str, str], clock: Clock, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> "ContainerCredentials | None":
    """Return the credentials of the endpoint that the environment names; None if botocore must ask it."""
    relative = environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    url = environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"] if relative is None else f"http://169.254.170.2{relative}"
    plain = _URL.fullmatch(url)
    if plain is None or "/." in plain[3]:
        return None
    port = int(plain[2] or 80)
    endpoint = Endpoint(plain[1].strip("[]"), port, is_secure=False)
    return ContainerCredentials(endpoint, plain[3], environ, clock, sleep) if 0 < port <= MAX_PORT else None


class ContainerCredentials(RenewedCredentials):
    """
    The credentials that a container's endpoint gives.

    Args:
        endpoint: Where it is.
        target: Path and query.
        environ: The environment variables: the token, or its file.
        clock: Tells the time.
        sleep: Waits between attempts.
    """

    source = "container-role"

    def __init__(
        self,
        endpoint: Endpoint,
        target: str,
        environ: Mapping[str, str],
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        super().__init__(clock)
        self._connections = Connections(endpoint, ssl.create_default_context, keepalive_seconds=0, clock=clock)
        self._target = target
        self._environ = environ
        self._sleep = sleep

    def _left_seconds(self) -> float:
        now, then = self._clock.now(), self._granted_at
        # The monotonic clock stood still: what was restored from a snapshot has other credentials now.
        stood_still = (now.wall - then.wall) - (now.monotonic - then.monotonic) >= KEEPALIVE_SECONDS
        return float("-inf") if stood_still else super()._left_seconds()

    async def _fetch(self) -> Grant | None:
        for attempt in range(ATTEMPTS):
            if attempt:
                await self._sleep(PAUSE_SECONDS)
            headers = self._make_headers()
            if headers is None:
                return None
            # RecursionError and ValueError are the parser's.
            with contextlib.suppress(OSError, RecursionError, ValueError):
                async with timeout_unless_frozen(TIMEOUT_SECONDS, self._clock):
                    response = await self._connections.request("GET", self._target, headers, b"")
                if response.status == OK:
                    return _to_grant(json.loads(response.body.decode()))
        return None

    def _make_headers(self) -> dict[str, str] | None:
        """Return the headers of a request; None if none can hold the token. A line end is refused, as by botocore."""
        headers = {"Host": self._connections.endpoint.authority, "Accept": "application/json"}
        token, path = (self._environ.get(name) for name in (_TOKEN, f"{_TOKEN}_FILE"))
        if path is not None:
            try:
                with open(path, "rb") as file:  # noqa: PTH123 - pathlib is slow to import
                    token = file.read(MAX_TOKEN + 1).decode()
            except (OSError, ValueError):
                return None
        if token is None:
            return headers
        return {**headers, "Authorization": token} if _is_plain(token) else None


def _is_plain(part: Any) -> bool:  # noqa: ANN401 - as JSON is
    """Return whether a header may hold a token or a key: printable ASCII."""
    return isinstance(part, str) and part.isascii() and part.isprintable() and len(part) <= MAX_TOKEN


def _to_grant(answer: Any) -> Grant | None:  # noqa: ANN401 - as JSON is
    """Return what an answer grants; None if it is not in the documented form."""
    try:
        # As in botocore, the token may be empty, but not be missing.
        parts = answer["AccessKeyId"], answer["SecretAccessKey"], answer["Token"] or ""
        ends = datetime.fromisoformat(answer["Expiration"])
    except (KeyError, TypeError, ValueError):
        return None
    is_complete = all(map(_is_plain, parts)) and all(parts[:2])
    # A date without a zone botocore could not compare with the time.
    return Grant(Credentials(*parts), ends.timestamp()) if is_complete and ends.tzinfo is not None else None
