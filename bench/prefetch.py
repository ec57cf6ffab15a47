"""
Many secrets or parameters at once, from an upstream that takes its time: with the permission for batches and without.

Counted from the client being ready, which is its first request, to all of them being served: the extension says that it
is ready, /health agrees, and each of them is then asked for.
"""

import contextlib
import http.client
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench.cold_start import AGAINST_PLAIN
from bench.processes import (
    EXTENSION,
    MEASURING_CORE,
    PATIENCE_SECONDS,
    PLAIN_EXTENSION,
    Child,
    NotMeasuredError,
    on_core,
)
from bench.rows import Budget, Row, measured, no_more_than
from bench.setting import PORT, Setting

LATENCY_MS = 20


@dataclass(frozen=True, slots=True)
class Case:
    """So many secrets or parameters, and whether BatchGetSecretValue is allowed."""

    key: str
    what: str
    secrets: int = 0
    parameters: int = 0
    has_batch: bool = True
    budget: Budget | None = None

    @property
    def names(self) -> list[str]:
        """What is requested once it is there."""
        parameters = [f"app/parameter-{number}" for number in range(1, self.parameters + 1)]
        return [*(f"secret-{number}" for number in range(1, self.secrets + 1)), *parameters]


SOME, MORE = 100, 500
BUDGET = no_more_than(150)
CASES = (
    *(
        Case(
            f"prefetch_{secrets}{'' if has_batch else '_without_batch'}",
            f"{secrets} secrets at {LATENCY_MS} ms, {'batches allowed' if has_batch else 'batches refused'}",
            secrets=secrets,
            has_batch=has_batch,
            budget=BUDGET if secrets == SOME else None,
        )
        for secrets in (SOME, MORE)
        for has_batch in (True, False)
    ),
    Case(f"prefetch_{SOME}_parameters", f"{SOME} parameters at {LATENCY_MS} ms", parameters=SOME, budget=BUDGET),
)


@dataclass
class Samples:
    """The repetitions of one case: how long it took, in ms, and the calls of the last one."""

    took: list[float] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)


def rows(setting: Setting) -> list[Row]:
    """Measure, interleaved; return the rows."""
    ours = {case: Samples() for case in CASES}
    # The plain extension uses no batches: it is measured once for each number.
    plain = {(case.secrets, case.parameters): Samples() for case in CASES}
    with on_core(MEASURING_CORE):
        for number in setting.rounds(8, 2):
            for case in CASES:
                pairs = [(EXTENSION, ours[case]), (PLAIN_EXTENSION, plain[case.secrets, case.parameters])]
                for command, samples in pairs if case.has_batch else pairs[:1]:
                    took, calls = _prefetch_once(setting, command, case)
                    if number > 0:  # the first round is the warm-up
                        samples.took.append(took)
                        samples.calls = calls
    return [
        measured(
            case.key, case.what, ours[case].took, plain[case.secrets, case.parameters].took,
            against=AGAINST_PLAIN, budget=case.budget, note=_calls_in_words(ours[case].calls),
        )
        for case in CASES
    ]  # fmt: skip


def _calls_in_words(calls: dict[str, int]) -> str:
    names = {"batchgetsecretvalue": "batch", "getsecretvalue": "single", "getparameters": "batch"}
    return "calls: " + ", ".join(f"{count} {names.get(name, name)}" for name, count in sorted(calls.items()))


@contextlib.contextmanager
def _slow(setting: Setting, *, has_batch: bool) -> Iterator[None]:
    setting.upstream.ask(f"/set?delay_ms={LATENCY_MS}&batch={int(has_batch)}")
    try:
        yield
    finally:
        setting.upstream.ask("/set?delay_ms=0&batch=1")


def _prefetch_once(setting: Setting, command: Sequence[str], case: Case) -> tuple[float, dict[str, int]]:
    """Return how long the prefetch took in ms, and the calls it made."""
    environ = setting.environ(secrets=case.secrets, parameters=case.parameters)
    with _slow(setting, has_batch=case.has_batch), Child(command, environ) as child:
        settled = child.wait_until_ready()
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=PATIENCE_SECONDS)
        if command is EXTENSION:
            settled = _healthy(connection) or settled
        seen = setting.upstream.ask()
        for name in case.names:
            connection.request("GET", f"/cache/{name}")
            with connection.getresponse() as response:
                if response.status != http.client.OK or name not in response.read().decode():
                    raise NotMeasuredError(f"{name} is not served: status {response.status}")
        connection.close()
    return (settled - seen["first_request"]) / 1e6, seen["calls"]


def _healthy(connection: http.client.HTTPConnection) -> int | None:
    """Return None if all is served already, else the moment it is: after 2 s the extension is ready in any case."""
    deadline, has_waited = time.monotonic() + PATIENCE_SECONDS, False
    while time.monotonic() < deadline:
        connection.request("GET", "/health")
        with connection.getresponse() as response:
            response.read()
            if response.status == http.client.OK:
                return time.monotonic_ns() if has_waited else None
        time.sleep(0.005)
        has_waited = True
    raise NotMeasuredError("/health never was 200")
