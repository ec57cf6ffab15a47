"""
The start of the extension, mark by mark; beside it the plain extension, a raw registration, a bare interpreter.

    spawn -> port bound -> registered -> first connection to AWS -> first byte from AWS -> ready
                 a request, sent when the port is bound, waits -> first secret served
"""

import select
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.processes import (
    BARE,
    EXTENSION,
    MEASURING_CORE,
    PATIENCE_SECONDS,
    PLAIN_EXTENSION,
    Child,
    NotMeasuredError,
    Stub,
    baseline,
    on_core,
)
from bench.rows import Budget, Row, at_most, measured
from bench.setting import LISTED, PORT, Setting
from bench.stats import Summary, summarize

AGAINST_PLAIN = "the plain extension"
# In the order in which they come.
MARKS = ("bound", "registered", "connects to AWS", "first byte from AWS", "first secret served", "ready")
REQUEST = b"GET /cache/secret-1 HTTP/1.1\r\nHost: localhost:8080\r\n\r\n"
POLL_SECONDS = 0.0002


@dataclass
class Samples:
    """All repetitions of one extension: milliseconds from its start to each mark, and what it cost."""

    marks: dict[str, list[float]] = field(default_factory=lambda: {mark: [] for mark in MARKS})
    cpu: list[float] = field(default_factory=list)


@dataclass
class ColdStart:
    """What the picture needs besides the rows."""

    ours: dict[str, Summary]
    plain: dict[str, Summary]
    runtime_init: Summary


def rows(setting: Setting) -> tuple[list[Row], ColdStart]:
    """Measure, interleaved; return the rows and the time line."""
    ours, plain, ours_tls, plain_tls = Samples(), Samples(), Samples(), Samples()
    floor: list[float] = []
    bare: list[float] = []
    runtime: list[float] = []
    environ = setting.environ()
    encrypted = {**environ, **setting.tls()}
    with on_core(MEASURING_CORE):
        for number in setting.rounds(21, 4):
            keep = number > 0  # the first round is the warm-up
            for command, variables, samples in (
                (EXTENSION, environ, ours),
                (PLAIN_EXTENSION, environ, plain),
                (EXTENSION, encrypted, ours_tls),
                (PLAIN_EXTENSION, encrypted, plain_tls),
            ):
                _start_once(setting, command, variables, samples if keep else Samples())
            for measure, milliseconds in ((_register_once, floor), (bare_once, bare), (_runtime_once, runtime)):
                took = measure(setting, environ)
                milliseconds.extend([took] * keep)
    table = [
        measured(
            "exec_to_registered", 'exec to "registered"', ours.marks["registered"], floor,
            against="the interpreter, raw socket", budget=at_most(1),
        ),
        _served("first_secret", f"exec to first secret served, {LISTED} secrets", ours, plain, at_most(0.25)),
        _served("first_secret_tls", "the same over TLS, a CA of its own", ours_tls, plain_tls, at_most(0.25)),
        measured(
            "cpu_until_settled", "CPU time until the prefetch has settled", ours.cpu, plain.cpu,
            against=AGAINST_PLAIN, budget=at_most(0.17),
        ),
        measured("bare_interpreter", "for scale: bare interpreter, exec to exit", bare),
    ]  # fmt: skip
    return table, ColdStart(_summaries(ours), _summaries(plain), summarize(runtime))


def _served(key: str, what: str, ours: Samples, plain: Samples, budget: Budget) -> Row:
    mark = "first secret served"
    return measured(key, what, ours.marks[mark], plain.marks[mark], against=AGAINST_PLAIN, budget=budget)


def _summaries(samples: Samples) -> dict[str, Summary]:
    return {mark: summarize(values) for mark, values in samples.marks.items()}


def _start_once(setting: Setting, command: Sequence[str], environ: Mapping[str, str], samples: Samples) -> None:
    """Start an extension once, ask it for a secret from the first moment on, and note when what happened."""
    setting.upstream.ask()
    setting.api.ask()
    with Child(command, environ) as child:
        bound, connection = connected(child)
        with connection:
            connection.sendall(REQUEST)
            served, ready = _follow(child, connection)
        cpu = child.cpu_ms() if ready else 0.0
        seen = setting.upstream.ask()
    moments = (bound, registered(setting.api), seen["first_connection"], seen["first_answer"], served, ready)
    for mark, moment in zip(MARKS, moments, strict=True):
        samples.marks[mark].append((moment - child.spawned) / 1e6)
    samples.cpu.append(cpu)


def connected(child: Child, port: int = PORT) -> tuple[int, socket.socket]:
    """Connect as soon as somebody listens; return the moment, and the connection."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        connection = socket.socket()
        try:
            connection.connect(("127.0.0.1", port))
        except ConnectionRefusedError:
            connection.close()
            time.sleep(POLL_SECONDS)
        else:
            return time.monotonic_ns(), connection
    raise NotMeasuredError(f"nobody listens on port {port}: {child.said()}")


def _follow(child: Child, connection: socket.socket) -> tuple[int, int]:
    """Return when the whole answer was there, and when the extension said that it is ready."""
    served = ready = 0
    received = b""
    while not (served and ready):
        waiting: list[Child | socket.socket] = [*([] if served else [connection]), *([] if ready else [child])]
        readable, _, _ = select.select(waiting, [], [], PATIENCE_SECONDS)
        if not readable:
            raise NotMeasuredError(f"no answer, or never ready: {child.said()}")
        if child in readable and child.read_until_ready():
            ready = time.monotonic_ns()
        if connection in readable:
            received += connection.recv(65536)
            if is_whole(received):
                served = time.monotonic_ns()
    return served, ready


def is_whole(received: bytes) -> bool:
    """Return whether a response with a Content-Length has come completely; raise if it is not a good one."""
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return False
    if not head.startswith(b"HTTP/1.1 200 "):
        raise NotMeasuredError(f"the answer is {head[:60]!r}")
    length = int(head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
    return len(body) >= length


def registered(api: Stub) -> int:
    """Return when a registration has come in since the stub was asked last."""
    moments = [int(moment) for path, moment in api.ask() if path.endswith("/register")]
    if not moments:
        raise NotMeasuredError("nobody registered")
    return moments[0]


def _register_once(setting: Setting, environ: Mapping[str, str]) -> float:
    setting.api.ask()
    with Child(baseline("register", packages=""), environ) as child:
        return (_called(setting.api, "/extension/register") - child.spawned) / 1e6


def bare_once(_setting: Setting, environ: Mapping[str, str]) -> float:
    """Return how long the interpreter takes, isolated, to start and to end, in milliseconds."""
    with Child(BARE, environ) as child:
        return (child.wait_until_ended() - child.spawned) / 1e6


def _runtime_once(setting: Setting, environ: Mapping[str, str]) -> float:
    """Return how long AWS's runtime client for Python needs from its start to its first /invocation/next."""
    setting.api.ask()
    command = (sys.executable, "-m", "awslambdaric", "asks_nothing.handler")
    variables = {**environ, "PYTHONPATH": str(setting.folder / "functions"), "LAMBDA_TASK_ROOT": str(setting.folder)}
    with Child(command, variables) as child:
        return (_called(setting.api, "/runtime/invocation/next") - child.spawned) / 1e6


def _called(api: Stub, path: str) -> int:
    """Wait until somebody has called `path` of the stub; return the moment it arrived there."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for called, moment in api.ask():
            if called.endswith(path):
                return int(moment)
        time.sleep(0.005)
    raise NotMeasuredError(f"nobody called {path}")
