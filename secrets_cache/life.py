"""
The extension's life in Lambda, from the registration to the SHUTDOWN event.

    report what is wrong -> prefetch and serve -> /event/next, when the init is done -> SHUTDOWN

Rules
-----
1. `/event/next` is called when the prefetch has settled, or after 2 s: it ends the init.
2. Only a strict configuration may fail the init, and then through `/init/error`.
"""

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from secrets_cache import logs
from secrets_cache.app import fetches_late, missing_required, running
from secrets_cache.cache import Cache
from secrets_cache.config import Config, Problem, parse
from secrets_cache.errors import ExtensionsApiError
from secrets_cache.extensions_api import ExtensionsApi
from secrets_cache.files import ConfigFile
from secrets_cache.last_resort import MAX_RETRY_SECONDS, RETRY_SECONDS, stay

logger = logging.getLogger(__name__)

PREFETCH_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Start:
    """
    What came before: the file and, if it had to be read by then, the configuration; the sockets, and what failed.

    Attributes:
        registered: When the process had registered, on the monotonic clock.
    """

    file: ConfigFile
    config: Config | None
    port: int
    sockets: Sequence[socket.socket]
    troubles: Sequence[tuple[str, Exception]]
    registered: float


class Life:
    """One life of the extension."""

    def __init__(self, api: ExtensionsApi, environ: Mapping[str, str], start: Start) -> None:
        self._api = api
        self._environ = environ
        self._start = start
        file = start.file
        self._config = start.config or parse(file.data, file=file.path, environ=environ, unreadable=file.unreadable)

    def run(self) -> int:
        """Live; return the exit code."""
        config = self._config
        logs.configure(config.log_level)
        for problem in config.problems:
            report_problem(problem)
        for event, error in self._start.troubles:
            logger.error(event, {"port": self._start.port, "reason": getattr(error, "strerror", None) or str(error)})
        if config.strict and config.problems:
            return self._fail("Extension.ConfigInvalid", "\n".join(map(str, config.problems)))
        if not self._start.sockets:
            stay(self._api, (), _report_api)
            return 0
        # Not asyncio.run: its end waits for threads.
        return asyncio.new_event_loop().run_until_complete(self._serve())

    async def _serve(self) -> int:
        async with running(self._config, sockets=self._start.sockets, environ=self._environ) as cache:
            if not fetches_late(self._environ):
                await self._settle(cache)
                if missing_required(self._config, cache) and self._config.strict:
                    return self._fail("Extension.RequiredSecretMissing", "a required secret could not be had")
            reports, began = cache.report(), _process_start() or self._start.registered
            logger.info(
                "extension.ready",
                {
                    "port": self._start.port,
                    "secrets": len(reports),
                    "failed": sum(report.error is not None for report in reports),
                    "registered_ms": round((self._start.registered - began) * 1000),
                    "took_ms": round((time.monotonic() - began) * 1000),
                },
            )
            reason = await self._until_shutdown()
            logger.info("extension.stopped", {"reason": reason, **asdict(cache.counts)})
        return 0

    async def _settle(self, cache: Cache) -> None:
        is_awaited = self._config.strict and any(secret.required for secret in self._config.secrets)
        await asyncio.wait({cache.start_prefetch()}, timeout=None if is_awaited else PREFETCH_SECONDS)

    async def _until_shutdown(self) -> str:
        """Open `/event/next` and keep it open; return why it is time to go."""
        loop = asyncio.get_running_loop()
        readable, terminated = asyncio.Event(), asyncio.Event()

        def terminate() -> None:
            terminated.set()
            readable.set()

        loop.add_signal_handler(signal.SIGTERM, terminate)
        parent, pause = os.getppid(), RETRY_SECONDS
        while not terminated.is_set():
            try:
                readable.clear()
                descriptor = self._api.open_next()
                loop.add_reader(descriptor, readable.set)
                try:
                    await readable.wait()
                finally:
                    loop.remove_reader(descriptor)
                if not terminated.is_set() and self._api.read_next() == "SHUTDOWN":
                    return "SHUTDOWN"
                pause = RETRY_SECONDS
            except ExtensionsApiError as error:
                if os.getppid() != parent:
                    return "the process that started us is gone"
                _report_api(error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, MAX_RETRY_SECONDS)
        return "SIGTERM"

    def _fail(self, error_type: str, message: str) -> int:
        """Fail the init: the only case in which the process ends before SHUTDOWN."""
        try:
            self._api.init_error(error_type, message)
        except ExtensionsApiError as error:
            _report_api(error)
        return 1


def report_problem(problem: Problem) -> None:
    """Write the one line of a problem of the configuration."""
    fields = {name: value for name, value in asdict(problem).items() if value not in {None, ""}}
    logger.error("config.invalid", {**fields, "text": str(problem)})


def _process_start() -> float | None:
    """Return when this process was started, on the monotonic clock, to 10 ms; None if the kernel does not tell."""
    # proc(5): field 22 is the start time in clock ticks since boot; the fields before it end with the name's ")".
    try:
        ticks = int(Path("/proc/self/stat").read_text("ascii", "replace").rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.monotonic() - age


def _report_api(error: ExtensionsApiError) -> None:
    logger.error("extensions_api.failed", {"reason": str(error)})
