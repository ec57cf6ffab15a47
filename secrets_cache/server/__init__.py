"""
The HTTP server: what callers on this machine may ask, and what they get.

    request -> admission (may it ask at all?) -> target (what does it ask?) -> cache -> representation -> response
                                      every error -> problems (its status, as RFC 9457 says)

Rules
-----
1. Only this package knows HTTP statuses and headers.
2. No answer but a 200 ever holds anything of a secret's value.
3. Nothing that a caller sends ends the process, or shows it a stack trace.
"""

from secrets_cache.server.app import Server

__all__ = ["Server"]
