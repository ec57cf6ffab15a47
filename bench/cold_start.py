"""
The start of the extension, mark by mark; compared with the plain extension, a raw registration, a bare interpreter.

    spawn -> port bound -> registered -> first connection to AWS -> first byte from AWS -> ready
                 a request, sent when the port is bound, waits -> first secret served
"""

import select
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.client import connected, is_whole, request
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
from bench.rows import Row, at_most, measured
from bench.setting import Setting
from bench.setups import SECRETS, SETUPS, Setup
from bench.stats import Summary, summarize

AGAINST_PLAIN = "the plain extension"
SERVED = "first secret served"
# In the order in which they come.
MARKS = ("bound", "registered", "connects to AWS", "first byte from AWS", SERVED, "ready")
REST_SECONDS = 1.0


@dataclass
class Samples:
    """All repetitions of one extension: milliseconds from its start to each mark, and what it cost, in ms and MB."""

    marks: dict[str, list[float]] = field(default_factory=lambda: {mark: [] for mark in MARKS})
    cpu: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)


# Of each set-up: the key of its row, what is measured, the unit, the samples, and the budget as a ratio.
MEASURES: tuple[tuple[str, str, str, Callable[[Samples], list[float]], float], ...] = (
    ("first_secret", "exec to first secret served", "ms", lambda start: start.marks[SERVED], 0.25),
    ("cpu_until_settled", "CPU time until the prefetch has settled", "ms", lambda start: start.cpu, 0.25),
    ("memory", "resident memory at rest", "MB", lambda start: start.memory, 0.45),
)


@dataclass
class ColdStart:
    """What the picture needs besides the rows."""

    ours: dict[str, Summary]
    plain: dict[str, Summary]
    runtime_init: Summary


def rows(setting: Setting) -> tuple[list[Row], ColdStart]:
    """Measure, interleaved; return the rows and the time line."""
    commands: tuple[tuple[str, ...], ...] = (EXTENSION, PLAIN_EXTENSION)
    starts = {(setup.suffix, command): Samples() for setup in SETUPS for command in commands}
    floor: list[float] = []
    bare: list[float] = []
    runtime: list[float] = []
    with on_core(MEASURING_CORE):
        for number in setting.rounds(21, 3):
            keep = number > 0  # the first round is the warm-up
            for setup in SETUPS:
                for command in commands:
                    samples = starts[setup.suffix, command] if keep else Samples()
                    _start_once(setting, command, setup, samples, rests=keep and number in setting.rounds(6, 2))
            for measure, milliseconds in ((_register_once, floor), (bare_once, bare), (_runtime_once, runtime)):
                took = measure(setting, setting.environ())
                milliseconds.extend([took] * keep)
    ours, plain = (starts[SECRETS.suffix, command] for command in commands)
    table = [
        measured(
            "exec_to_registered", 'exec to "registered"', ours.marks["registered"], floor,
            against="the interpreter, raw socket", budget=at_most(1),
        ),
        *_setup_rows(starts),
        measured("bare_interpreter", "for scale: bare interpreter, exec to exit", bare),
    ]  # fmt: skip
    return table, ColdStart(_summaries(ours), _summaries(plain), summarize(runtime))


def _summaries(samples: Samples) -> dict[str, Summary]:
    return {mark: summarize(values) for mark, values in samples.marks.items()}


def _setup_rows(starts: Mapping[tuple[str, tuple[str, ...]], Samples]) -> list[Row]:
    """Return the rows of all set-ups, one measure after the other."""
    return [
        measured(
            key + setup.suffix,
            f"{what}: {setup.what}",
            samples_of(starts[setup.suffix, EXTENSION]),
            samples_of(starts[setup.suffix, PLAIN_EXTENSION]),
            unit=unit,
            against=AGAINST_PLAIN,
            budget=at_most(setup.limits.get(key, limit)),
        )
        for key, what, unit, samples_of, limit in MEASURES
        for setup in SETUPS
    ]


def _start_once(setting: Setting, command: Sequence[str], setup: Setup, samples: Samples, *, rests: bool) -> None:
    """Start an extension once, ask it for a secret from the first moment on, and note when what happened."""
    environ = setup.environ(setting)
    setting.upstream.ask()
    setting.api.ask()
    with Child(command, environ) as child:
        bound, connection = connected(child)
        with connection:
            connection.sendall(request(f"/cache/{setup.name}"))
            served, ready = _follow(child, connection)
        samples.cpu.append(child.cpu_ms())
        seen = setting.upstream.ask()
        if rests:
            time.sleep(REST_SECONDS)
            samples.memory.append(child.memory_mb())
    moments = (bound, registered(setting.api), seen["first_connection"], seen["first_answer"], served, ready)
    for mark, moment in zip(MARKS, moments, strict=True):
        samples.marks[mark].append((moment - child.spawned) / 1e6)


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


def registered(api: Stub) -> int:
    """Return when a registration has come in since the stub was asked last."""
    moments = [int(moment) for path, moment in api.ask() if path.endswith("/register")]
    if not moments:
        raise NotMeasuredError("nobody registered")
    return moments[0]


def _register_once(setting: Setting, environ: Mapping[str, str]) -> float:
    setting.api.ask()
    with Child(baseline("register", packages=""), environ) as child:
        return (wait_for_call(setting.api, "/extension/register") - child.spawned) / 1e6


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
        return (wait_for_call(setting.api, "/runtime/invocation/next") - child.spawned) / 1e6


def wait_for_call(api: Stub, path: str) -> int:
    """Wait until somebody has called `path` of the stub; return the moment it arrived there."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for called, moment in api.ask():
            if called.endswith(path):
                return int(moment)
        time.sleep(0.005)
    raise NotMeasuredError(f"nobody called {path}")
