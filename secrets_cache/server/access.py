"""
Access: only requests made on this machine, for this machine, with the token where one is configured.

Rules
-----
1. A request that anything forwarded is refused, whatever else it holds: server-side request forgery through a proxy of
   the function looks like this.
2. A Host that does not name this machine is refused: DNS rebinding looks like this.
3. A request made by a web page is refused: no web page may read secrets, not even one of this machine. The browser
   itself marks such a request, in headers that no script can change (Fetch Standard, "forbidden request-header"). Only
   an address typed into the address bar is a request that no page made. Sec-Fetch-Mode alone proves nothing: fetch in
   Node.js sends it.
4. The token is compared in constant time.
"""

import hmac
from collections.abc import Sequence

from secrets_cache.server.message import Request
from secrets_cache.server.target import find_authority

TOKEN_HEADER = "X-Aws-Parameters-Secrets-Token"  # noqa: S105 - the header's name
FORWARDING_HEADERS = ("X-Forwarded-For", "Forwarded", "Via")
# The value of Sec-Fetch-Site for a request that no page made.
NO_PAGE = "none"
LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")
_ALLOWED_HOSTS = f"{', '.join(LOCAL_HOSTS[:-1])} or {LOCAL_HOSTS[-1]}, with or without a port"


def find_refusal(request: Request) -> str | None:
    """Return why a request is refused, whatever it asks for; None if it is not."""
    if request.forwarded:
        header = request.forwarded[0]
        return f"the request was forwarded: it has the header {header}; call this server directly, without a proxy"
    if request.origins:
        return "the request was made by a web page: it has the header Origin; web pages may not read secrets"
    if any(site != NO_PAGE for site in request.fetch_sites):
        return f"the request was made by a web page: its header Sec-Fetch-Site is not {NO_PAGE}"
    if len(request.hosts) != 1 or not is_local(request.hosts[0]):
        return f"the header Host must be given once and be {_ALLOWED_HOSTS}"
    # The host of a target in absolute form takes precedence over the header (RFC 9112 section 3.2.2).
    authority = find_authority(request.target)
    if authority is not None and not is_local(authority):
        return f"the host in the request target must be {_ALLOWED_HOSTS}"
    return None


def is_local(host: str) -> bool:
    """Return whether the value of a Host header names this machine."""
    host = host.strip(" \t").lower()
    for local in LOCAL_HOSTS:
        port = host.removeprefix(local)
        if port == "" and host == local:
            return True
        if port != host and port.startswith(":") and port[1:].isascii() and port[1:].isdigit():
            return True
    return False


def accepts_token(tokens: Sequence[str], sent: Sequence[str]) -> bool:
    """Return whether exactly one token was sent and it is one of `tokens`."""
    if len(sent) != 1:
        return False
    given = sent[0].encode("utf-8", "surrogateescape")
    # A list, not a generator: ending early would show by its duration which token matched.
    return any([hmac.compare_digest(given, token.encode("utf-8", "surrogateescape")) for token in tokens])  # noqa: C419
