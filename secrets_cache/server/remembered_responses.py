"""
The responses that the fast path has sent, by the bytes of their requests.

Rules
-----
1. A response is remembered only while the cache would give the same result again without doing anything else: until
   any fetch has ended, or until the value reaches the age at which a refresh is due.
2. Requests hold tokens and responses hold secrets: neither shows in a repr.
"""

import logging
from typing import TYPE_CHECKING

from secrets_cache.server.message import Response

if TYPE_CHECKING:
    from secrets_cache.core.cache import Cache
    from secrets_cache.core.clock import Clock, Instant

logger = logging.getLogger(__name__)

MAX_RESPONSES = 256


class RememberedResponses:
    """
    All remembered responses of one server.

    Args:
        cache: The cache that they come from; it counts the hits, and its generation ends what is remembered.
    """

    __slots__ = ("_cache", "_clock", "_generation", "_responses")

    def __init__(self, cache: "Cache", clock: "Clock") -> None:
        self._cache = cache
        self._clock = clock
        self._generation = cache.generation
        # By request: when the fetch of the value was sent, up to which age the response may be sent again, its bytes.
        self._responses: dict[bytes, tuple[Instant, float, bytes]] = {}

    def __len__(self) -> int:
        return len(self._responses)

    def __contains__(self, request: bytes) -> bool:
        return request in self._responses

    def __repr__(self) -> str:
        return f"<RememberedResponses: {len(self)}>"

    def recall(self, request: bytes) -> bytes | None:
        """Return the bytes of the response to a request; None if they are not remembered, or no longer good."""
        if self._generation != self._cache.generation:
            self._generation = self._cache.generation
            self._responses.clear()
            return None
        found = self._responses.get(request)
        if found is None:
            return None
        sent, replayable_seconds, data = found
        wall, monotonic = self._clock.now()
        if 0 <= wall - sent.wall < replayable_seconds and monotonic - sent.monotonic < replayable_seconds:
            self._cache.counts.hits += 1
            return data
        del self._responses[request]
        return None

    def remember(self, request: bytes, response: Response, data: bytes) -> None:
        """Keep the bytes of a response for equal requests, if the response may be sent again."""
        result = response.result
        # At DEBUG each request is logged, by the handler.
        if result is None or result.replayable_seconds == 0 or logger.isEnabledFor(logging.DEBUG):
            return
        if len(self._responses) >= MAX_RESPONSES:
            self._responses.clear()
        self._responses[request] = (result.held.sent, result.replayable_seconds, data)
