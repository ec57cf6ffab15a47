"""
Who may ask: requests that were made here, for here, by someone who knows the token if there is one.

Rules
-----
1. A request that was forwarded by anything is refused, whatever else it holds: it is how a server-side request
   forgery through a proxy of the function's own looks.
2. A Host that is not this machine is refused: it is how DNS rebinding looks.
3. What a page in a browser asks is refused: no page is meant to have secrets, and whoever wrote it may be anybody. A
   browser says so itself, in headers that no script can change (Fetch Standard, "forbidden request-header"). Only what
   somebody typed into its address bar was asked by nobody's page. Sec-Fetch-Mode alone says nothing: the fetch of
   Node.js sends it too.
4. The token is compared in constant time.
"""

import hmac
from collections.abc import Sequence

TOKEN_HEADER = "X-Aws-Parameters-Secrets-Token"  # noqa: S105 - the header's name
FORWARDING_HEADERS = ("X-Forwarded-For", "Forwarded", "Via")
# Fetch Metadata's word for a request that no page made.
NO_PAGE = "none"
LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")


def why_forbidden(
    hosts: Sequence[str],
    present: Sequence[str],
    authority: str | None = None,
    *,
    origins: Sequence[str] = (),
    sites: Sequence[str] = (),
) -> str | None:
    """
    Return why a request is refused unseen, None if it is not.

    Args:
        hosts: The values of its Host headers.
        present: Which of `FORWARDING_HEADERS` it has.
        authority: That of a target in absolute form, which stands above Host (RFC 9112 section 3.2.2); else None.
        origins: The values of its Origin headers.
        sites: The values of its Sec-Fetch-Site headers.
    """
    if present:
        return f"the request was forwarded: it has the header {present[0]}"
    if origins:
        return "the request was made by a page in a browser: it has the header Origin"
    if any(site != NO_PAGE for site in sites):
        return f"the request was made by a page in a browser: its header Sec-Fetch-Site is not {NO_PAGE}"
    if len(hosts) != 1 or not is_local(hosts[0]):
        return f"the header Host must be one of {', '.join(LOCAL_HOSTS)}, with or without a port"
    if authority is not None and not is_local(authority):
        return f"the target's host must be one of {', '.join(LOCAL_HOSTS)}, with or without a port"
    return None


def is_local(host: str) -> bool:
    """Return whether a Host header's value names this machine."""
    host = host.strip(" \t").lower()
    for local in LOCAL_HOSTS:
        port = host.removeprefix(local)
        if port == "" and host == local:
            return True
        if port != host and port.startswith(":") and port[1:].isascii() and port[1:].isdigit():
            return True
    return False


def knows_token(tokens: Sequence[str], sent: Sequence[str]) -> bool:
    """Return whether exactly one token was sent and it is one of `tokens`."""
    if len(sent) != 1:
        return False
    given = sent[0].encode("utf-8", "surrogateescape")
    # No early end: how long it takes says nothing of which token, if any, was near.
    return any([hmac.compare_digest(given, token.encode("utf-8", "surrogateescape")) for token in tokens])  # noqa: C419
