"""
The extension's own process: what Lambda starts, from its first line to its last.

    bind the ports -> register -> import the rest and live (`lifecycle`) -> exit

Rules
-----
1. Up to the registration only what it needs is imported: the function starts when we have registered.
2. Whatever goes wrong, the process stays until SHUTDOWN: an extension that exits fails the function. What failed is
   tried once more; if that fails too, the last resort stays.
"""

from __future__ import annotations

import gc
import os
import select
import sys
import time

from secrets_cache.errors import ExtensionsApiError
from secrets_cache.extension.extensions_api import MAX_RETRY_SECONDS, RETRY_SECONDS, ExtensionsApi
from secrets_cache.http1.exchange import finish
from secrets_cache.system.files import read_config
from secrets_cache.system.sockets import bind, bind_channel, opened

# Not from typing, whose import takes longer than the registration itself.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from secrets_cache.config import Config
    from secrets_cache.system.files import ConfigFile


DEFAULT_PORT = 8080
MAX_PORT = 65535
LIVES = 2
# What could not be said, since the log failed.
UNSAID = "logs"
USAGE = (
    "secrets-cache: this program is started by AWS Lambda, with its own file name as the argument and "
    "AWS_LAMBDA_RUNTIME_API set; elsewhere, use `secrets-cache serve`\n"
)


def main() -> None:
    """Live as the extension named by the first argument. Ends the process: 0 after SHUTDOWN, 1 for a failed init."""
    address = os.environ.get("AWS_LAMBDA_RUNTIME_API", "")
    arguments = sys.argv[1:]
    if not address or len(arguments) != 1:
        sys.stderr.write(USAGE)
        sys.exit(2)
    _open_standard_streams()
    code = live(ExtensionsApi(address, arguments[0]), os.environ)
    # At once: nothing here needs tidying up, and a thread that waits for a name server must not hold us.
    os._exit(code)


def _open_standard_streams() -> None:
    """Let no socket become what is written to as standard output."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free.
            os.open(os.devnull, os.O_RDWR)


def live(api: ExtensionsApi, environ: Mapping[str, str]) -> int:
    """
    Do everything; return the exit code when it is time to go. Raises nothing.

    What fails is tried once more from where it failed: what was short then may be there now, and a cache is worth more
    than the last resort.

    Args:
        api: Not registered yet.
        environ: The environment variables.
    """
    start, said = _Start(api, environ), ""
    for _ in range(LIVES):
        try:
            return start.go_on()
        except BaseException as error:  # noqa: BLE001 - rule 2; a library may raise SystemExit
            said = _report("internal.error", error, said)
        # Who still waits at an event loop that failed must not wait for ever: with the loop goes the connection.
        gc.unfreeze()
        gc.collect()
    _stay(api, start)
    return 0


class _Start:
    """
    The start, in steps: what is done is not done again.

    The ports are held here, and a life gets copies of the descriptors: whatever becomes of it, they stay open, and who
    calls meanwhile waits. What the wrapper connects to goes with the first life: then it fetches by itself.
    """

    def __init__(self, api: ExtensionsApi, environ: Mapping[str, str]) -> None:
        self._api = api
        self._environ = environ
        self._config: Config | None = None
        self._port = DEFAULT_PORT
        self._aws_port = 0
        self._descriptors: list[int] = []
        self._aws_descriptors: list[int] = []
        self._channel: list[int] = []
        self._troubles: list[tuple[str, int, Exception]] = []
        self._is_bound = False
        self._registered = 0.0

    def go_on(self) -> int:
        """Do what is left to do, then live; return the exit code."""
        file = read_config(self._environ)
        if not self._is_bound:
            self._choose_ports(file)
            self._bind()
        if not self._registered:
            self._register()

        # Only now what is slow to import: the function's own start goes on beside it. Nothing of it is garbage, so
        # looking for some would be in vain; `lifecycle` looks again.
        gc.disable()
        _end_at_signals()
        from secrets_cache.system.limits import set_limits  # noqa: PLC0415

        set_limits()
        # Before there may be no memory left for it.
        from secrets_cache.extension import fallback, lifecycle  # noqa: F401, PLC0415

        sockets, aws_sockets = _copies(self._descriptors), _copies(self._aws_descriptors)
        channel = opened(self._channel)
        self._channel = []
        start = lifecycle.Start(
            file, self._config, self._port, sockets, aws_sockets, channel, self._troubles, self._registered
        )
        try:
            return lifecycle.Lifecycle(self._api, self._environ, start).run()
        finally:
            # Whoever still waits to be let in by a life that failed is the next one's.
            for listener in (*sockets, *aws_sockets, *channel):
                listener.close()

    def sockets(self) -> list[socket.socket]:
        """Return sockets of all our ports that are to be had."""
        if not self._is_bound:
            self._bind()
        return _copies([*self._descriptors, *self._aws_descriptors])

    def close_channel(self) -> None:
        """Answer no wrapper: it then fetches by itself."""
        while self._channel:
            os.close(self._channel.pop())

    def close_ports(self) -> None:
        """Let callers be refused."""
        for descriptors in (self._descriptors, self._aws_descriptors):
            while descriptors:
                os.close(descriptors.pop())

    def _choose_ports(self, file: ConfigFile) -> None:
        ports = {"SECRETS_CACHE_PORT": DEFAULT_PORT, "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": 0}
        must_read = file.may_set_port()
        for name in ports:
            wanted = self._environ.get(name, "").strip()
            if wanted.isascii() and wanted.isdigit() and 0 < int(wanted[:6]) <= MAX_PORT:
                ports[name] = int(wanted)
            else:
                must_read = must_read or wanted != ""
        self._port, self._aws_port = ports.values()
        if must_read:
            # The parser is slow to import, so this is the exception.
            from secrets_cache.config import parse  # noqa: PLC0415

            self._config = parse(file.data, file=file.path, environ=self._environ, unreadable=file.unreadable)
            self._port, self._aws_port = self._config.port, self._config.aws_port

    def _bind(self) -> None:
        self._descriptors, errors = bind(self._port)
        self._aws_descriptors, aws_errors = bind(self._aws_port) if self._aws_port else ([], [])
        self._is_bound = True
        for port, of_port in ((self._port, errors), (self._aws_port, aws_errors)):
            self._troubles += [("server.not_listening", port, error) for error in of_port]
        self._channel = bind_channel(self._environ.get("AWS_LAMBDA_RUNTIME_API", ""))

    def _register(self) -> None:
        try:
            finish(self._api.register())
        except ExtensionsApiError as error:
            self._troubles.append(("extensions_api.failed", self._port, error))
        self._registered = time.monotonic()


def _copies(descriptors: list[int]) -> list[socket.socket]:
    return opened(map(os.dup, descriptors))


def _stay(api: ExtensionsApi, start: _Start) -> None:
    """Stay until SHUTDOWN, whatever goes wrong in that too; a signal ends it as well."""
    pause, said = RETRY_SECONDS, ""
    while True:
        try:
            wait = _last_resort(api, start)
        except BaseException as error:  # noqa: BLE001 - rule 2
            said = _report("internal.error", error, said)
            # Who cannot be answered is not left waiting.
            start.close_ports()
            wait = _wait_unheard(api)
        try:
            wait()
        except BaseException as error:  # noqa: BLE001 - rule 2
            said = _report("internal.error", error, said)
        else:
            return
        time.sleep(pause)
        pause = min(pause * 2, MAX_RETRY_SECONDS)


def _last_resort(api: ExtensionsApi, start: _Start) -> Callable[[], object]:
    """Return what answers everybody and ends with SHUTDOWN."""
    start.close_channel()
    # An event loop that failed may have left a handler that does nothing.
    _end_at_signals()
    from secrets_cache.extension.fallback import stay  # noqa: PLC0415 - not before the registration

    sockets = start.sockets()
    return lambda: stay(api, sockets, _report_api)


def _wait_unheard(api: ExtensionsApi) -> Callable[[], object]:
    """Return what only ends with SHUTDOWN."""
    return lambda: finish(api.until_shutdown(_report_api))


def _end_at_signals() -> None:
    import signal  # noqa: PLC0415 - too slow to have at hand

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))


def _report_api(error: ExtensionsApiError) -> None:
    _report("extensions_api.failed", error)


def _report(event: str, error: BaseException, said: str = "") -> str:
    """Write the one line that says what failed, though everything else may have; not if it is `said`. Return it."""
    try:
        import logging  # noqa: PLC0415 - too slow to have at hand, and perhaps what failed

        from secrets_cache.system import logs  # noqa: PLC0415

        logs.ensure_configured()
        reason = {"reason": str(error)} if isinstance(error, ExtensionsApiError) else {}
        fields = {"where": "extension", **logs.describe(error), **reason}
        if str(fields) != said:
            logging.getLogger(__name__).error(event, fields)
        return str(fields)
    except BaseException:  # noqa: BLE001 - rule 2
        if said != UNSAID:
            _say_that_logs_fail()
        return UNSAID


def _say_that_logs_fail() -> None:
    try:
        if select.select([], [1], [], 0)[1]:
            os.write(1, b'{"level":"ERROR","event":"internal.error","where":"logs"}\n')
    except (OSError, ValueError):
        pass
