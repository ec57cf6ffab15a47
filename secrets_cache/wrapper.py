"""
The exec wrapper's process: what Lambda starts in the runtime's place, and what becomes the runtime.

    the environment as it was given -> the extension beside us, else our own fetch -> execve

Rules
-----
1. Values go from a socket to `execve`: through no shell, no file, no argument and no log.
2. Whatever goes wrong is one line and exit code 1, and the runtime is not started; but for what is not required.
3. Where the extension answers, nothing is imported but what that takes: every cold start waits for this.
"""

from __future__ import annotations

# CPython's own parts of `signal` and `socket`, whose imports take longer than all else here.
import _signal  # type: ignore[import-not-found]
import _socket
import os
import sys

from secrets_cache.errors import VariablesFailed
from secrets_cache.system.sockets import CHANNEL

# Not from typing, whose import takes longer than all else here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PATIENCE_SECONDS = 90.0
SELF = b"AWS_LAMBDA_EXEC_WRAPPER"
NEXT = b"SECRETS_CACHE_NEXT_WRAPPER"
# Lives through `execve`: whoever calls us again in the same chain begins no other.
RAN = b"SECRETS_CACHE_CHAINED"
# Whose values the extension needs, besides references; of all others it gets the names.
INPUTS = frozenset({b"SECRET_ARN", b"SECRET_REGION", b"ASSUME_ROLE_ARN", b"API_TIMEOUT", b"AWS_REGION"})
REFERENCES = (b"secretsmanager://", b"ssm://")


def main() -> None:
    """Become the runtime, or the next wrapper, with the secrets in its environment. Exit code 1 if that cannot be."""
    environ, arguments = _original(), [os.fsencode(argument) for argument in sys.argv]
    try:
        environ, command = prepared(environ, _values(environ), arguments)
        _become(command, environ)
    except VariablesFailed as error:
        _fail(str(error))
    except Exception as error:  # noqa: BLE001 - one line, and nothing that it might hold
        _fail(f"internal error ({type(error).__name__})")


def _values(environ: Mapping[bytes, bytes]) -> Mapping[bytes, bytes | None]:
    values = _from_extension(environ)
    if values is not None:
        return values
    # What OpenSSL reads as soon as it is loaded is not the function's to give us; what comes after us has it again.
    for name in ("OPENSSL_CONF", "OPENSSL_ENGINES", "OPENSSL_MODULES"):
        os.environ.pop(name, None)
    from secrets_cache.variables.standalone import resolve  # noqa: PLC0415 - slow to import

    return resolve({os.fsdecode(name): os.fsdecode(value) for name, value in environ.items()})


def _original() -> dict[bytes, bytes]:
    """Return the environment we were started with, before an interpreter changed it; the first of equal names."""
    try:
        with open("/proc/self/environ", "rb") as file:  # noqa: PTH123 - no pathlib here
            data = file.read()
    except OSError:
        return dict(os.environb)
    environ: dict[bytes, bytes] = {}
    for entry in data.split(b"\0"):
        name, equals, value = entry.partition(b"=")
        if equals and name:
            environ.setdefault(name, value)
    return environ


def _from_extension(environ: Mapping[bytes, bytes]) -> dict[bytes, bytes | None] | None:
    """
    Return what the extension says is to be set, None for what is to be unset; nothing at all if there is no extension.

    Raises:
        VariablesFailed: The extension says that it cannot be had.
    """
    address = environ.get(b"AWS_LAMBDA_RUNTIME_API", b"")
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.settimeout(PATIENCE_SECONDS)
        connection.connect(CHANNEL + address)
        # unix(7), struct ucred: process, user, group.
        user = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)[4:8]
        if int.from_bytes(user, sys.byteorder) not in {os.getuid(), 0}:
            return None
        connection.sendall(request(environ))
        connection.shutdown(_socket.SHUT_WR)
        received = b""
        while chunk := connection.recv(1 << 18):
            received += chunk
    except OSError:
        return None
    finally:
        connection.close()
    return answered(received)


def request(environ: Mapping[bytes, bytes]) -> bytes:
    """Return what the extension is told of the environment: all names, and the values that are its to read."""
    return b"\0".join(
        name + b"=" + value if name in INPUTS or value.startswith(REFERENCES) else name
        for name, value in environ.items()
    )


def answered(received: bytes) -> dict[bytes, bytes | None] | None:
    """
    Return what an answer says; None if it is not whole, as when the extension has died.

    Raises:
        VariablesFailed: It says that the variables cannot be had.
    """
    # Each record ends in NUL, which no variable can hold: "+NAME=value", "-NAME", "!why not"; the last one is ".".
    *records, rest = received.split(b"\0")
    if rest or not records or records[-1] != b".":
        return None
    values: dict[bytes, bytes | None] = {}
    for record in records[:-1]:
        kind, name, value = record[:1], *record[1:].partition(b"=")[::2]
        if kind == b"!":
            raise VariablesFailed(record[1:].decode("utf-8", "replace"))
        values[name] = value if kind == b"+" else None
    return values


def prepared(
    environ: Mapping[bytes, bytes], values: Mapping[bytes, bytes | None], arguments: Sequence[bytes]
) -> tuple[dict[bytes, bytes], list[bytes]]:
    """
    Return the environment and the command to go on with.

    What runs next is what a secret names as AWS_LAMBDA_EXEC_WRAPPER, then what SECRETS_CACHE_NEXT_WRAPPER lists, but
    neither this wrapper nor one that has run already: then that variable names it. Raises `VariablesFailed` if there is
    nothing.
    """
    ourselves, *runtime = arguments
    received = environ.get(SELF, b"")
    if RAN in environ:
        # Somebody down the chain has called us again: what is left of it is in the arguments.
        values = {name: value for name, value in values.items() if name not in {SELF, NEXT}}
    result = {**environ, **values}
    named = values.get(SELF) or b""
    listed = [] if RAN in environ else [named, *(result.get(NEXT) or b"").split(b":")]
    wrappers = [path for path in dict.fromkeys(listed) if path not in {b"", received} and not _is_same(path, ourselves)]
    if not wrappers and not runtime:
        raise VariablesFailed("there is nothing to run: Lambda gives a wrapper the runtime's command as arguments")
    if wrappers:
        result[SELF] = wrappers[0]
        result[RAN] = b"1"
    elif named or _is_same(received, ourselves):
        result[SELF] = None
    return {name: value for name, value in result.items() if value is not None}, [*wrappers, *runtime]


def _is_same(path: bytes, ourselves: bytes) -> bool:
    try:
        return path == ourselves or os.path.samefile(path, ourselves)  # noqa: PTH121 - no pathlib here
    except OSError:
        return os.path.basename(path) == os.path.basename(ourselves)  # noqa: PTH119


def _become(command: list[bytes], environ: dict[bytes, bytes]) -> None:
    """Become what the command says. Raises `VariablesFailed`, with the sizes if they are too large."""
    # Python ignores these, and what is ignored stays so in whatever is executed.
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):
        _signal.signal(number, _signal.SIG_DFL)
    paths = [command[0]]
    if b"/" not in command[0]:
        paths = [
            (folder or b".") + b"/" + command[0] for folder in environ.get(b"PATH", os.defpath.encode()).split(b":")
        ]
    failure = OSError()
    for path in paths:
        try:
            os.execve(path, command, environ)  # noqa: S606 - no shell, on purpose
        except OSError as error:
            # As execvp(3) does: what is not there does not hide what was refused.
            if not isinstance(error, FileNotFoundError | NotADirectoryError) or not failure.errno:
                failure = error
            if not isinstance(error, FileNotFoundError | NotADirectoryError | PermissionError):
                break
    raise VariablesFailed(_why_not(command, environ, failure))


def _why_not(command: list[bytes], environ: Mapping[bytes, bytes], error: OSError) -> str:
    import errno  # noqa: PLC0415 - hardly ever needed

    what = os.fsdecode(command[0])
    if error.errno != errno.E2BIG:
        return f"{what!r} cannot be run: {error.strerror}"
    sizes = {name: len(name) + len(value) + 2 for name, value in environ.items()}
    largest = max(sizes, key=lambda name: sizes[name])
    return (
        f"the environment is too large: {sum(sizes.values())} bytes in {len(sizes)} variables, the largest "
        f"{os.fsdecode(largest)!r} with {sizes[largest]}; allowed: 131072 for one, and a quarter of the stack's limit "
        "for all (2 MiB as a rule), arguments included"
    )


def _fail(reason: str) -> None:
    import logging  # noqa: PLC0415 - only a failure needs it

    from secrets_cache.system import logs  # noqa: PLC0415

    logs.ensure_configured()
    logging.getLogger(__name__).error("variables.failed", {"reason": reason})
    os._exit(1)
