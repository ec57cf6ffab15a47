"""
A request and its reply, whoever read it and whoever writes it, and what all that reply have in common.

Rules
-----
1. A reply is whole but for the framing of the message.
2. Whatever goes wrong ends in a reply, and shows nothing of what caused it.
"""

import logging
from collections.abc import Sequence
from typing import NamedTuple

from secrets_cache.core.cache import Cache
from secrets_cache.core.clock import Clock
from secrets_cache.core.results import CacheResult
from secrets_cache.core.secret import repr_without
from secrets_cache.errors import SecretsCacheError
from secrets_cache.server import access, native_request, representation
from secrets_cache.system.logs import describe

logger = logging.getLogger(__name__)

SERVER = "secrets-cache"


class Request(NamedTuple):
    """
    A request, as far as it matters here.

    Attributes:
        method: As it was sent.
        target: The request target, as it was sent.
        hosts: The values of its Host headers.
        forwarded: Which of `access.FORWARDING_HEADERS` it has.
        tokens: The values of its token headers.
        if_none_match: The values of its If-None-Match headers.
        origins: The values of its Origin headers.
        sites: The values of its Sec-Fetch-Site headers.
        accept: The values of its Accept headers.
    """

    method: str
    target: str
    hosts: Sequence[str]
    forwarded: Sequence[str] = ()
    tokens: Sequence[str] = ()
    if_none_match: Sequence[str] = ()
    origins: Sequence[str] = ()
    sites: Sequence[str] = ()
    accept: Sequence[str] = ()

    def __repr__(self) -> str:
        return repr_without("tokens", self)


class Response(NamedTuple):
    """
    An answer, whole but for the framing of the message, which is for who writes it.

    Attributes:
        answer: What the cache answered; None where it was not asked, or in vain.
    """

    status: int
    headers: dict[str, str]
    body: bytes = b""
    answer: CacheResult | None = None

    def __repr__(self) -> str:
        return repr_without("body", self)


class Handler:
    """
    Replies to what is asked. Raises nothing.

    Args:
        cache: What is served.
        clock: What time it is.

    Attributes:
        token_headers: Where a caller's token stands.
    """

    token_headers: tuple[str, ...] = (access.TOKEN_HEADER,)

    def __init__(self, cache: Cache, clock: Clock) -> None:
        self.cache = cache
        self.clock = clock

    async def to(self, asked: Request) -> Response:
        """Return the reply to a request, waiting for AWS where that is needed."""
        try:
            reply = await self._reply(asked)
        except SecretsCacheError as error:
            reply = self._of_error(error)
        except Exception as error:  # noqa: BLE001 - a caller never sees more than that there was one
            logger.error("internal.error", {"where": "request", **describe(error)})  # noqa: TRY400
            reply = self._of_failure()
        logger.debug("request", {"method": asked.method, "status": reply.status})
        return self._finished(reply)

    def to_no_request(self) -> Response:
        """Return the reply to what is no request."""
        return self._finished(self._of_no_request("what was received is no HTTP/1.1 request"))

    def broken(self) -> Response:
        """Return the reply of a server that cannot go on."""
        return self._finished(self._of_failure())

    def _finished(self, reply: Response) -> Response:
        reply.headers.setdefault("Date", representation.http_date(self.clock.now().wall))
        reply.headers["Server"] = SERVER
        return reply

    # What is asked, and in which words it is answered, is for each kind of server to say.

    async def _reply(self, asked: Request) -> Response:
        raise NotImplementedError

    def _of_error(self, error: SecretsCacheError) -> Response:
        raise NotImplementedError

    def _of_failure(self) -> Response:
        raise NotImplementedError

    def _of_no_request(self, reason: str) -> Response:
        raise NotImplementedError


def why_forbidden(asked: Request) -> str | None:
    """Return why a request is refused unseen, whatever it asks for; None if it is not."""
    authority = native_request.authority_of(asked.target)
    return access.why_forbidden(asked.hosts, asked.forwarded, authority, origins=asked.origins, sites=asked.sites)
