"""
The extension's process: what Lambda starts, from its first line to its last.

    bind the ports -> register (`startup`) -> import the rest and serve (`lifecycle`) -> exit

Rules
-----
1. Until the registration only its own modules are imported: the function starts when the extension has registered.
2. Whatever goes wrong, the process stays until SHUTDOWN: an extension that exits fails the function. What failed is
   tried once more; if that fails too, the fallback stays.
"""

from __future__ import annotations

# CPython's own part of `signal`, whose import takes longer.
import _signal  # type: ignore[import-not-found]
import gc
import os
import select
import sys
import time

from secrets_cache.errors import ExtensionsApiError
from secrets_cache.extension.extensions_api import MAX_RETRY_SECONDS, RETRY_SECONDS, ExtensionsApi
from secrets_cache.extension.startup import Startup
from secrets_cache.http1.exchange import run_exchange

# Not from typing, whose import takes longer than the registration itself.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_RESTARTS = 1
# In place of a report that could not be logged.
LOGS_FAILED = "logs"
USAGE = (
    "secrets-cache: this program is started by AWS Lambda, with its own file name as the argument and "
    "AWS_LAMBDA_RUNTIME_API set; elsewhere, use `secrets-cache serve`\n"
)


def main() -> None:
    """Run the extension named by the first argument. Ends the process: 0 after SHUTDOWN, 1 for a failed init."""
    address = os.environ.get("AWS_LAMBDA_RUNTIME_API", "")
    arguments = sys.argv[1:]
    if not address or len(arguments) != 1:
        sys.stderr.write(USAGE)
        sys.exit(2)
    # They wait until there is a handler for them: rule 2.
    _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals() - {_signal.SIGTERM, _signal.SIGINT})
    _open_standard_streams()
    code = run(ExtensionsApi(address, arguments[0]), os.environ)
    # At once: nothing needs tidying up, and a thread that waits for a name server must not hold the process.
    os._exit(code)


def _open_standard_streams() -> None:
    """Open descriptors 0 to 2 if they are closed, so that no socket gets one of these numbers."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free.
            os.open(os.devnull, os.O_RDWR)


def run(api: ExtensionsApi, environ: Mapping[str, str]) -> int:
    """
    Run until the process may end; return its exit code. Raises nothing.

    After a failure it goes on from what failed: memory or descriptors may be available again, and a cache is better
    than the fallback.

    Args:
        api: Not registered yet.
        environ: The environment variables.
    """
    startup, reported = Startup(environ), ""
    for _ in range(1 + MAX_RESTARTS):
        try:
            return _attempt(api, startup)
        except BaseException as error:  # noqa: BLE001 - rule 2; a library may raise SystemExit
            reported = _report("internal.error", error, reported)
        # The connections of an event loop that failed are closed with it: their callers must not wait for ever.
        _forget_handlers()
        gc.unfreeze()
        gc.collect()
    _run_fallback(api, startup)
    return 0


def _attempt(api: ExtensionsApi, startup: Startup) -> int:
    """Register, import the rest, serve until it is time to go; return the exit code."""
    startup.bind_and_register(api)

    # Only now what is slow to import: the function starts in parallel. No import leaves garbage worth looking for;
    # `lifecycle` switches the collector on again.
    gc.disable()
    _exit_on_signals()
    from secrets_cache.system.bundle import Bundle  # noqa: PLC0415

    with Bundle(f"{sys.prefix}/start.bundle"):
        from secrets_cache.config.environment import uses_fast_paths  # noqa: PLC0415
        from secrets_cache.system import light_asyncio  # noqa: PLC0415
        from secrets_cache.system.limits import set_limits  # noqa: PLC0415
        from secrets_cache.system.signals import survive_signals  # noqa: PLC0415

        set_limits()
        survive_signals(_do_nothing)
        if uses_fast_paths(startup.environ):
            light_asyncio.install()
        # The fallback too, before there may be no memory left for it.
        from secrets_cache.extension import fallback, lifecycle  # noqa: F401, PLC0415

    startup.open_sockets()
    try:
        return lifecycle.Lifecycle(api, startup).run()
    finally:
        # Callers that a failed attempt has not accepted are left to the next one.
        for listener in (*startup.sockets, *startup.aws_sockets, *startup.channel):
            listener.close()


def _run_fallback(api: ExtensionsApi, startup: Startup) -> None:
    """Answer with the fallback until SHUTDOWN, whatever fails; a signal ends it as well."""
    pause, reported = RETRY_SECONDS, ""
    while True:
        try:
            wait = _prepare_fallback(api, startup)
        except BaseException as error:  # noqa: BLE001 - rule 2
            reported = _report("internal.error", error, reported)
            # Callers that nobody can answer are refused, not left waiting.
            startup.close_ports()
            wait = _prepare_waiting(api)
        try:
            wait()
        except BaseException as error:  # noqa: BLE001 - rule 2
            reported = _report("internal.error", error, reported)
        else:
            return
        time.sleep(pause)
        pause = min(pause * 2, MAX_RETRY_SECONDS)


def _prepare_fallback(api: ExtensionsApi, startup: Startup) -> Callable[[], object]:
    """Return what answers all callers until SHUTDOWN."""
    startup.close_channel()
    _forget_handlers()
    from secrets_cache.extension.fallback import answer_until_shutdown  # noqa: PLC0415 - not before the registration

    sockets = startup.open_fallback_sockets()
    return lambda: answer_until_shutdown(api, sockets, _report_api)


def _prepare_waiting(api: ExtensionsApi) -> Callable[[], object]:
    """Return what only waits for SHUTDOWN."""
    return lambda: run_exchange(api.wait_for_shutdown(_report_api))


def _exit_on_signals() -> None:
    for number in (_signal.SIGTERM, _signal.SIGINT):
        _signal.signal(number, lambda *_: os._exit(0))


def _forget_handlers() -> None:
    """Replace the handlers of signals that an attempt has left: they need its event loop, and keep it alive."""
    try:
        _exit_on_signals()
        from secrets_cache.system.signals import survive_signals  # noqa: PLC0415 - perhaps what failed

        survive_signals(_do_nothing)
    except Exception:  # noqa: BLE001 - they are still blocked then
        return


def _do_nothing(*_: object) -> None:
    """Handle a signal that must not end the process."""


def _report_api(error: ExtensionsApiError) -> None:
    _report("extensions_api.failed", error)


def _report(event: str, error: BaseException, reported: str = "") -> str:
    """Log what failed, unless it equals what was `reported` last; return what this report says. Raises nothing."""
    try:
        import logging  # noqa: PLC0415 - too slow before the registration, and perhaps what failed

        from secrets_cache.system import logs  # noqa: PLC0415

        logs.ensure_configured()
        reason = {"reason": str(error)} if isinstance(error, ExtensionsApiError) else {}
        fields = {"where": "extension", **logs.describe_error(error), **reason}
        if str(fields) != reported:
            logging.getLogger(__name__).error(event, fields)
        return str(fields)
    except BaseException:  # noqa: BLE001 - rule 2
        if reported != LOGS_FAILED:
            _report_logs()
        return LOGS_FAILED


def _report_logs() -> None:
    """Write the line that says that logging itself failed, if standard output takes it at once."""
    try:
        if select.select([], [1], [], 0)[1]:
            os.write(1, b'{"level":"ERROR","event":"internal.error","where":"logs"}\n')
    except (OSError, ValueError):
        pass
