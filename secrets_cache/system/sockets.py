"""
The listening sockets: both loopback addresses, before anything else happens.

Rules
-----
1. IPv4 is required. IPv6 is used where the machine has it; a machine without it is no error.
2. Loopback only, ever.
3. Nothing slow is imported: binding precedes the registration, and the registration the function's start.
"""

from __future__ import annotations

# CPython's own part of `socket`, whose import takes as long as everything else up to the registration.
import _socket
import errno

# Not from typing, whose import takes longer than the registration itself.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from socket import socket

BACKLOG = 1024
# An abstract Unix socket (unix(7)): no file, and no port.
CHANNEL = b"\0secrets-cache/"
# The machine has no IPv6, or none on its loopback.
NO_IPV6 = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.ENODEV})


def bind(port: int) -> tuple[list[int], list[OSError]]:
    """
    Return descriptors that listen on `port` of 127.0.0.1 and [::1], and the errors of those that could not.

    With port 0 the system chooses one port for both. If IPv4 fails there are no descriptors at all.
    """
    errors: list[OSError] = []
    try:
        descriptor, port = _listen(_socket.AF_INET, "127.0.0.1", port)
    except OSError as error:
        return [], [error]
    descriptors = [descriptor]
    try:
        descriptors.append(_listen(_socket.AF_INET6, "::1", port)[0])
    except OSError as error:
        if error.errno not in NO_IPV6:
            errors.append(error)
    return descriptors, errors


def bind_channel(address: str) -> list[int]:
    """
    Return one descriptor that listens for the exec wrapper; an empty list if that fails.

    Args:
        address: `AWS_LAMBDA_RUNTIME_API`. It distinguishes this sandbox from another one that shares the network.
    """
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        listener.bind(CHANNEL + address.encode())
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        return []
    return [listener.detach()]


def open_sockets(descriptors: Iterable[int]) -> list[socket]:
    """Return non-blocking sockets for descriptors that listen. The sockets own the descriptors from then on."""
    from socket import socket  # noqa: PLC0415 - slow to import

    sockets = [socket(fileno=descriptor) for descriptor in descriptors]
    for listener in sockets:
        listener.setblocking(False)
    return sockets


def _listen(family: int, host: str, port: int) -> tuple[int, int]:
    listener = _socket.socket(family, _socket.SOCK_STREAM)
    try:
        listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        port = listener.getsockname()[1]
    except OSError:
        listener.close()
        raise
    return listener.detach(), port
