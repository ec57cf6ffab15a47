"""
The responses that the fast path has sent, by the bytes of their requests.

Rules
-----
1. A response is remembered only while the cache would give the same result again without doing anything else: until
   any fetch has ended, or until the value reaches the age at which a refresh is due.
2. Requests hold tokens and responses hold secrets: neither shows in a repr.
3. What is remembered is bounded in number and in bytes, requests and responses together: a tracing header makes each
   request a different one. The oldest goes first.
"""

import logging
from typing import TYPE_CHECKING

from secrets_cache.server.message import Response

if TYPE_CHECKING:
    from secrets_cache.core.cache import Cache
    from secrets_cache.core.clock import Clock, Instant

logger = logging.getLogger(__name__)

MAX_RESPONSES = 256
MAX_BYTES = 4 * 1024 * 1024


class RememberedResponses:
    """
    All remembered responses of one server.

    Args:
        cache: The cache that they come from; it counts the hits, and its generation ends what is remembered.
    """

    __slots__ = ("_bytes", "_cache", "_clock", "_generation", "_is_closed", "_responses")

    def __init__(self, cache: "Cache", clock: "Clock") -> None:
        self._cache = cache
        self._clock = clock
        self._generation = cache.generation
        # By request: when the fetch of the value was sent, up to which age the response may be sent again, its bytes.
        self._responses: dict[bytes, tuple[Instant, float, bytes]] = {}
        self._bytes = 0
        self._is_closed = False

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
            self._clear()
            return None
        found = self._responses.get(request)
        if found is None:
            return None
        sent, replayable_seconds, data = found
        wall, monotonic = self._clock.now()
        if 0 <= wall - sent.wall < replayable_seconds and monotonic - sent.monotonic < replayable_seconds:
            self._cache.counts.hits += 1
            return data
        self._forget(request)
        return None

    def remember(self, request: bytes, response: Response, data: bytes) -> None:
        """Keep the bytes of a response for equal requests, if the response may be sent again."""
        result = response.result
        # At DEBUG each request is logged, by the handler.
        if result is None or result.replayable_seconds == 0 or logger.isEnabledFor(logging.DEBUG):
            return
        size = len(request) + len(data)
        if self._is_closed or size > MAX_BYTES:
            return
        if request in self._responses:
            self._forget(request)
        while len(self._responses) >= MAX_RESPONSES or self._bytes + size > MAX_BYTES:
            self._forget(next(iter(self._responses)))
        self._responses[request] = (result.held.sent, result.replayable_seconds, data)
        self._bytes += size

    def close(self) -> None:
        """Forget everything, and remember nothing any more: from now on each response is made anew."""
        self._is_closed = True
        self._clear()

    def _forget(self, request: bytes) -> None:
        self._bytes -= len(request) + len(self._responses.pop(request)[2])

    def _clear(self) -> None:
        self._responses.clear()
        self._bytes = 0
