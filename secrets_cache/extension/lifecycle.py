"""
The extension's lifecycle, from the registration to the SHUTDOWN event.

    log what is wrong -> prefetch and serve -> /event/next, when the init is done -> SHUTDOWN

Rules
-----
1. `/event/next` is called when the prefetch has settled, or 2 s after the registration: it ends the init.
2. Only a strict configuration may fail the init, and then through `/init/error`.
3. SIGTERM ends everything at once, at any point: the one task of this module is cancelled. Other signals end nothing.
4. Whatever a task raises, SystemExit included, ends no other task.
"""

import asyncio
import contextlib
import gc
import logging
import os
import select
import signal
import time
from asyncio import SelectorEventLoop
from collections.abc import Generator
from typing import TypeVar

from secrets_cache.app import run_application
from secrets_cache.core.cache import Cache
from secrets_cache.core.stats import Stats
from secrets_cache.errors import ExtensionsApiError
from secrets_cache.extension.extensions_api import ExtensionsApi
from secrets_cache.extension.startup import Startup
from secrets_cache.http1.exchange import Wait
from secrets_cache.loading import start_log
from secrets_cache.system import logs
from secrets_cache.system.signals import name_signal, survive_signals

logger = logging.getLogger(__name__)

PREFETCH_SECONDS = 2.0
# Lambda allows 2 s from the SHUTDOWN event on.
CLOSING_SECONDS = 0.5
# An event loop that fails more often than this within `LOOP_FAILURES_SECONDS` is given up.
MAX_LOOP_FAILURES = 10
LOOP_FAILURES_SECONDS = 1.0
# For a port that could not be bound.
PORT_ADVICE = "choose another port with SECRETS_CACHE_PORT, and change the URL in the function"
AWS_PORT_ADVICE = "is AWS's own layer still on the function? Remove it, or choose another port"

T = TypeVar("T")


class Lifecycle:
    """
    Everything after the registration, once.

    Args:
        api: Registered, or not: it is then registered later.
        startup: Its sockets are open; its failures are taken from it as they are logged.
    """

    def __init__(self, api: ExtensionsApi, startup: Startup) -> None:
        self._api = api
        self._startup = startup
        self._config = startup.parse_config()
        self._counts = Stats()
        self._exit_code: int | None = None
        self._noted_signals: set[int] = set()
        self._loop_failures_at: list[float] = []
        self._event_next: Generator[Wait, None, str] | None = None

    def run(self) -> int:
        """Serve until it is time to go; return the exit code."""
        start_log(self._config)
        while self._startup.failures:
            self._log_failure(*self._startup.failures.pop(0))
        # Not asyncio.run: its end waits for threads.
        loop = SelectorEventLoop()
        main_task = loop.create_task(self._main())
        # Not loop.add_signal_handler: it imports `inspect`.
        _wake_on_signals(loop)
        signal.signal(signal.SIGTERM, lambda *_: self._receive_sigterm(main_task))
        survive_signals(lambda number, _: loop.call_soon_threadsafe(self._note_signal, number))
        while True:
            try:
                return loop.run_until_complete(main_task)
            except BaseException as error:
                if self._exit_code is not None:
                    return self._exit_code
                if main_task.done() or self._is_loop_broken(loop.time()):
                    if self._event_next is not None:
                        # Or a restart would open a second one.
                        self._event_next.close()
                    raise
                # A task raised SystemExit, or the loop itself failed: every task goes on where it was.
                if len(self._loop_failures_at) == 1:
                    logger.error("internal.error", {"where": "loop", **logs.describe_error(error)})  # noqa: TRY400 - not its text

    def _log_failure(self, event: str, port: int, error: Exception) -> None:
        fields = {"port": port, "reason": getattr(error, "strerror", None) or str(error)}
        if event == "server.not_listening":
            fields["advice"] = PORT_ADVICE if port == self._startup.port else AWS_PORT_ADVICE
        logger.error(event, fields)

    def _is_loop_broken(self, now: float) -> bool:
        """Note a failure of the loop; return whether there were too many in a row."""
        recent = [moment for moment in self._loop_failures_at if now - moment < LOOP_FAILURES_SECONDS]
        self._loop_failures_at = [*recent, now]
        return len(self._loop_failures_at) > MAX_LOOP_FAILURES

    def _receive_sigterm(self, main_task: "asyncio.Task[int]") -> None:
        """End in the event loop's next turn; at once where no loop runs, or there is no memory for that."""
        try:
            asyncio.get_running_loop().call_soon_threadsafe(self._terminate, main_task)
        except (RuntimeError, MemoryError):
            os._exit(0)

    def _terminate(self, main_task: "asyncio.Task[int]") -> None:
        self._stop("SIGTERM")
        main_task.cancel()

    def _note_signal(self, number: int) -> None:
        if number not in self._noted_signals:
            self._noted_signals.add(number)
            logger.info("signal.ignored", {"signal": name_signal(number)})

    def _stop(self, reason: str) -> None:
        """Log the end and its reason. Closing what is open may then take `CLOSING_SECONDS`, no longer."""
        if self._exit_code is None:
            self._exit_code = 0
            loop = asyncio.get_running_loop()
            loop.call_later(CLOSING_SECONDS, loop.stop)
            logger.info("extension.stopped", {"reason": reason, **self._counts.as_fields()})

    async def _main(self) -> int:
        try:
            await self._serve()
        except asyncio.CancelledError:
            if self._exit_code is None:
                raise
        return self._exit_code or 0

    async def _serve(self) -> None:
        """Serve until it is time to go."""
        config, startup = self._config, self._startup
        if config.strict and config.problems:
            await self._fail_init("Extension.ConfigInvalid", "\n".join(map(str, config.problems)))
            return
        if not startup.sockets and not startup.aws_sockets:
            for listener in startup.channel:
                # The wrapper then fetches the secrets itself.
                listener.close()
            self._stop(await self._wait_for_shutdown())
            return
        async with run_application(
            config,
            sockets=startup.sockets,
            aws_sockets=startup.aws_sockets,
            environ=startup.environ,
            channel=startup.channel,
        ) as app:
            self._counts = app.cache.counts
            if app.prefetching is not None:
                await self._wait_for_prefetch(app.prefetching)
                if config.strict and (missing := app.list_missing()):
                    await self._fail_init("Extension.RequiredSecretMissing", "\n".join(missing))
                    return
            self._log_ready(app.cache)
            self._stop(await self._wait_for_shutdown())

    async def _wait_for_prefetch(self, prefetching: "asyncio.Task[None]") -> None:
        is_required = self._config.strict and any(item.required for item in self._config.listed)
        # The function has been starting since the registration; where there is little CPU, imports take seconds.
        seconds_left = max(0.0, self._startup.registered_at + PREFETCH_SECONDS - time.monotonic())
        await asyncio.wait({prefetching}, timeout=None if is_required else seconds_left)

    def _log_ready(self, cache: Cache) -> None:
        # What exists now stays: the garbage collector need not look through it again.
        gc.freeze()
        gc.enable()
        registered_at = self._startup.registered_at
        reports, began = cache.report(), _read_process_start() or registered_at
        registered = round((registered_at - began) * 1000)
        logger.info(
            "extension.ready",
            {
                **self._startup.list_bound_ports(),
                "secrets": len(reports),
                "failed": sum(report.error is not None for report in reports),
                **({"registered_ms": registered} if self._api.is_registered else {}),
                "took_ms": round((time.monotonic() - began) * 1000),
            },
        )

    async def _wait_for_shutdown(self) -> str:
        self._event_next = self._api.wait_for_shutdown(_report_api)
        return await _run_exchange(self._event_next)

    async def _fail_init(self, error_type: str, message: str) -> None:
        """Fail the init: the only case in which the process ends before SHUTDOWN."""
        try:
            await _run_exchange(self._api.report_init_error(error_type, message))
        except ExtensionsApiError as error:
            _report_api(error)
        self._exit_code = 1
        loop = asyncio.get_running_loop()
        loop.call_later(CLOSING_SECONDS, loop.stop)


def _wake_on_signals(loop: SelectorEventLoop) -> None:
    """Let each signal end the loop's wait: one right before it, or in another thread, does not interrupt it."""
    # Never closed: a handler might write to what gets the same number.
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    loop.add_reader(reading, os.read, reading, select.PIPE_BUF)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)


async def _run_exchange(steps: Generator[Wait, None, T]) -> T:
    """Run an exchange to its end in the event loop; return its result."""
    with contextlib.closing(steps):
        while True:
            try:
                wait = next(steps)
            except StopIteration as end:
                result: T = end.value
                return result
            await _wait(wait)


async def _wait(wait: Wait) -> None:
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


def _read_process_start() -> float | None:
    """Return when this process was started, on the monotonic clock, to 10 ms; None if the kernel does not say."""
    # proc(5): field 22 is the start time in clock ticks since boot; the fields before it end with the name's ")".
    try:
        with open("/proc/self/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - no pathlib on the start path
            ticks = int(file.read().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.monotonic() - age


def _report_api(error: ExtensionsApiError) -> None:
    logger.error("extensions_api.failed", {"reason": str(error)})
