"""
The part of a handler that both protocols share: a request in, a complete response out.

Rules
-----
1. Whatever goes wrong ends in a response, and that response shows nothing of the cause.
2. A handler knows no sockets and no bytes on the wire.
"""

import logging

from secrets_cache.core.cache import Cache
from secrets_cache.core.clock import Clock
from secrets_cache.errors import InvalidRequest, SecretsCacheError
from secrets_cache.server import access, representation
from secrets_cache.server.message import Request, Response
from secrets_cache.system.logs import describe_error

logger = logging.getLogger(__name__)

SERVER = "secrets-cache"
MALFORMED = "the server received something that is not a valid HTTP/1.1 request"


class Handler:
    """
    Answers requests from a cache. Raises nothing.

    Attributes:
        token_headers: The headers that may carry a caller's token.
    """

    token_headers: tuple[str, ...] = (access.TOKEN_HEADER,)

    def __init__(self, cache: Cache, clock: Clock) -> None:
        self.cache = cache
        self.clock = clock

    async def handle(self, request: Request) -> Response:
        """Return the response to a request, waiting for AWS where that is needed."""
        try:
            response = await self._handle(request)
        except SecretsCacheError as error:
            response = self._build_error_response(error)
        except Exception as error:  # noqa: BLE001 - a caller learns only that the server failed
            logger.error("internal.error", {"where": "request", **describe_error(error)})  # noqa: TRY400
            response = self._build_failure_response()
        logger.debug("request", {"method": request.method, "status": response.status})
        return self._complete(response)

    def build_malformed_response(self) -> Response:
        """Return the response to bytes that are not a request."""
        return self._complete(self._build_error_response(InvalidRequest(MALFORMED)))

    def build_failure_response(self) -> Response:
        """Return the response of a connection that cannot go on."""
        return self._complete(self._build_failure_response())

    def _complete(self, response: Response) -> Response:
        """Add the headers that every response has."""
        response.headers.setdefault("Date", representation.format_http_date(self.clock.now().wall))
        response.headers["Server"] = SERVER
        return response

    # Each protocol has its own requests, and its own words for what goes wrong.

    async def _handle(self, request: Request) -> Response:
        raise NotImplementedError

    def _build_error_response(self, error: SecretsCacheError) -> Response:
        raise NotImplementedError

    def _build_failure_response(self) -> Response:
        raise NotImplementedError
