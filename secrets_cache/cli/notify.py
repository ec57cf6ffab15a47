"""What systemd is told of the service's state, where it asks for that: sd_notify(3), `Type=notify`."""

import logging
import socket
from collections.abc import Mapping

logger = logging.getLogger(__name__)


def notify(environ: Mapping[str, str], state: str) -> None:
    """Send a state, such as "READY=1", to the socket that $NOTIFY_SOCKET names, if it names one. Never raises."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    # An abstract socket is written with @ in place of its NUL.
    path = f"\0{address[1:]}" if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.connect(path)
            channel.sendall(state.encode())
    except (OSError, ValueError) as error:
        logger.warning("serve.not_notified", {"reason": getattr(error, "strerror", None) or str(error)})
