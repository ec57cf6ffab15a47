"""
The seams: what may fail inside, one after the other, and what then happens. docs/reliability.md has them as a table.

Each breaks a process of its own, from its first line on: see `breaking` for how, and test_never_dies.py for the rule.
"""

from dataclasses import dataclass, field
from enum import Enum


class Callers(Enum):
    """What callers get."""

    SERVED = "their secrets"
    HEALED = "an error, then their secrets"
    LAST_RESORT = "503 at once"
    REFUSED = "an error for this, no more"
    UNHEARD = "no connection"


@dataclass(frozen=True)
class Seam:
    """
    One thing that fails.

    Attributes:
        what: In words.
        callers: What they get.
        says: What one line of the log holds; empty where nothing need be said.
        before: Python that runs before the extension; it has `b`, the module `breaking`.
        text: The configuration.
        environ: Variables, besides the usual ones.
        is_mute: Whether it is the log that fails, so that nothing can be read there.
        answers: What the Extensions API answers first, by path.
    """

    what: str
    callers: Callers
    says: tuple[str, ...] = ()
    before: str = ""
    text: str = "secrets: [db]"
    environ: dict[str, str] = field(default_factory=dict)
    is_mute: bool = False
    answers: dict[str, list[tuple[int, dict[str, str], bytes] | None]] = field(default_factory=dict)


LIBRARIES = {"SECRETS_CACHE_LANES": "0"}
INTERNAL = "internal.error"
IN_EXTENSION = (INTERNAL, "extension")


def _raises(target: str, error: str, rest: str = "") -> str:
    return f"b.call_raises({target!r}, {error}{', ' if rest else ''}{rest})"


def _import(module: str, error: str, rest: str = "") -> str:
    return f"b.import_raises({module!r}, {error}{', ' if rest else ''}{rest})"


ONCE = "times=1"

IMPORTS = (
    Seam(
        "the import of `asyncio`, once",
        Callers.SERVED,
        (*IN_EXTENSION, "MemoryError"),
        _import("asyncio", "MemoryError(b.CANARY)", ONCE),
    ),
    Seam(
        "the import of `asyncio`",
        Callers.LAST_RESORT,
        (*IN_EXTENSION, "ImportError"),
        _import("asyncio", "ImportError(b.CANARY)"),
    ),
    Seam(
        "the import of `logging`", Callers.LAST_RESORT, (INTERNAL, "logs"), _import("logging", "ImportError(b.CANARY)")
    ),
    Seam("the import of `json`", Callers.LAST_RESORT, (INTERNAL, "logs"), _import("json", "MemoryError(b.CANARY)")),
    Seam(
        "the import of `socket`",
        Callers.UNHEARD,
        (*IN_EXTENSION, "ImportError"),
        _import("socket", "ImportError(b.CANARY)"),
    ),
    Seam(
        "the import of the last resort too",
        Callers.UNHEARD,
        (*IN_EXTENSION, "MemoryError"),
        _import("secrets_cache.extension.lifecycle", "ImportError(b.CANARY)")
        + "; "
        + _import("secrets_cache.extension.fallback", "MemoryError(b.CANARY)"),
    ),
    Seam(
        "the import of `ssl`",
        Callers.LAST_RESORT,
        (*IN_EXTENSION, "ImportError"),
        _import("ssl", "ImportError(b.CANARY)"),
    ),
    Seam(
        "the import of `secrets_cache.extension.lifecycle`",
        Callers.LAST_RESORT,
        (*IN_EXTENSION, "RuntimeError"),
        _import("secrets_cache.extension.lifecycle", "RuntimeError(b.CANARY)"),
    ),
    Seam(
        "the import of `secrets_cache.app`, which ends the process",
        Callers.LAST_RESORT,
        (*IN_EXTENSION, "SystemExit"),
        _import("secrets_cache.app", "SystemExit(b.CANARY)"),
    ),
    Seam(
        "the import of `secrets_cache.app`, once",
        Callers.SERVED,
        (*IN_EXTENSION, "RecursionError"),
        _import("secrets_cache.app", "RecursionError(b.CANARY)", ONCE),
    ),
    Seam("the import of `_ctypes`", Callers.SERVED, (), _import("_ctypes", "ImportError(b.CANARY)")),
    Seam(
        "the import of `aiohttp`",
        Callers.SERVED,
        (INTERNAL, "connection", "MemoryError"),
        _import("aiohttp", "MemoryError(b.CANARY)"),
    ),
    Seam(
        "the import of `aiohttp`, without the fast paths",
        Callers.LAST_RESORT,
        (*IN_EXTENSION, "MemoryError"),
        _import("aiohttp", "MemoryError(b.CANARY)"),
        environ=LIBRARIES,
    ),
    Seam(
        "the import of `aiobotocore`, without the fast paths",
        Callers.REFUSED,
        ("secret.fetch_failed", "internal-error", "ImportError"),
        _import("aiobotocore", "ImportError(b.CANARY)"),
        environ=LIBRARIES,
    ),
    Seam(
        "the import of `aiobotocore`, which ends the process, without the fast paths",
        Callers.REFUSED,
        (INTERNAL, "loop", "SystemExit"),
        _import("aiobotocore", "SystemExit(b.CANARY)"),
        environ=LIBRARIES,
    ),
    Seam(
        "the import of `yaml`, for a configuration that needs it",
        Callers.LAST_RESORT,
        (*IN_EXTENSION, "ImportError"),
        _import("yaml", "ImportError(b.CANARY)"),
        text="secrets: [&x db]",
    ),
)
START = (
    Seam(
        "copying a descriptor, once", Callers.SERVED, (*IN_EXTENSION, "OSError"), _raises("os:dup", "b.emfile()", ONCE)
    ),
    Seam(
        "making the event loop, once",
        Callers.SERVED,
        (*IN_EXTENSION, "OSError"),
        _raises("asyncio:new_event_loop", "b.emfile()", ONCE),
    ),
    Seam(
        "making the event loop",
        Callers.LAST_RESORT,
        (*IN_EXTENSION, "OSError"),
        _raises("asyncio:new_event_loop", "b.emfile()"),
    ),
    Seam(
        "taking signals, once",
        Callers.SERVED,
        (*IN_EXTENSION, "RuntimeError"),
        _raises("asyncio.unix_events:_UnixSelectorEventLoop.add_signal_handler", "RuntimeError(b.CANARY)", ONCE),
    ),
    Seam(
        "starting a thread",
        Callers.SERVED,
        (INTERNAL, "connection", "RuntimeError"),
        _raises("threading:Thread.start", "RuntimeError(b.CANARY)"),
    ),
    Seam("chance, once", Callers.HEALED, ("secret.fetch_failed", "OSError"), _raises("os:urandom", "b.enomem()", ONCE)),
)
LOOP = (
    Seam(
        "waiting for events, once",
        Callers.SERVED,
        (INTERNAL, "loop", "OSError"),
        _raises("selectors:EpollSelector.select", "b.enomem()", "first=4, times=1"),
    ),
    Seam(
        "waiting for events, from some moment on",
        Callers.LAST_RESORT,
        (*IN_EXTENSION, "OSError"),
        _raises("selectors:EpollSelector.select", "b.enomem()", "first=2"),
    ),
    Seam(
        "watching a descriptor, once",
        Callers.HEALED,
        ("OSError",),
        _raises("selectors:EpollSelector.register", "b.enomem()", "first=2, times=1"),
    ),
    Seam(
        "making a task, once",
        Callers.HEALED,
        ("RuntimeError",),
        _raises("asyncio.base_events:BaseEventLoop.create_task", "RuntimeError(b.CANARY)", "first=4, times=1"),
    ),
    Seam(
        "accepting a caller, three times",
        Callers.SERVED,
        ("server.crowded",),
        _raises("socket:socket.accept", "b.emfile()", "times=3"),
    ),
    Seam(
        "connecting to AWS",
        Callers.REFUSED,
        ("secret.fetch_failed", "connection-failed"),
        _raises("asyncio.base_events:BaseEventLoop.create_connection", "b.enomem()"),
    ),
    Seam(
        "writing to a connection, once",
        Callers.HEALED,
        ("RuntimeError",),
        _raises("asyncio.selector_events:_SelectorSocketTransport.write", "RuntimeError(b.CANARY)", ONCE),
    ),
    Seam(
        "reading what AWS answers, once",
        Callers.HEALED,
        ("secret.fetch_failed", "MemoryError"),
        _raises("json:loads", "MemoryError(b.CANARY)", ONCE),
    ),
    Seam(
        "reading what AWS answers, once, with the end of the process",
        Callers.HEALED,
        (INTERNAL, "loop", "SystemExit"),
        _raises("json:loads", "SystemExit(b.CANARY)", ONCE),
    ),
    Seam(
        "signing, once",
        Callers.HEALED,
        ("secret.fetch_failed", "ValueError"),
        _raises("hmac:digest", "ValueError(b.CANARY)", ONCE),
    ),
)
LOG = (
    Seam("standard output: a full disk", Callers.SERVED, before="b.standard_output('full')", is_mute=True),
    Seam(
        "standard output: a pipe that nobody empties",
        Callers.SERVED,
        before="b.standard_output('unread')",
        is_mute=True,
    ),
    Seam("standard output: a pipe that nobody has", Callers.SERVED, before="b.standard_output('broken')", is_mute=True),
    Seam("standard output: closed", Callers.SERVED, before="import os; os.close(1); os.close(2)", is_mute=True),
    Seam(
        "formatting a line of the log",
        Callers.SERVED,
        before=_raises("time:strftime", "ValueError(b.CANARY)", "first=20"),
        is_mute=True,
    ),
)
MACHINE = (
    Seam(
        "the working directory is gone",
        Callers.SERVED,
        before="import os, tempfile; f = tempfile.mkdtemp(); os.chdir(f); os.rmdir(f)",
    ),
    Seam("no home", Callers.SERVED, environ={"HOME": "/dev/null"}),
    Seam(
        "no file may be written",
        Callers.SERVED,
        before="import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))",
    ),
    Seam(
        "24 descriptors in all",
        Callers.SERVED,
        before="import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))",
    ),
    Seam(
        "no IPv6",
        Callers.SERVED,
        before="""
import _socket
class Old(_socket.socket):
    __slots__ = ()
    def __init__(self, family=-1, *rest, **named):
        if family == _socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        super().__init__(family, *rest, **named)
_socket.socket = Old""",
    ),
    Seam(
        "a port that is taken",
        Callers.UNHEARD,
        ("server.not_listening", "Address already in use"),
        before="""
import os, socket
taken = socket.socket()
taken.bind(("127.0.0.1", int(os.environ["SECRETS_CACHE_PORT"])))""",
    ),
    Seam(
        "the configuration is a folder",
        Callers.REFUSED,
        ("config.invalid", "it is not a regular file"),
        environ={"SECRETS_CACHE_CONFIG": "/"},
    ),
    Seam(
        "the configuration is a pipe",
        Callers.REFUSED,
        ("config.invalid", "it is not a regular file"),
        before="import os; os.environ['SECRETS_CACHE_CONFIG'] += '.p'; os.mkfifo(os.environ['SECRETS_CACHE_CONFIG'])",
    ),
    Seam(
        "the configuration cannot be read",
        Callers.REFUSED,
        ("config.invalid", "Input/output error"),
        environ={"SECRETS_CACHE_CONFIG": "/proc/self/mem"},
    ),
)
PLATFORM = (
    Seam(
        "the Extensions API hangs up on the registration",
        Callers.SERVED,
        ("extensions_api.failed", "register"),
        answers={"/register": [None]},
    ),
    Seam(
        "the Extensions API refuses the registration",
        Callers.SERVED,
        ("extensions_api.failed", "status 403"),
        answers={"/register": [(403, {}, b"no")]},
    ),
    Seam(
        "the registration's answer has no identifier",
        Callers.SERVED,
        ("extensions_api.failed", "no Lambda-Extension-Identifier"),
        answers={"/register": [(200, {}, b"\xff<html>")]},
    ),
    Seam(
        "the next event is nonsense",
        Callers.SERVED,
        ("extensions_api.failed", "only SHUTDOWN"),
        answers={"/event/next": [(200, {}, b"\xff[[[")]},
    ),
    Seam(
        "the Extensions API hangs up on the next event",
        Callers.SERVED,
        ("extensions_api.failed", "event/next"),
        answers={"/event/next": [None]},
    ),
    Seam(
        "the Extensions API fails",
        Callers.SERVED,
        ("extensions_api.failed", "status 500"),
        answers={"/event/next": [(500, {}, b"no")]},
    ),
)
SEAMS = (*IMPORTS, *START, *LOOP, *LOG, *MACHINE, *PLATFORM)
