"""
Hits: our server, a plain aiohttp application and a raw echo of the same bytes, all in the bundled interpreter.

Each has one core to itself while it is asked; the others wait. Also: the tail of the latency while everything is being
refreshed, and what memory a hundred thousand hits leave behind.
"""

import base64
import contextlib
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench import load
from bench.client import ask_once, connected
from bench.cold_start import REST_SECONDS
from bench.load import Load
from bench.processes import EXTENSION, Child, NotMeasuredError, baseline
from bench.rows import Row, at_least, at_most, measured
from bench.setting import PORT, Setting
from tools.emulator import free_port

MANY = 16
BUSY = 0.9
MANY_HITS = 100_000
AFTER_HITS = f"resident memory after {MANY_HITS:,} hits"
# All of these are asked for again about once a second: a ttl of 1.02 s, less the part that is refreshed ahead.
REFRESHED = 20
SHORT = {"CACHE_TIMEOUT": "0.017"}


@dataclass
class Samples:
    """The runs of one server: with one connection, and with many."""

    one: list[Load] = field(default_factory=list)
    many: list[Load] = field(default_factory=list)

    @property
    def p50(self) -> list[float]:
        """Median latencies with one connection, in microseconds."""
        return [run.p50_us for run in self.one]

    @property
    def rates(self) -> list[float]:
        """Hits a second with many connections."""
        return [run.per_second for run in self.many]


def rows(setting: Setting) -> list[Row]:
    """Measure, interleaved; return the rows."""
    if not load.is_there():
        return not_measured()
    return [*_hits(setting), *_tails(setting), _memory(setting)]


def not_measured() -> list[Row]:
    """Return the rows that need a load generator, without one."""
    skipped = (
        ("hit_latency", "a hit, one keep-alive connection: median latency", at_most(1.1)),
        ("hits_per_second", f"hits/s at {MANY} connections, one core", at_least(5)),
        ("hit_tail_1", "p99.9 of hits while all is refreshed, 1 connection", at_most(2)),
        (f"hit_tail_{MANY}", f"the same, {MANY} connections", at_most(2)),
        ("memory_after_hits", AFTER_HITS, None),
    )
    return [Row(key=key, what=what, budget=budget, note=load.MISSING) for key, what, budget in skipped]


def _hits(setting: Setting) -> list[Row]:
    ours, application, echo = Samples(), Samples(), Samples()
    seconds = 1.0 if setting.is_quick else 2.0
    with Child(EXTENSION, setting.environ()) as extension:
        extension.wait_until_ready()
        servers = [(ours, extension, PORT), *_started(setting, application, echo)]
        with contextlib.ExitStack() as stack:
            for _, child, port in servers[1:]:
                stack.enter_context(child)
                connected(child, port)[1].close()
            for number in setting.rounds(9, 3):
                for samples, child, port in servers:
                    one = load.run(child, port, connections=1, seconds=seconds)
                    many = load.run(child, port, connections=MANY, seconds=seconds)
                    if number > 0:  # the first round is the warm-up
                        samples.one.append(one)
                        samples.many.append(many)
    return _hit_rows(ours, application, echo)


def _hit_rows(ours: Samples, application: Samples, echo: Samples) -> list[Row]:
    same = "raw asyncio echo of the same bytes"
    return [
        measured(
            "hit_latency", "a hit, one keep-alive connection: median latency", ours.p50, echo.p50,
            unit="us", against=same, budget=at_most(1.1),
        ),
        measured(
            "hits_per_second", f"hits/s at {MANY} connections, one core", ours.rates, application.rates,
            unit="/s", against="a plain aiohttp application", budget=at_least(5), note=_idle(ours, application),
        ),
        measured(
            "hits_per_second_echo", "for scale: the same beside the raw echo", ours.rates, echo.rates,
            unit="/s", against=same, note=_idle(ours, echo),
        ),
        measured(
            "hit_latency_application", "for scale: median latency beside the application", ours.p50, application.p50,
            unit="us", against="a plain aiohttp application",
        ),
        measured(
            "hit_tail_echo", "for scale: p99.9 of the raw echo, which is the machine's, 1 connection",
            [run.p999_us for run in echo.one], unit="us",
        ),
        measured(
            f"hit_tail_echo_{MANY}", f"for scale: the same, {MANY} connections",
            [run.p999_us for run in echo.many], unit="us",
        ),
    ]  # fmt: skip


def _started(setting: Setting, application: Samples, echo: Samples) -> Iterator[tuple[Samples, Child, int]]:
    """Return the two baselines, told to answer with what our server answers."""
    answer = ask_once(PORT)
    given = {
        "BENCH_ANSWER": base64.b64encode(answer).decode(),
        "BENCH_BODY": answer.partition(b"\r\n\r\n")[2].decode(),
    }
    for module, samples in (("application", application), ("echo", echo)):
        port = free_port()
        yield samples, Child(baseline(module), {**setting.environ(), **given, "BENCH_PORT": str(port)}), port


def _idle(*servers: Samples) -> str:
    """Return a warning where a server's core was not busy: then something else was measured."""
    least = min(statistics.median(run.busy for run in samples.many) for samples in servers)
    return (
        ""
        if least >= BUSY
        else f"a server had only {least:.0%} of its core: other load, or the generator, was the limit"
    )


def _tails(setting: Setting) -> list[Row]:
    """Measure the tail of the latency while everything is refreshed, and while nothing is."""
    seconds = 1.0 if setting.is_quick else 5.0
    tails: dict[tuple[int, bool], list[float]] = {
        (count, is_short): [] for count in (1, MANY) for is_short in (False, True)
    }
    fetches = 0
    for number in setting.rounds(7, 3):
        for is_short in (True, False):
            with Child(EXTENSION, setting.environ("", SHORT if is_short else None, secrets=REFRESHED)) as extension:
                extension.wait_until_ready()
                for connections in (1, MANY):
                    setting.upstream.ask()
                    found = load.run(extension, PORT, connections=connections, seconds=seconds)
                    calls = setting.upstream.ask()["calls"]
                    fetches = sum(calls.values()) if is_short else fetches
                    if number > 0:
                        tails[connections, is_short].append(found.p999_us)
    if not fetches:
        raise NotMeasuredError("nothing was refreshed while it should have been")
    return [
        measured(
            f"hit_tail_{connections}", what, tails[connections, True], tails[connections, False],
            unit="us", against="while nothing is", budget=at_most(2), note=f"{fetches / seconds:.0f} fetches a second",
        )
        for connections, what in (
            (1, "p99.9 of hits while all is refreshed, 1 connection"),
            (MANY, f"the same, {MANY} connections"),
        )
    ]  # fmt: skip


def _memory(setting: Setting) -> Row:
    """Measure what is resident after many hits, and what was resident before them."""
    before: list[float] = []
    after: list[float] = []
    for _ in setting.rounds(5, 1):
        with Child(EXTENSION, setting.environ()) as child:
            child.wait_until_ready()
            ask_once(PORT)
            time.sleep(REST_SECONDS)
            before.append(child.memory_mb())
            hits = 0
            while hits < MANY_HITS:
                hits += load.run(child, PORT, connections=MANY, seconds=2).requests
            after.append(child.memory_mb())
    against = "at rest, before them"
    return measured("memory_after_hits", AFTER_HITS, after, before, unit="MB", against=against)
