"""
The results of a run as JSON: `bench/results/latest.json`, which the pictures are drawn from.

    {"version", "machine", "is_quick", "rows": [{"key", ..., "verdict"}], "cold_start": {...}}
"""

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.cold_start import ColdStart
from bench.processes import CORES, MEASURED_CORE, MEASURING_CORE, PYTHON
from bench.rows import Row
from bench.stats import Summary
from bench.table import budget_in_words
from secrets_cache import __version__


def to_json(
    rows: Sequence[Row], cold_start: ColdStart | None, *, is_quick: bool, machine: dict[str, Any]
) -> dict[str, Any]:
    """Return everything that was found, ready to be written."""
    return {
        "version": __version__,
        "is_quick": is_quick,
        "machine": machine,
        "rows": [_row(row) for row in rows],
        "cold_start": None if cold_start is None else _rounded(asdict(cold_start)),
    }


def this_machine() -> dict[str, Any]:
    """Return what the numbers depend on, and nothing that says whose machine it is."""
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text("utf-8", "replace"), re.MULTILINE)
    return {
        "architecture": platform.machine(),
        "processor": found[1] if found else "unknown",
        "cores": len(CORES),
        "cores_are_apart": MEASURED_CORE != MEASURING_CORE,
        "kernel": platform.release().split("-")[0],
        "python": _version_of_the_layer(),
        "load_before": round(os.getloadavg()[0], 1),
    }


def _version_of_the_layer() -> str:
    """Return the version of the Python that the layer brings, which is what is measured."""
    command = [PYTHON, "-I", "-S", "-c", "import platform; print(platform.python_version())"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def processor_time() -> tuple[int, int]:
    """Return the time, in ticks, that the machine has worked, and that its host gave to others meanwhile (proc(5))."""
    fields = Path("/proc/stat").read_text("ascii").split("\n", 1)[0].split()
    user, nice, system, _idle, _wait, interrupts, soft, steal = map(int, fields[1:9])
    return user + nice + system + interrupts + soft, steal


def stolen_percent(before: tuple[int, int], after: tuple[int, int]) -> float:
    """Return how much of the processor time that was wanted the host gave to others: above 1, read with care."""
    worked, stolen = after[0] - before[0], after[1] - before[1]
    return round(100 * stolen / (worked + stolen), 1) if worked + stolen else 0.0


def _row(row: Row) -> dict[str, Any]:
    return {
        "key": row.key,
        "what": row.what,
        "ratio": None if row.ratio is None else round(row.ratio, 3),
        "budget": budget_in_words(row),
        "verdict": row.verdict.value,
        "unit": row.unit,
        "ours": _summary(row.ours),
        "baseline": _summary(row.baseline),
        "against": row.against,
        "note": row.note,
    }


def _summary(summary: Summary | None) -> dict[str, Any] | None:
    return None if summary is None else _rounded(asdict(summary))


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    """Return the same with numbers of three decimals, all the way down."""
    return {
        name: _rounded(value) if isinstance(value, dict) else round(value, 3) if isinstance(value, float) else value
        for name, value in values.items()
    }
