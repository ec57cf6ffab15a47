"""
`secrets-cache serve`: the server without the Extensions API.

    bind -> serve, prefetch -> ready -> a signal: accept nobody, let answers under way be given -> exit

Rules
-----
1. Where it cannot serve it ends, at once and with 1: whoever started it outside Lambda starts it again.
2. The first signal lets requests under way be answered, for as long as the grace lasts; the second does not.
"""

import argparse
import asyncio
import logging
import os
import signal
import socket
from typing import Any

from secrets_cache.app import Application, running
from secrets_cache.cli.inputs import configuration
from secrets_cache.cli.notify import notify
from secrets_cache.config import Config
from secrets_cache.system import logs
from secrets_cache.system.limits import set_limits
from secrets_cache.system.sockets import bind, opened

logger = logging.getLogger(__name__)


def run(given: argparse.Namespace) -> int:
    """Serve until a signal."""
    set_limits()
    _, config = configuration(given, os.environ)
    logs.configure(config.log_level)
    for problem in config.problems:
        logger.error("config.invalid", problem.as_fields())
    if config.strict and config.problems:
        return 1
    return asyncio.run(_serve_until_signal(config, given.grace))


class _Signals:
    """The signals to stop: `first` is set by one, `second` by another one after it."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._received)

    def _received(self) -> None:
        (self.second if self.first.is_set() else self.first).set()


async def _serve_until_signal(config: Config, grace_seconds: float) -> int:
    sockets, aws_sockets = _listening(config.port), _listening(config.aws_port) if config.aws_port else []
    if not sockets or (config.aws_port and not aws_sockets):
        return 1
    signals = _Signals()
    async with running(config, sockets=sockets, aws_sockets=aws_sockets, environ=os.environ, metrics=True) as app:
        if app.settling is not None:
            await _first_of(signals.first, app.settling)
        if not signals.first.is_set():
            if config.strict and app.missing():
                return 1
            _ready(config, app)
        await signals.first.wait()
        notify(os.environ, "STOPPING=1")
        draining = asyncio.ensure_future(app.drain(grace_seconds))
        await _first_of(signals.second, draining)
        draining.cancel()
        await asyncio.gather(draining, return_exceptions=True)
        logger.info("serve.stopped", app.cache.counts.as_fields())
    return 0


def _listening(port: int) -> list[socket.socket]:
    """Return the sockets that listen on a port; none if it cannot be had."""
    descriptors, errors = bind(port)
    for error in errors:
        logger.error("server.not_listening", {"port": port, "reason": error.strerror})
    return opened(descriptors)


async def _first_of(event: asyncio.Event, other: "asyncio.Future[None]") -> None:
    """Wait until an event is set, or something else has ended."""
    waiting = asyncio.ensure_future(event.wait())
    either: list[asyncio.Future[Any]] = [waiting, other]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


def _ready(config: Config, app: Application) -> None:
    reports = app.cache.report()
    failed = sum(report.error is not None for report in reports)
    logger.info("serve.ready", {"port": config.port, "secrets": len(reports), "failed": failed})
    notify(os.environ, f"READY=1\nSTATUS={len(reports)} secrets, {failed} of them could not be had")
