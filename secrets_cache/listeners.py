"""
The listening sockets: both loopback addresses, before anything else happens.

Rules
-----
1. IPv4 must be had. IPv6 is had where the machine has it: where it has not, nothing is amiss.
2. Loopback only, ever.
3. Nothing slow is imported here: binding precedes the registration, and the registration the function's start.
"""

import errno
import socket

BACKLOG = 1024
# The machine has no IPv6, or none on its loopback.
NO_IPV6 = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.ENODEV})


def bind(port: int) -> tuple[list[socket.socket], list[OSError]]:
    """
    Return sockets that listen on `port` of 127.0.0.1 and [::1], and what kept one of them from it.

    With port 0 the system chooses one, the same for both. Without IPv4 there are none.
    """
    errors: list[OSError] = []
    try:
        sockets = [_listen(socket.AF_INET, "127.0.0.1", port)]
    except OSError as error:
        return [], [error]
    try:
        sockets.append(_listen(socket.AF_INET6, "::1", sockets[0].getsockname()[1]))
    except OSError as error:
        if error.errno not in NO_IPV6:
            errors.append(error)
    return sockets, errors


def _listen(family: int, host: str, port: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
