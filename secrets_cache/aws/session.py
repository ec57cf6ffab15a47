"""
aiobotocore's HTTP session, as strict with answers as the lane.

By itself it reads whatever comes, as long as memory lasts, and follows a redirect wherever it leads: with the request,
and the session token that signs it. botocore never does.
"""

from typing import Any

import aiohttp
from aiobotocore.httpsession import AIOHTTPSession

from secrets_cache.http1.connections import MAX_BODY, BadResponse


class StrictSession(AIOHTTPSession):
    """A session that follows no redirect, and reads no answer that is larger than any of AWS's."""

    # Not public, but there is no other place to say it. The tests tell if it ever has no effect.
    async def _get_session(self, proxy_url: str | None) -> "_Session":
        return _Session(await super()._get_session(proxy_url))  # type: ignore[misc]


class _Session:
    """What aiobotocore needs of aiohttp's session."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def request(self, method: str, **details: Any) -> "_Response":  # noqa: ANN401 - what aiobotocore has to say to aiohttp
        """Return the response to a request, read whole. Raises BadResponse if it is too large."""
        async with self._session.request(method, allow_redirects=False, **details) as response:
            return _Response(response, await _read(response))


class _Response:
    """What aiobotocore needs of aiohttp's response."""

    def __init__(self, response: aiohttp.ClientResponse, body: bytes) -> None:
        self.url = response.url
        self.status = response.status
        self.raw_headers = response.raw_headers
        self._body = body

    async def read(self) -> bytes:
        """Return the body."""
        return self._body


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    if (response.content_length or 0) > MAX_BODY:
        raise _too_large(response)
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MAX_BODY:
            raise _too_large(response)
    return bytes(body)


def _too_large(response: aiohttp.ClientResponse) -> BadResponse:
    # Or its end would be waited for, to use the connection again.
    response.close()
    return BadResponse()
