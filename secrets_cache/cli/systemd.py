"""The service's state, for systemd where it asks for it: sd_notify(3), `Type=notify`."""

import logging
import socket
from collections.abc import Mapping

logger = logging.getLogger(__name__)


def notify(environ: Mapping[str, str], state: str) -> None:
    """Send a state such as "READY=1" to the socket in $NOTIFY_SOCKET, if it is set. Never raises."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    # The variable writes the NUL of an abstract socket as @.
    path = f"\0{address[1:]}" if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.connect(path)
            channel.sendall(state.encode())
    except (OSError, ValueError) as error:
        logger.warning("serve.not_notified", {"reason": getattr(error, "strerror", None) or str(error)})
