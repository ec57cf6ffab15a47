"""
`secrets-cache serve`: the server without the Extensions API.

    bind -> serve, prefetch -> ready -> a signal: accept no more connections, finish open requests -> exit
                                     -> SIGHUP: read the configuration again

Rules
-----
1. If it cannot serve, it exits with 1 at once: outside Lambda, a supervisor starts it again.
2. After the first signal, open requests have the grace period to finish; a second signal ends it at once. Nothing
   that hangs delays that: no thread is waited for, and closing has a time limit.
3. Only SIGTERM and SIGINT end it, and the end of its terminal. SIGHUP changes what it serves, and no request under way
   notices.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from secrets_cache.app import Application, run_application
from secrets_cache.cli.file_source import open_file_source
from secrets_cache.cli.inputs import read_existing_configuration
from secrets_cache.cli.reload import reload
from secrets_cache.cli.serve_screen import ServeScreen
from secrets_cache.config import Config
from secrets_cache.core.results import EntryReport
from secrets_cache.core.source import OpenableSource
from secrets_cache.loading import log_problems
from secrets_cache.system import logs
from secrets_cache.system.limits import set_limits
from secrets_cache.system.signals import name_signal, survive_signals
from secrets_cache.system.sockets import bind, open_sockets

logger = logging.getLogger(__name__)

# What sets a port.
PORT_SETTINGS = "--port, SECRETS_CACHE_PORT or server.port"
AWS_PORT_SETTINGS = "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT or server.aws_port"
# For closing what is open, once the requests are answered or given up.
CLOSING_SECONDS = 0.5


def run(given: argparse.Namespace) -> int:
    """Serve until a signal."""
    set_limits()
    environ = {**os.environ, "SECRETS_CACHE_PORT": str(given.port)} if given.port else os.environ
    file, config = read_existing_configuration(given, environ)
    source = open_file_source(given.from_file)
    screen = ServeScreen(file, given.from_file) if sys.stdout.isatty() else None
    if screen is None:
        logs.configure(config.log_level)
    else:
        screen.start_log(config)
    log_problems(config)
    if config.strict and config.problems:
        return 1
    survive_signals(_do_nothing)
    serving = _serve_until_signal(config, given, environ, screen, source)
    code = asyncio.new_event_loop().run_until_complete(serving)
    # Not asyncio.run, and not the interpreter's own end: both wait for threads, and a name server may hold one.
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    os._exit(code)


def _do_nothing(*_: object) -> None:
    """Handle a signal that must not end the process."""


class _Signals:
    """
    Three events: the first signal to stop sets `first`, the next one `second`; SIGHUP sets `hangup`.

    Every other signal is logged, once.

    Args:
        grace_seconds: The process ends this long after the first signal, and `CLOSING_SECONDS`, whatever hangs.
    """

    def __init__(self, grace_seconds: float) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        self.hangup = asyncio.Event()
        self._grace_seconds = grace_seconds
        self._noted: set[int] = set()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        survive_signals(lambda number, _: loop.call_soon_threadsafe(self._note, number))
        loop.add_signal_handler(signal.SIGHUP, self.hangup.set)

    def stop(self) -> None:
        """Take a signal to stop."""
        if self.first.is_set():
            self.second.set()
            _end_within(CLOSING_SECONDS)
        else:
            self.first.set()
            _end_within(self._grace_seconds + CLOSING_SECONDS)

    def _note(self, number: int) -> None:
        if number not in self._noted:
            self._noted.add(number)
            logger.info("signal.ignored", {"signal": name_signal(number)})


def _end_within(seconds: float) -> None:
    """End the process after a while, if it has not ended by then. By a thread: the event loop may be what hangs."""
    timer = threading.Timer(seconds, os._exit, (0,))
    timer.daemon = True
    timer.start()


async def _serve_until_signal(
    config: Config,
    given: argparse.Namespace,
    environ: Mapping[str, str],
    screen: ServeScreen | None,
    source: OpenableSource | None,
) -> int:
    # One port for both protocols is bound once, and speaks both.
    is_second = bool(config.aws_port) and not config.is_port_shared
    sockets = _listen(config.port, PORT_SETTINGS)
    aws_sockets = _listen(config.aws_port, AWS_PORT_SETTINGS) if is_second else []
    if not sockets or (is_second and not aws_sockets):
        return 1
    if screen is not None:
        screen.show_start(config)
    signals = _Signals(given.grace)
    async with run_application(
        config, sockets=sockets, aws_sockets=aws_sockets, environ=environ, metrics=True, source=source
    ) as app:
        if app.prefetching is not None:
            await _wait_for_first(signals.first, app.prefetching)
        if not signals.first.is_set():
            if config.strict and app.list_missing():
                return 1
            _report_ready(config, app, screen)
        reloading = asyncio.create_task(_reload_at_hangup(signals, given, environ, app, screen))
        await signals.first.wait()
        notify(os.environ, "STOPPING=1")
        draining = asyncio.ensure_future(app.drain(given.grace))
        await _wait_for_first(signals.second, draining)
        for task in (reloading, draining):
            task.cancel()
        await asyncio.gather(reloading, draining, return_exceptions=True)
        logger.info("serve.stopped", app.cache.counts.as_fields())
    return 0


async def _reload_at_hangup(
    signals: _Signals,
    given: argparse.Namespace,
    environ: Mapping[str, str],
    app: Application,
    screen: ServeScreen | None,
) -> None:
    """Read the configuration again at each SIGHUP, until cancelled. Several that arrive meanwhile are one."""
    while True:
        await signals.hangup.wait()
        signals.hangup.clear()
        if screen is not None and screen.is_closed():
            # Nobody sees any more that the server runs, and has the port.
            signals.stop()
            return
        # sd_notify(3): systemd waits for the next READY=1.
        notify(environ, f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            config = await reload(given, environ, app)
            if screen is not None and config is not None:
                screen.show_ready(config, app.cache.report())
        except Exception as error:  # noqa: BLE001 - what is served goes on, and the next SIGHUP may do better
            logger.error("internal.error", {"where": "reload", **logs.describe_error(error)})  # noqa: TRY400
        _notify_ready(environ, app.cache.report())


def _listen(port: int, settings: str) -> list[socket.socket]:
    """Return the sockets that listen on a port; none if the port cannot be bound."""
    descriptors, errors = bind(port)
    for error in errors:
        advice = f"choose another port: {settings}"
        logger.error("server.not_listening", {"port": port, "reason": error.strerror, "advice": advice})
    return open_sockets(descriptors)


async def _wait_for_first(event: asyncio.Event, other: "asyncio.Future[None]") -> None:
    """Wait until the event is set or the other one is done."""
    waiting = asyncio.ensure_future(event.wait())
    either: list[asyncio.Future[Any]] = [waiting, other]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


def _report_ready(config: Config, app: Application, screen: ServeScreen | None) -> None:
    reports = app.cache.report()
    failed = sum(report.error is not None for report in reports)
    ports = {"port": config.port, **({"aws_port": config.aws_port} if config.aws_port else {})}
    logger.info("serve.ready", {**ports, "secrets": len(reports), "failed": failed})
    if screen is not None:
        screen.show_ready(config, reports)
    _notify_ready(os.environ, reports)


def _notify_ready(environ: Mapping[str, str], reports: Sequence[EntryReport]) -> None:
    failed = sum(report.error is not None for report in reports)
    notify(environ, f"READY=1\nSTATUS={len(reports)} secrets, {failed} of them failed")


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
