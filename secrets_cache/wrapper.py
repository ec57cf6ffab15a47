"""
The exec wrapper's process: Lambda starts it in place of the runtime, and it becomes the runtime.

    original environment -> values from the extension, else fetched here -> execve

Rules
-----
1. Values go from a socket to `execve`: through no shell, no file, no argument and no log.
2. A failure is one line and exit code 1, and the runtime is not started; unless the secret is not required.
3. If the extension answers, nothing else is imported: every cold start waits for this process.
4. API_TIMEOUT bounds the whole of it, also where the extension hangs or is stopped.
"""

from __future__ import annotations

# CPython's own part of `socket`, whose import takes longer than everything else here.
import _socket
import os
import sys
import time

from secrets_cache.errors import VariablesFailed
from secrets_cache.system.execution import execute, read_original_environ
from secrets_cache.system.sockets import CHANNEL

# Not from typing, whose import takes longer than everything else here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Where API_TIMEOUT is not set: how long the extension has to say that it is there, and then to answer, which is longer
# than the largest `fetch_timeout`.
SIGN_OF_LIFE_SECONDS = 5.0
EXTENSION_SECONDS = 65.0
# The extension's own bound is API_TIMEOUT, too: its reason is better than that of this process.
MARGIN_SECONDS = 0.5
MAX_SECONDS = 60.0
EXEC_WRAPPER = b"AWS_LAMBDA_EXEC_WRAPPER"
NEXT_WRAPPERS = b"SECRETS_CACHE_NEXT_WRAPPER"
# Set in a chain of wrappers: if one of them calls this wrapper again, it must not begin another chain.
CHAINED = b"SECRETS_CACHE_CHAINED"
# The extension needs the values of these, and of references; of all other variables it gets the names only.
INPUTS = frozenset({b"SECRET_ARN", b"SECRET_REGION", b"ASSUME_ROLE_ARN", b"API_TIMEOUT", b"AWS_REGION"})
REFERENCES = (b"secretsmanager://", b"ssm://")


def main() -> None:
    """Become the runtime, or the next wrapper, with the secrets in its environment. Exits with 1 if that fails."""
    environ, arguments = read_original_environ(), [os.fsencode(argument) for argument in sys.argv]
    try:
        environ, command = prepare(environ, _resolve(environ), arguments)
        execute(command, environ)
    except VariablesFailed as error:
        _fail(str(error))
    except Exception as error:  # noqa: BLE001 - one line, without the text, which might hold a value
        _fail(f"internal error ({type(error).__name__})")


def _resolve(environ: Mapping[bytes, bytes]) -> Mapping[bytes, bytes | None]:
    limit, began = read_limit(environ.get(b"API_TIMEOUT", b"")), time.monotonic()
    values = _ask_extension(environ, limit)
    if values is not None:
        return values
    spent = time.monotonic() - began
    if limit is not None and spent > MARGIN_SECONDS:
        # An extension that died late has used up a part of it.
        environ = {**environ, b"API_TIMEOUT": b"%d" % (max(limit - spent, 0.001) * 1000)}
    # OpenSSL reads these when it is loaded. They are meant for the runtime, which gets them back.
    for name in ("OPENSSL_CONF", "OPENSSL_ENGINES", "OPENSSL_MODULES"):
        os.environ.pop(name, None)
    decoded = {os.fsdecode(name): os.fsdecode(value) for name, value in environ.items()}
    # Slow to import, all of it.
    from secrets_cache.system.bundle import Bundle  # noqa: PLC0415

    with Bundle(f"{sys.prefix}/start.bundle"):
        from secrets_cache.config.environment import uses_fast_paths  # noqa: PLC0415
        from secrets_cache.system import light_asyncio  # noqa: PLC0415

        if uses_fast_paths(decoded):
            light_asyncio.install()
        from secrets_cache.variables.standalone import resolve_standalone  # noqa: PLC0415

    return resolve_standalone(decoded)


def _ask_extension(environ: Mapping[bytes, bytes], limit: float | None) -> dict[bytes, bytes | None] | None:
    """
    Return the variables to set, and None for those to unset; None instead of a dict if no extension answers.

    Args:
        environ: The function's environment.
        limit: The seconds that API_TIMEOUT allows; None if it is not set.

    Raises:
        VariablesFailed: The extension cannot provide them.
    """
    began = time.monotonic()
    until_sign = began + (SIGN_OF_LIFE_SECONDS if limit is None else limit + MARGIN_SECONDS)
    until = began + (EXTENSION_SECONDS if limit is None else limit + MARGIN_SECONDS)
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        return parse_answer(_exchange(connection, environ, until_sign, until))
    except TimeoutError:
        seconds = time.monotonic() - began
        setting = "API_TIMEOUT" if limit is not None else "the default; API_TIMEOUT sets it"
        raise VariablesFailed(f"the extension did not answer within {seconds:.1f} s ({setting})") from None
    except OSError:
        return None
    finally:
        connection.close()


def _exchange(connection: _socket.socket, environ: Mapping[bytes, bytes], until_sign: float, until: float) -> bytes:
    """
    Return all that the extension sends; nothing if another user's process listens.

    Args:
        connection: Not connected yet.
        environ: The function's environment.
        until_sign: When the first byte must be there, by the monotonic clock.
        until: When all must be there.

    Raises:
        TimeoutError: It is not.
        OSError: No extension listens, or it died.
    """

    def end_at(moment: float) -> None:
        # At least a thousandth of a second: 0 would mean not to wait at all, which is another error.
        connection.settimeout(max(moment - time.monotonic(), 0.001))

    end_at(until_sign)
    connection.connect(CHANNEL + environ.get(b"AWS_LAMBDA_RUNTIME_API", b""))
    # unix(7), struct ucred: process, user, group.
    user = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)[4:8]
    if int.from_bytes(user, sys.byteorder) not in {os.getuid(), 0}:
        return b""
    end_at(until_sign)
    connection.sendall(encode_request(environ))
    connection.shutdown(_socket.SHUT_WR)
    end_at(until_sign)
    received = b""
    while chunk := connection.recv(1 << 18):
        received += chunk
        end_at(until)
    return received


def read_limit(text: bytes) -> float | None:
    """Return the seconds that API_TIMEOUT allows; None if it is not set, or invalid: an error with SECRET_ARN alone."""
    # As `variables.rules` reads it, which would take too long to import.
    try:
        milliseconds = float(os.fsdecode(text))
    except ValueError:
        return None
    return min(milliseconds / 1000, MAX_SECONDS) if milliseconds > 0 else None


def encode_request(environ: Mapping[bytes, bytes]) -> bytes:
    """Return what the extension gets of the environment: all names, and the values of inputs and references."""
    return b"\0".join(
        name + b"=" + value if name in INPUTS or value.startswith(REFERENCES) else name
        for name, value in environ.items()
    )


def parse_answer(received: bytes) -> dict[bytes, bytes | None] | None:
    """
    Return the variables to set, and None for those to unset; None if the answer is incomplete: the extension died.

    Raises:
        VariablesFailed: The answer is a refusal, with its reason.
    """
    # Each record ends in NUL, which no variable can hold: "+NAME=value", "-NAME", "!reason"; the last one is ".".
    # An empty one says only that the extension is there.
    *records, rest = received.split(b"\0")
    if rest or not records or records[-1] != b".":
        return None
    values: dict[bytes, bytes | None] = {}
    for record in filter(None, records[:-1]):
        kind, name, value = record[:1], *record[1:].partition(b"=")[::2]
        if kind == b"!":
            raise VariablesFailed(record[1:].decode("utf-8", "replace"))
        values[name] = value if kind == b"+" else None
    return values


def prepare(
    environ: Mapping[bytes, bytes], values: Mapping[bytes, bytes | None], arguments: Sequence[bytes]
) -> tuple[dict[bytes, bytes], list[bytes]]:
    """
    Return the environment and the command for `execve`.

    First run the wrapper that a secret names as AWS_LAMBDA_EXEC_WRAPPER, then those in SECRETS_CACHE_NEXT_WRAPPER, each
    once and never this one, then the runtime. AWS_LAMBDA_EXEC_WRAPPER is left naming the first of them.

    Raises:
        VariablesFailed: There is nothing to run.
    """
    this_wrapper, *runtime = arguments
    received = environ.get(EXEC_WRAPPER, b"")
    if CHAINED in environ:
        # A wrapper of the chain has called this one again: the rest of the chain is in the arguments.
        values = {name: value for name, value in values.items() if name not in {EXEC_WRAPPER, NEXT_WRAPPERS}}
    result = {**environ, **values}
    named = values.get(EXEC_WRAPPER) or b""
    listed = [] if CHAINED in environ else [named, *(result.get(NEXT_WRAPPERS) or b"").split(b":")]
    wrappers = [
        path for path in dict.fromkeys(listed) if path not in {b"", received} and not _is_same(path, this_wrapper)
    ]
    if not wrappers and not runtime:
        raise VariablesFailed("there is nothing to run: Lambda gives a wrapper the runtime's command as arguments")
    if wrappers:
        result[EXEC_WRAPPER] = wrappers[0]
        result[CHAINED] = b"1"
    elif named or _is_same(received, this_wrapper):
        result[EXEC_WRAPPER] = None
    return {name: value for name, value in result.items() if value is not None}, [*wrappers, *runtime]


def _is_same(path: bytes, this_wrapper: bytes) -> bool:
    try:
        return path == this_wrapper or os.path.samefile(path, this_wrapper)  # noqa: PTH121 - no pathlib here
    except OSError:
        return os.path.basename(path) == os.path.basename(this_wrapper)  # noqa: PTH119


def _fail(reason: str) -> None:
    import logging  # noqa: PLC0415 - only a failure needs it

    from secrets_cache.system import logs  # noqa: PLC0415

    logs.ensure_configured()
    logging.getLogger(__name__).error("variables.failed", {"reason": reason})
    os._exit(1)
