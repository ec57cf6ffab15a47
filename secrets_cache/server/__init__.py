"""
The HTTP server: what callers on this machine may ask, and what they get.

    door (who comes in) -> lane (the common request), else engine (any request, through aiohttp) -> replies
    replies: admission (may it ask at all?) -> target (what does it ask?) -> cache -> representation
                              every error -> problems (its status, as RFC 9457 says)

Rules
-----
1. Only this package knows HTTP statuses and headers.
2. No answer but a 200 ever holds anything of a secret's value.
3. Nothing that a caller sends ends the process, or shows it a stack trace.
"""

from secrets_cache.server.handler import Request
from secrets_cache.server.native import MetricsPage, NativeHandler
from secrets_cache.server.server import Server

__all__ = ["MetricsPage", "NativeHandler", "Request", "Server"]
