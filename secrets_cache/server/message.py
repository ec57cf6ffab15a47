"""
A request and its response, independent of how their bytes are read and written.

Rules
-----
1. No token and no body shows in a repr, in formatted text or in the message of a failed comparison.
2. A response is complete except for the framing of the message, which belongs to the code that writes it.
"""

from collections.abc import Sequence

from secrets_cache.core.results import CacheResult


class Request:
    """
    A request, reduced to what the handlers look at.

    Attributes:
        method: As it was sent.
        target: The request target, as it was sent.
        hosts: The values of its Host headers.
        forwarded: Which of `access.FORWARDING_HEADERS` it has.
        tokens: The values of its token headers.
        if_none_match: The values of its If-None-Match headers.
        origins: The values of its Origin headers.
        fetch_sites: The values of its Sec-Fetch-Site headers.
        accept: The values of its Accept headers.
    """

    __slots__ = (
        "accept",
        "fetch_sites",
        "forwarded",
        "hosts",
        "if_none_match",
        "method",
        "origins",
        "target",
        "tokens",
    )

    def __init__(  # noqa: PLR0913 - one for each header that matters
        self,
        *,
        method: str,
        target: str,
        hosts: Sequence[str],
        forwarded: Sequence[str] = (),
        tokens: Sequence[str] = (),
        if_none_match: Sequence[str] = (),
        origins: Sequence[str] = (),
        fetch_sites: Sequence[str] = (),
        accept: Sequence[str] = (),
    ) -> None:
        self.method = method
        self.target = target
        self.hosts = hosts
        self.forwarded = forwarded
        self.tokens = tokens
        self.if_none_match = if_none_match
        self.origins = origins
        self.fetch_sites = fetch_sites
        self.accept = accept

    def __repr__(self) -> str:
        return f"<Request {self.method!r} {self.target!r}>"


class Response:
    """
    A response: status, headers and body.

    Attributes:
        result: The cache's result that it was made from; None where there is none.
    """

    __slots__ = ("body", "headers", "result", "status")

    def __init__(
        self, status: int, headers: dict[str, str], body: bytes = b"", result: CacheResult | None = None
    ) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.result = result

    def __repr__(self) -> str:
        return f"<Response {self.status}, {len(self.body)} bytes>"
