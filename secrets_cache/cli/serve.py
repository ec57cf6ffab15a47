"""
`secrets-cache serve`: the server without the Extensions API.

    bind -> serve, prefetch -> ready -> a signal: accept no more connections, finish open requests -> exit

Rules
-----
1. If it cannot serve, it exits with 1 at once: outside Lambda, a supervisor starts it again.
2. After the first signal, open requests have the grace period to finish; a second signal ends it at once.
"""

import argparse
import asyncio
import logging
import os
import signal
import socket
from collections.abc import Mapping
from typing import Any

from secrets_cache.app import Application, run_application
from secrets_cache.cli.inputs import read_configuration
from secrets_cache.config import Config
from secrets_cache.loading import start_log
from secrets_cache.system.limits import set_limits
from secrets_cache.system.sockets import bind, open_sockets

logger = logging.getLogger(__name__)


def run(given: argparse.Namespace) -> int:
    """Serve until a signal."""
    set_limits()
    _, config = read_configuration(given, os.environ)
    start_log(config)
    if config.strict and config.problems:
        return 1
    return asyncio.run(_serve_until_signal(config, given.grace))


class _Signals:
    """Two events: the first signal to stop sets `first`, the next one `second`."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._receive)

    def _receive(self) -> None:
        (self.second if self.first.is_set() else self.first).set()


async def _serve_until_signal(config: Config, grace_seconds: float) -> int:
    # One port for both protocols is bound once, and speaks both.
    is_second = bool(config.aws_port) and not config.is_port_shared
    sockets, aws_sockets = _listen(config.port), _listen(config.aws_port) if is_second else []
    if not sockets or (is_second and not aws_sockets):
        return 1
    signals = _Signals()
    async with run_application(
        config, sockets=sockets, aws_sockets=aws_sockets, environ=os.environ, metrics=True
    ) as app:
        if app.prefetching is not None:
            await _wait_for_first(signals.first, app.prefetching)
        if not signals.first.is_set():
            if config.strict and app.list_missing():
                return 1
            _report_ready(config, app)
        await signals.first.wait()
        notify(os.environ, "STOPPING=1")
        draining = asyncio.ensure_future(app.drain(grace_seconds))
        await _wait_for_first(signals.second, draining)
        draining.cancel()
        await asyncio.gather(draining, return_exceptions=True)
        logger.info("serve.stopped", app.cache.counts.as_fields())
    return 0


def _listen(port: int) -> list[socket.socket]:
    """Return the sockets that listen on a port; none if the port cannot be bound."""
    descriptors, errors = bind(port)
    for error in errors:
        logger.error("server.not_listening", {"port": port, "reason": error.strerror})
    return open_sockets(descriptors)


async def _wait_for_first(event: asyncio.Event, other: "asyncio.Future[None]") -> None:
    """Wait until the event is set or the other one is done."""
    waiting = asyncio.ensure_future(event.wait())
    either: list[asyncio.Future[Any]] = [waiting, other]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


def _report_ready(config: Config, app: Application) -> None:
    reports = app.cache.report()
    failed = sum(report.error is not None for report in reports)
    ports = {"port": config.port, **({"aws_port": config.aws_port} if config.aws_port else {})}
    logger.info("serve.ready", {**ports, "secrets": len(reports), "failed": failed})
    notify(os.environ, f"READY=1\nSTATUS={len(reports)} secrets, {failed} of them failed")


def notify(environ: Mapping[str, str], state: str) -> None:
    """Send a state such as "READY=1" to systemd's socket, $NOTIFY_SOCKET, if it is set: sd_notify(3). Never raises."""
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
