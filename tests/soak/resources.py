"""
What the process uses, seen from outside, and its tasks, which it writes down when SIGURG tells it to.

Memory, descriptors and threads are the kernel's word. The number of asyncio's tasks is not to be seen from outside: a
few lines that run in the process before anything of ours answer the signal, and the product knows nothing of them.
"""

import json
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from tests.conftest import PATIENCE_SECONDS

# The bounds of growth, from the end of the warm-up on. A flight of a refresh may be under way at any moment, with its
# fetch and its attempt, and a connection.
MORE_TASKS = 4
MORE_DESCRIPTORS = 3
MORE_THREADS = 2
# The allocator's arenas fill and empty. A hundred bytes lost with each request would be as much after a few minutes.
MORE_MEGABYTES = 6.0
MAX_ENTRIES = 1000
# What the process may use at any moment, whatever callers do. With all libraries imported it was 73 at most; one caller
# that reads nothing, and is sent whatever it asks for, makes it 170 within seconds.
MAX_MEGABYTES = 100.0
# And at any moment more than at rest: less than 1 was measured.
MORE_MEGABYTES_AT_WORK = 15.0
LOOKS = 8
LOOK_SECONDS = 0.03

BEFORE = """
def _soak_report(*_):
    import gc, json, os, sys
    asyncio = sys.modules.get("asyncio")
    try:
        tasks = len(asyncio.all_tasks()) if asyncio else 0
    except RuntimeError:
        tasks = 0
    # What has failed refers to itself, through its error's traceback: an entry may have gone and not be collected yet.
    gc.collect()
    entries = sum(type(each).__name__ == "Entry" for each in gc.get_objects())
    line = json.dumps({"tasks": tasks, "entries": entries})
    with open(os.environ["SOAK_REPORT"], "a") as file:
        file.write(line + "\\n")
import signal as _soak_signal
# One that this program leaves alone.
_soak_signal.signal(_soak_signal.SIGURG, _soak_report)
"""


@dataclass(frozen=True)
class Sample:
    """
    One look. What cannot be seen is 0.

    Attributes:
        peak_megabytes: The most memory that it has had so far.
        entries: How many entries the cache has, besides those that were there when the init ended.
    """

    megabytes: float
    descriptors: int
    threads: int
    peak_megabytes: float = 0.0
    tasks: int = 0
    entries: int = 0


def look(pid: int, report: Path | None) -> Sample:
    """
    Return what a process uses; of several looks the one with the fewest tasks and descriptors.

    Args:
        pid: Its id.
        report: Where it writes its own word to; None if it was not told to.
    """
    seen = []
    for _ in range(LOOKS):
        seen.append(Sample(**_outside(pid), **({} if report is None else _inside(pid, report))))
        time.sleep(LOOK_SECONDS)
    return min(seen, key=lambda sample: (sample.tasks + sample.descriptors, sample.megabytes))


def _outside(pid: int) -> dict[str, Any]:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    status = Path(f"/proc/{pid}/status").read_text()
    return {
        "megabytes": round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1),
        "peak_megabytes": round(int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6, 1),
        "descriptors": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        "threads": int(status.partition("Threads:")[2].split()[0]),
    }


def _inside(pid: int, report: Path) -> dict[str, Any]:
    report.write_text("")
    os.kill(pid, signal.SIGURG)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not report.read_text().endswith("\n"):
        assert time.monotonic() < deadline, "the process does not report"
        time.sleep(0.005)
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def grown(samples: Sequence[Sample]) -> list[str]:
    """Return what has grown between the end of the warm-up, which is the first sample, and the end."""
    first, last = samples[0], samples[-1]
    bounds = {"descriptors": MORE_DESCRIPTORS, "threads": MORE_THREADS, "tasks": MORE_TASKS}
    assert bounds.keys() < {each.name for each in fields(Sample)}
    found = [
        f"{name}: {getattr(first, name)} after the warm-up, {getattr(last, name)} at the end"
        for name, more in bounds.items()
        if getattr(last, name) > getattr(first, name) + more
    ]
    third = max(len(samples) // 3, 1)
    early, late = (max(each.megabytes for each in part) for part in (samples[:third], samples[-third:]))
    if late > early + MORE_MEGABYTES:
        found.append(f"memory: at most {early:.1f} MB in the first third, {late:.1f} MB in the last")
    if last.peak_megabytes > MAX_MEGABYTES:
        found.append(f"memory: {last.peak_megabytes:.1f} MB at its most; {MAX_MEGABYTES:g} MB are allowed")
    rest = max(sample.megabytes for sample in samples)
    if last.peak_megabytes > rest + MORE_MEGABYTES_AT_WORK:
        found.append(f"memory: {last.peak_megabytes:.1f} MB at its most, and {rest:.1f} MB at rest")
    entries = max(sample.entries for sample in samples)
    if entries > MAX_ENTRIES:
        found.append(f"{entries} entries; {MAX_ENTRIES} are allowed")
    return found
