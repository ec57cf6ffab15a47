"""
The seams: what may fail inside, one after the other, and what then happens. docs/reliability.md counts them.

Each breaks a process of its own, from its first line on: see `breaking` for how, and test_never_dies.py for the rule.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Callers(Enum):
    """What callers get."""

    SERVED = "their secrets"
    HEALED = "an error, then their secrets"
    LAST_RESORT = "503 at once"
    REFUSED = "an error for this request only"
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


SERVED, HEALED, LAST_RESORT, REFUSED, UNHEARD = Callers
LIBRARIES = {"SECRETS_CACHE_LANES": "0"}
INTERNAL, FAILED, API = "internal.error", "secret.fetch_failed", "extensions_api.failed"
EXTENSION, CONNECTION, IN_LOOP = ((INTERNAL, place) for place in ("extension", "connection", "loop"))
ONCE = "times=1"


def _import(module: str, error: str, callers: Callers, *says: str, when: str = "", **more: Any) -> Seam:
    """Return the seam of an import that raises, once if `when` says so."""
    times = f", {ONCE}" if when == ", once" else ""
    before = f"b.import_raises({module!r}, {error}(b.CANARY){times})"
    return Seam(f"the import of `{module}`{when}", callers, says, before, **more)


def _call(what: str, target: str, error: str, callers: Callers, *says: str, times: str = "") -> Seam:
    """Return the seam of a call that raises: a function of `breaking` makes the error, or its class does."""
    made = f"b.{error}()" if error.islower() else f"{error}(b.CANARY)"
    return Seam(what, callers, says, f"b.call_raises({target!r}, {made}{', ' if times else ''}{times})")


IMPORTS = (
    _import("asyncio.unix_events", "MemoryError", SERVED, *EXTENSION, "MemoryError", when=", once"),
    _import("asyncio.unix_events", "ImportError", LAST_RESORT, *EXTENSION, "ImportError"),
    _import("logging", "ImportError", LAST_RESORT, INTERNAL, "logs"),
    _import("json", "MemoryError", LAST_RESORT, INTERNAL, "logs"),
    _import("socket", "ImportError", UNHEARD, *EXTENSION, "ImportError"),
    Seam(
        "the import of the fallback too",
        UNHEARD,
        (*EXTENSION, "MemoryError"),
        "b.import_raises('secrets_cache.extension.lifecycle', ImportError(b.CANARY)); "
        "b.import_raises('secrets_cache.extension.fallback', MemoryError(b.CANARY))",
    ),
    _import("ssl", "ImportError", LAST_RESORT, *EXTENSION, "ImportError"),
    _import("secrets_cache.extension.lifecycle", "RuntimeError", LAST_RESORT, *EXTENSION, "RuntimeError"),
    _import("secrets_cache.app", "SystemExit", LAST_RESORT, *EXTENSION, "SystemExit", when=", which ends the process"),
    _import("secrets_cache.app", "RecursionError", SERVED, *EXTENSION, "RecursionError", when=", once"),
    _import("_ctypes", "ImportError", SERVED),
    _import("aiohttp", "MemoryError", SERVED, *CONNECTION, "MemoryError"),
    _import(
        *("aiohttp", "MemoryError", LAST_RESORT, *EXTENSION, "MemoryError"),
        when=", without the fast paths",
        environ=LIBRARIES,
    ),
    _import(
        *("aiobotocore", "ImportError", REFUSED, FAILED, "internal-error", "ImportError"),
        when=", without the fast paths",
        environ=LIBRARIES,
    ),
    _import(
        *("aiobotocore", "SystemExit", REFUSED, *IN_LOOP, "SystemExit"),
        when=", which ends the process, without the fast paths",
        environ=LIBRARIES,
    ),
    _import(
        *("yaml", "ImportError", LAST_RESORT, *EXTENSION, "ImportError"),
        when=", for a configuration that needs it",
        text="secrets: [&x db]",
    ),
)
ROLE, PARAMETER = "secrets: [{id: db, role_arn: 'arn:aws:iam::123456789012:role/reader'}]", "parameters: [db]"
PREFETCH = (INTERNAL, "prefetch")
LAZY_IMPORTS = tuple(
    _import(module, error, callers, *place, error, when=when, text=text)
    for module, error, place, text in (
        ("secrets_cache.aws.parameterstore", "ImportError", PREFETCH, PARAMETER),
        ("secrets_cache.aws.sts", "MemoryError", PREFETCH, ROLE),
        ("pyexpat", "ImportError", (FAILED, "internal-error"), ROLE),
    )
    for callers, when in ((HEALED, ", once"), (REFUSED, ""))
)
# Without a key in the environment, the container's endpoint is asked.
CONTAINER = {"AWS_ACCESS_KEY_ID": ""}
CONTAINER_IMPORTS = (
    _import(
        *("secrets_cache.aws.container", "MemoryError", SERVED, *EXTENSION, "MemoryError"),
        when=", once",
        environ=CONTAINER,
    ),
    _import("secrets_cache.aws.container", "ImportError", LAST_RESORT, *EXTENSION, "ImportError", environ=CONTAINER),
)
MAKE_LOOP = "asyncio.unix_events:_UnixSelectorEventLoop.__init__"
LOOP_CLASS, SELECTOR = "asyncio.base_events:BaseEventLoop", "selectors:EpollSelector"
WRITE = "asyncio.selector_events:_SelectorSocketTransport.write"
START = (
    _call("copying a descriptor, once", "os:dup", "emfile", SERVED, *EXTENSION, "OSError", times=ONCE),
    _call("making the event loop, once", MAKE_LOOP, "emfile", SERVED, *EXTENSION, "OSError", times=ONCE),
    _call("making the event loop", MAKE_LOOP, "emfile", LAST_RESORT, *EXTENSION, "OSError"),
    _call("taking signals, once", "signal:signal", "RuntimeError", SERVED, *EXTENSION, "RuntimeError", times=ONCE),
    _call("starting a thread", "threading:Thread.start", "RuntimeError", SERVED, *CONNECTION, "RuntimeError"),
    _call("randomness, once", "os:urandom", "enomem", HEALED, FAILED, "OSError", times=ONCE),
)
SOON = "first=2, times=1"
LATER = "first=4, times=1"
LOOP = (
    _call("waiting for events, once", f"{SELECTOR}.select", "enomem", SERVED, *IN_LOOP, "OSError", times=LATER),
    _call(
        *("waiting for events, from some moment on", f"{SELECTOR}.select", "enomem", LAST_RESORT),
        *(*EXTENSION, "OSError"),
        times="first=2",
    ),
    _call("watching a descriptor, once", f"{SELECTOR}.register", "enomem", HEALED, "OSError", times=SOON),
    _call("making a task, once", f"{LOOP_CLASS}.create_task", "RuntimeError", HEALED, "RuntimeError", times=LATER),
    _call(
        "accepting a caller, three times", "socket:socket.accept", "emfile", SERVED, "server.crowded", times="times=3"
    ),
    _call("connecting to AWS", f"{LOOP_CLASS}.create_connection", "enomem", REFUSED, FAILED, "connection-failed"),
    _call("writing to a connection, once", WRITE, "RuntimeError", HEALED, "RuntimeError", times=ONCE),
    _call("reading what AWS answers, once", "json:loads", "MemoryError", HEALED, FAILED, "MemoryError", times=ONCE),
    _call(
        *("reading what AWS answers, once, with the end of the process", "json:loads", "SystemExit", HEALED),
        *(*IN_LOOP, "SystemExit"),
        times=ONCE,
    ),
    _call("signing, once", "hmac:digest", "ValueError", HEALED, FAILED, "ValueError", times=ONCE),
)
LOG = (
    Seam("standard output: a full disk", SERVED, before="b.standard_output('full')", is_mute=True),
    Seam("standard output: a pipe that nobody empties", SERVED, before="b.standard_output('unread')", is_mute=True),
    Seam("standard output: a pipe that nobody has", SERVED, before="b.standard_output('broken')", is_mute=True),
    Seam("standard output: closed", SERVED, before="import os; os.close(1); os.close(2)", is_mute=True),
    Seam(
        "formatting a line of the log",
        SERVED,
        before="b.call_raises('time:strftime', ValueError(b.CANARY), first=20)",
        is_mute=True,
    ),
)
MACHINE = (
    Seam(
        "the working directory is gone",
        SERVED,
        before="import os, tempfile; f = tempfile.mkdtemp(); os.chdir(f); os.rmdir(f)",
    ),
    Seam("no home", SERVED, environ={"HOME": "/dev/null"}),
    Seam("no file may be written", SERVED, before="import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))"),
    Seam(
        "24 descriptors in all", SERVED, before="import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))"
    ),
    Seam(
        "no IPv6",
        SERVED,
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
        UNHEARD,
        ("server.not_listening", "Address already in use"),
        before="""
import os, socket
taken = socket.socket()
taken.bind(("127.0.0.1", int(os.environ["SECRETS_CACHE_PORT"])))""",
    ),
    Seam(
        "the configuration is a folder",
        REFUSED,
        ("config.invalid", "it is not a regular file"),
        environ={"SECRETS_CACHE_CONFIG": "/"},
    ),
    Seam(
        "the configuration is a pipe",
        REFUSED,
        ("config.invalid", "it is not a regular file"),
        before="import os; os.environ['SECRETS_CACHE_CONFIG'] += '.p'; os.mkfifo(os.environ['SECRETS_CACHE_CONFIG'])",
    ),
    Seam(
        "the configuration cannot be read",
        REFUSED,
        ("config.invalid", "Input/output error"),
        environ={"SECRETS_CACHE_CONFIG": "/proc/self/mem"},
    ),
)
PLATFORM = (
    Seam("the Extensions API hangs up on the registration", SERVED, (API, "register"), answers={"/register": [None]}),
    Seam(
        "the Extensions API refuses the registration",
        SERVED,
        (API, "status 403"),
        answers={"/register": [(403, {}, b"no")]},
    ),
    Seam(
        "the registration's answer has no identifier",
        SERVED,
        (API, "no Lambda-Extension-Identifier"),
        answers={"/register": [(200, {}, b"\xff<html>")]},
    ),
    Seam(
        "the next event is nonsense",
        SERVED,
        (API, "only for SHUTDOWN"),
        answers={"/event/next": [(200, {}, b"\xff[[[")]},
    ),
    Seam("the Extensions API hangs up on the next event", SERVED, (API, "event/next"), answers={"/event/next": [None]}),
    Seam("the Extensions API fails", SERVED, (API, "status 500"), answers={"/event/next": [(500, {}, b"no")]}),
)
SEAMS = (*IMPORTS, *LAZY_IMPORTS, *CONTAINER_IMPORTS, *START, *LOOP, *LOG, *MACHINE, *PLATFORM)
