"""
What an invocation pays, under AWS's Runtime Interface Emulator: the cold one that asks, the warm one that does not.

The cold one is that of a Python function, over the same without layer and without secret, round by round.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.cold_start import bare_once
from bench.processes import MEASURED_CORE, NotMeasuredError, cpu_ms, on_core, switches
from bench.rows import Row, at_most, measured, no_more_than
from bench.setting import Setting
from bench.stats import added
from tools.emulator import Emulator

NAMES = {"layer": b"secrets_cache.extension.start", "plain": b"plain_extension"}
# What /opt is, and the function: with nothing, with us, with the plain extension, with botocore inside.
CASES = (("empty", "asks_nothing"), ("layer", "asks_layer"), ("plain", "asks_layer"), ("empty", "asks_aws"))
WARM = 200
SELF = "AWS_LAMBDA_EXEC_WRAPPER"
WRAPPER = "/opt/get-secrets-layer"
# What an extension does once after its init is no invocation's: it is let be first.
SETTLE_SECONDS = 1.0


def rows(setting: Setting) -> list[Row]:
    """Measure, interleaved; return the rows."""
    return [*_cold(setting), *_wrapped(setting), *_warm(setting)]


def _emulator(setting: Setting, opt: str, function: str, *, is_wrapped: bool = False) -> Emulator:
    environ = setting.environ("", {"SECRET_ARN": "secret-1", SELF: WRAPPER} if is_wrapped else None, secrets=1)
    # These are the emulator's own to set.
    del environ["AWS_LAMBDA_RUNTIME_API"], environ["PATH"]
    return Emulator(
        opt=setting.folder / opt,
        task=setting.folder / "functions",
        runtime=[*([WRAPPER] if is_wrapped else []), sys.executable, "-m", "awslambdaric", f"{function}.handler"],
        environ=environ,
    )


def _cold(setting: Setting) -> list[Row]:
    nothing, ours, plain, botocore = _invoked(setting, CASES)
    with on_core(MEASURED_CORE):
        nothing_1, ours_1, botocore_1 = _invoked(setting, (CASES[0], CASES[1], CASES[3]))
    return [
        measured(
            "cold_invocation", "added to a cold invocation that asks at import", added(ours, nothing),
            added(botocore, nothing), against="botocore in the function", budget=at_most(0.15),
        ),
        measured(
            "cold_invocation_one_core", "the same, function, extension and emulator on one core",
            added(ours_1, nothing_1), added(botocore_1, nothing_1), against="botocore in the function",
            budget=at_most(0.35),
        ),
        measured(
            "cold_invocation_plain", "for scale: the plain extension adds", added(plain, nothing),
            added(botocore, nothing), against="botocore in the function",
        ),
        measured("cold_invocation_nothing", "for scale: the same invocation without either", nothing),
    ]  # fmt: skip


def _invoked(setting: Setting, cases: Sequence[tuple[str, str]]) -> list[list[float]]:
    """Return how long the first invocations of each case took, in ms, round by round."""
    took: dict[tuple[str, str], list[float]] = {case: [] for case in cases}
    for number in setting.rounds(16, 3):
        for case in cases:
            with _emulator(setting, *case) as function:
                began = time.monotonic_ns()
                answer = function.invoke()
                milliseconds = (time.monotonic_ns() - began) / 1e6
            if not isinstance(answer, int) or (answer == 0) != (case == CASES[0]):
                raise NotMeasuredError(f"{case[1]} with {case[0]} answered {str(answer)[:200]}")
            if number > 0:  # the first round is the warm-up
                took[case].append(milliseconds)
    return list(took.values())


def _wrapped(setting: Setting) -> list[Row]:
    """Measure what the exec wrapper adds with the extension, and what it adds alone."""
    cases = (("layer", False), ("layer", True), ("empty", False), ("wrapper", True))
    took: dict[tuple[str, bool], list[float]] = {case: [] for case in cases}
    bare: list[float] = []
    for number in setting.rounds(16, 3):
        bare.append(bare_once(setting, setting.environ()))
        for opt, is_wrapped in cases:
            with _emulator(setting, opt, "asks_nothing", is_wrapped=is_wrapped) as function:
                began = time.monotonic_ns()
                answer = function.invoke()
                milliseconds = (time.monotonic_ns() - began) / 1e6
            if answer != 0:
                raise NotMeasuredError(f"the function with {opt} answered {str(answer)[:200]}")
            if number > 0:  # the first round is the warm-up
                took[opt, is_wrapped].append(milliseconds)
    together, layer, alone, nothing = (took[cases[place]] for place in (1, 0, 3, 2))
    return [
        measured(
            "cold_invocation_wrapper", "added to a cold invocation by the exec wrapper, with the extension",
            added(together, layer), bare[1:], against="the bare interpreter, exec to exit", budget=at_most(3.5),
        ),
        measured("cold_invocation_wrapper_alone", "for scale: by the exec wrapper alone", added(alone, nothing)),
    ]  # fmt: skip


def _warm(setting: Setting) -> list[Row]:
    """Count how often an extension wakes up in warm invocations that ask for nothing, and what they cost it."""
    woken: dict[str, list[float]] = {opt: [] for opt in NAMES}
    cost: dict[str, list[float]] = {opt: [] for opt in NAMES}
    for _ in setting.rounds(5, 1):
        for opt, name in NAMES.items():
            with _emulator(setting, opt, "asks_nothing") as function:
                function.invoke()
                function.log.wait_for("extension.ready")
                time.sleep(SETTLE_SECONDS)
                pid = process_of(name)
                before = switches(pid), cpu_ms(pid)
                for _ in range(WARM):
                    function.invoke()
                woken[opt].append(float(switches(pid) - before[0]))
                cost[opt].append((cpu_ms(pid) - before[1]) * 1000 / WARM)
    against = "the plain extension, told of each"
    return [
        measured(
            "warm_wakeups", f"wake-ups in {WARM} invocations that ask for nothing", woken["layer"],
            woken["plain"], unit="", against=against, budget=no_more_than(0),
        ),
        measured(
            "warm_cpu", "CPU time of such an invocation", cost["layer"], cost["plain"], unit="us", against=against,
            budget=no_more_than(0),
        ),
    ]  # fmt: skip


def process_of(part: bytes) -> int:
    """Return the process whose command line holds `part`, of those that share our loopback: others are not ours."""
    ours = Path("/proc/self/ns/net").readlink()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            command = (folder / "cmdline").read_bytes()
            is_it = part in command and b"/opt/secrets-cache/bin/python3" in command
            if is_it and (folder / "ns" / "net").readlink() == ours:
                return int(folder.name)
        except OSError:
            continue
    raise NotMeasuredError(f"no process runs {part.decode()}")
