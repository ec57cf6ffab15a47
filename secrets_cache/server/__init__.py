"""
The HTTP server: what callers on this machine may ask for, and what they get.

    listener (limits connections) -> fast_path (common requests), else aiohttp (any request) -> handler

    native_handler     our own protocol: access -> native_request -> cache -> representation
    aws_layer_handler  the protocol of AWS's own layer: access -> aws_layer_request -> cache
                       every error -> problems, or AWS's own form

Rules
-----
1. Only this package knows HTTP statuses and headers.
2. Only a 200 ever holds anything of a secret's value.
3. Nothing that a caller sends ends the process, or shows a stack trace to the caller.
"""

from secrets_cache.server.message import Request
from secrets_cache.server.native_handler import NativeHandler
from secrets_cache.server.server import Server

__all__ = ["NativeHandler", "Request", "Server"]
