"""
The extension's own process: what Lambda starts, from its first line to its last.

    bind the ports -> register -> import the rest and live (`life`) -> exit

Rules
-----
1. Up to the registration only what it needs is imported: the function starts when we have registered.
2. Whatever goes wrong, the process stays until SHUTDOWN: an extension that exits fails the function.
"""

from __future__ import annotations

import gc
import os
import select
import sys
import time

from secrets_cache.errors import ExtensionsApiError
from secrets_cache.exchange import finish
from secrets_cache.extensions_api import MAX_RETRY_SECONDS, RETRY_SECONDS, ExtensionsApi
from secrets_cache.files import read_config
from secrets_cache.listeners import bind, bind_channel, opened

# Not from typing, whose import takes longer than the registration itself.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence


DEFAULT_PORT = 8080
MAX_PORT = 65535
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
    code = live(ExtensionsApi(address, arguments[0]), os.environ)
    # At once: nothing here needs tidying up, and a thread that waits for a name server must not hold us.
    os._exit(code)


def live(api: ExtensionsApi, environ: Mapping[str, str]) -> int:
    """
    Do everything; return the exit code when it is time to go. Raises nothing.

    Args:
        api: Not registered yet.
        environ: The environment variables.
    """
    port = DEFAULT_PORT
    sockets: list[socket.socket] = []
    channel: list[socket.socket] = []
    try:
        file, config = read_config(environ), None
        wanted = environ.get("SECRETS_CACHE_PORT", "").strip()
        if wanted.isascii() and wanted.isdigit() and 0 < int(wanted[:6]) <= MAX_PORT:
            port = int(wanted)
        elif wanted or file.may_set_port():
            # The parser is slow to import, so this is the exception.
            from secrets_cache.config import parse  # noqa: PLC0415

            config = parse(file.data, file=file.path, environ=environ, unreadable=file.unreadable)
            port = config.port
        descriptors, bind_errors = bind(port)
        channel_descriptors = bind_channel(environ.get("AWS_LAMBDA_RUNTIME_API", ""))
        troubles: list[tuple[str, Exception]] = [("server.not_listening", error) for error in bind_errors]
        try:
            finish(api.register())
        except ExtensionsApiError as error:
            troubles.append(("extensions_api.failed", error))
        registered = time.monotonic()

        # Only now what is slow to import: the function's own start goes on beside it. Nothing of it is garbage, so
        # looking for some would be in vain; `life` looks again.
        gc.disable()
        _end_at_sigterm()
        sockets, channel = opened(descriptors), opened(channel_descriptors)
        from secrets_cache.limits import set_limits  # noqa: PLC0415

        set_limits()
        from secrets_cache import life  # noqa: PLC0415

        start = life.Start(file, config, port, sockets, channel, troubles, registered)
        return life.Life(api, environ, start).run()
    except Exception as error:  # noqa: BLE001 - rule 2
        _report("internal.error", error)
    for listener in channel:
        # A wrapper that is not answered fetches by itself.
        listener.close()
    _stay(api, sockets, port)
    return 0


def _stay(api: ExtensionsApi, sockets: Sequence[socket.socket], port: int) -> None:
    """Stay until SHUTDOWN, whatever goes wrong in that too; SIGTERM ends it as well."""
    # An event loop that failed may have left a handler that does nothing.
    _end_at_sigterm()
    pause = RETRY_SECONDS
    while True:
        try:
            from secrets_cache.last_resort import stay  # noqa: PLC0415 - hardly ever needed

            # A server that fails closes its sockets.
            sockets = [listener for listener in sockets if listener.fileno() >= 0] or opened(bind(port)[0])
            stay(api, sockets, lambda error: _report("extensions_api.failed", error))
        except Exception as error:  # noqa: BLE001 - rule 2
            _report("internal.error", error)
        else:
            return
        time.sleep(pause)
        pause = min(pause * 2, MAX_RETRY_SECONDS)


def _end_at_sigterm() -> None:
    import signal  # noqa: PLC0415 - too slow to have at hand

    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))


def _report(event: str, error: Exception) -> None:
    """Write the one line that says what failed, though everything else may have."""
    try:
        import logging  # noqa: PLC0415 - too slow to have at hand, and perhaps what failed

        from secrets_cache import logs  # noqa: PLC0415

        logs.ensure_configured()
        reason = {"reason": str(error)} if isinstance(error, ExtensionsApiError) else {}
        logging.getLogger(__name__).error(event, {"where": "extension", **logs.describe(error), **reason})
    except Exception:  # noqa: BLE001 - rule 2
        if select.select([], [1], [], 0)[1]:
            os.write(1, b'{"level":"ERROR","event":"internal.error","where":"logs"}\n')
