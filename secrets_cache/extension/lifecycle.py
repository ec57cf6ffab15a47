"""
The extension's life in Lambda, from the registration to the SHUTDOWN event.

    report what is wrong -> prefetch and serve -> /event/next, when the init is done -> SHUTDOWN

Rules
-----
1. `/event/next` is called when the prefetch has settled, or 2 s after the registration: it ends the init.
2. Only a strict configuration may fail the init, and then through `/init/error`.
3. SIGTERM ends everything at once, wherever it is: the one task of this module is cancelled.
4. What a task raises, be it SystemExit, ends no other.
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Generator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from secrets_cache.app import running
from secrets_cache.config import Config, parse
from secrets_cache.core.cache import Cache
from secrets_cache.core.results import Stats
from secrets_cache.errors import ExtensionsApiError
from secrets_cache.extension.extensions_api import ExtensionsApi
from secrets_cache.http1.exchange import Wait
from secrets_cache.system import logs
from secrets_cache.system.files import ConfigFile

logger = logging.getLogger(__name__)

PREFETCH_SECONDS = 2.0
# Lambda gives us 2 s from the SHUTDOWN event on.
TIDY_SECONDS = 0.5
# A loop that fails more often than this within a second is no use.
MAX_FAILURES = 10
FAILURES_SECONDS = 1.0

T = TypeVar("T")


class Start(NamedTuple):
    """
    What came before: the file and, if it had to be read by then, the configuration; the sockets, and what failed.

    Attributes:
        aws_sockets: Those that speak the protocol of AWS's own layer.
        channel: The socket that the exec wrapper connects to, if it could be had.
        troubles: Events, the ports they are about, and the errors; taken from here as they are logged.
        registered: When the registration had ended, well or not, on the monotonic clock.
    """

    file: ConfigFile
    config: Config | None
    port: int
    sockets: Sequence[socket.socket]
    aws_sockets: Sequence[socket.socket]
    channel: Sequence[socket.socket]
    troubles: list[tuple[str, int, Exception]]
    registered: float


class Lifecycle:
    """One life of the extension."""

    def __init__(self, api: ExtensionsApi, environ: Mapping[str, str], start: Start) -> None:
        self._api = api
        self._environ = environ
        self._start = start
        file = start.file
        self._config = start.config or parse(file.data, file=file.path, environ=environ, unreadable=file.unreadable)
        self._counts = Stats()
        self._code: int | None = None
        self._failed_at: list[float] = []
        self._waiting: Generator[Wait, None, str] | None = None

    def run(self) -> int:
        """Live; return the exit code."""
        logs.configure(self._config.log_level)
        for problem in self._config.problems:
            logger.error("config.invalid", problem.as_fields())
        while self._start.troubles:
            event, port, error = self._start.troubles.pop(0)
            logger.error(event, {"port": port, "reason": getattr(error, "strerror", None) or str(error)})
        # Not asyncio.run: its end waits for threads.
        loop = asyncio.new_event_loop()
        life = loop.create_task(self._live())
        loop.add_signal_handler(signal.SIGTERM, self._stop, life)
        while True:
            try:
                return loop.run_until_complete(life)
            except BaseException as error:
                if self._code is not None:
                    return self._code
                if life.done() or self._is_hopeless(loop.time()):
                    if self._waiting is not None:
                        # Or the next life's would be the second that is open.
                        self._waiting.close()
                    raise
                # A task raised SystemExit, or the loop itself failed: everybody goes on where they were.
                if len(self._failed_at) == 1:
                    logger.error("internal.error", {"where": "loop", **logs.describe(error)})  # noqa: TRY400 - not its text

    def _is_hopeless(self, now: float) -> bool:
        """Note a failure of the loop; return whether there were too many in a row."""
        self._failed_at = [moment for moment in self._failed_at if now - moment < FAILURES_SECONDS] + [now]
        return len(self._failed_at) > MAX_FAILURES

    def _stop(self, life: "asyncio.Task[int]") -> None:
        self._end("SIGTERM")
        life.cancel()

    def _end(self, reason: str) -> None:
        """Say that it is time to go, and why. What is then tidied up is not waited for for long."""
        if self._code is None:
            self._code = 0
            loop = asyncio.get_running_loop()
            loop.call_later(TIDY_SECONDS, loop.stop)
            logger.info("extension.stopped", {"reason": reason, **self._counts.as_fields()})

    async def _live(self) -> int:
        try:
            await self._serve()
        except asyncio.CancelledError:
            if self._code is None:
                raise
        return self._code or 0

    async def _serve(self) -> None:
        """Serve until it is time to go."""
        config = self._config
        if config.strict and config.problems:
            await self._fail("Extension.ConfigInvalid", "\n".join(map(str, config.problems)))
            return
        start = self._start
        if not start.sockets and not start.aws_sockets:
            for listener in self._start.channel:
                # A wrapper that is not answered fetches by itself.
                listener.close()
            self._end(await self._until_shutdown())
            return
        async with running(
            config,
            sockets=start.sockets,
            aws_sockets=start.aws_sockets,
            environ=self._environ,
            channel=start.channel,
        ) as app:
            self._counts = app.cache.counts
            if app.settling is not None:
                await self._settle(app.settling)
                if config.strict and (missing := app.missing()):
                    await self._fail("Extension.RequiredSecretMissing", "\n".join(missing))
                    return
            self._say_ready(app.cache)
            self._end(await self._until_shutdown())

    async def _settle(self, settling: "asyncio.Task[None]") -> None:
        is_awaited = self._config.strict and any(item.required for item in self._config.listed)
        # The function has been starting since the registration; where there is little CPU, our imports take seconds.
        left = max(0.0, self._start.registered + PREFETCH_SECONDS - time.monotonic())
        await asyncio.wait({settling}, timeout=None if is_awaited else left)

    def _say_ready(self, cache: Cache) -> None:
        # What is here now stays: it is never looked through again.
        gc.freeze()
        gc.enable()
        reports, began = cache.report(), _process_start() or self._start.registered
        registered = round((self._start.registered - began) * 1000)
        logger.info(
            "extension.ready",
            {
                "port": self._start.port,
                "secrets": len(reports),
                "failed": sum(report.error is not None for report in reports),
                **({"registered_ms": registered} if self._api.is_registered else {}),
                "took_ms": round((time.monotonic() - began) * 1000),
            },
        )

    async def _until_shutdown(self) -> str:
        self._waiting = self._api.until_shutdown(_report_api)
        return await _finish(self._waiting)

    async def _fail(self, error_type: str, message: str) -> None:
        """Fail the init: the only case in which the process ends before SHUTDOWN."""
        try:
            await _finish(self._api.init_error(error_type, message))
        except ExtensionsApiError as error:
            _report_api(error)
        self._code = 1
        loop = asyncio.get_running_loop()
        loop.call_later(TIDY_SECONDS, loop.stop)


async def _finish(steps: Generator[Wait, None, T]) -> T:
    """Return what a call of the Extensions API returns; the loop goes on while it waits."""
    with contextlib.closing(steps):
        while True:
            try:
                wait = next(steps)
            except StopIteration as end:
                result: T = end.value
                return result
            await _happened(wait)


async def _happened(wait: Wait) -> None:
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    add, remove = (loop.add_writer, loop.remove_writer) if wait.is_writing else (loop.add_reader, loop.remove_reader)
    if wait.descriptor is not None:
        add(wait.descriptor, ready.set)
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(wait.until):
                await ready.wait()
    finally:
        if wait.descriptor is not None:
            remove(wait.descriptor)


def _process_start() -> float | None:
    """Return when this process was started, on the monotonic clock, to 10 ms; None if the kernel does not tell."""
    # proc(5): field 22 is the start time in clock ticks since boot; the fields before it end with the name's ")".
    try:
        with open("/proc/self/stat", encoding="ascii", errors="replace") as file:  # noqa: PTH123 - no pathlib on the start path
            ticks = int(file.read().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.monotonic() - age


def _report_api(error: ExtensionsApiError) -> None:
    logger.error("extensions_api.failed", {"reason": str(error)})
