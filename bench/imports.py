"""What each import costs until the extension is ready, by the interpreter's own account (`-X importtime`)."""

import re
from collections import defaultdict

from bench.processes import MEASURING_CORE, PYTHON, Child, NotMeasuredError, on_core
from bench.rows import Row, measured
from bench.setting import Setting

# What the launcher runs.
_CODE = """
import sys
sys.path.append("/opt/secrets-cache/packages")
from secrets_cache.extension.start import main
main()
"""
COMMAND = (PYTHON, "-X", "importtime", "-I", "-S", "-c", _CODE, "secrets-cache")
# Microseconds in the module itself, microseconds with what it imports, and its name.
LINE = re.compile(r"^import time:\s+(\d+) \|\s+\d+ \|\s+([\w.]+)$", re.MULTILINE)
OURS, ASYNCIO, OTHERS = "the package's own", "asyncio's", "the rest of the standard library"
DEAREST = 20
NOTE = "self times; taking them costs about a quarter of the time"


def rows(setting: Setting) -> list[Row]:
    """Measure; return a row for each group of modules, and one for each of the dearest modules."""
    took: dict[str, list[float]] = defaultdict(list)
    groups: dict[str, list[float]] = defaultdict(list)
    with on_core(MEASURING_CORE):
        for _ in setting.rounds(11, 3):
            found = _start_once(setting)
            for name, milliseconds in found.items():
                took[name].append(milliseconds)
            for group in (OURS, ASYNCIO, OTHERS):
                groups[group].append(sum(found[name] for name in found if _group_of(name) == group))
    counts = {group: sum(_group_of(name) == group for name in took) for group in groups}
    dearest = sorted(took, key=lambda name: sorted(took[name])[len(took[name]) // 2], reverse=True)[:DEAREST]
    return [
        *(
            measured(f"imports_{place}", f"importing {group} modules, {counts[group]}", groups[group], note=NOTE)
            for place, group in enumerate((OURS, ASYNCIO, OTHERS), start=1)
        ),
        *(measured(f"import_{name}", f"of it, {name}", took[name]) for name in dearest),
    ]


def _start_once(setting: Setting) -> dict[str, float]:
    """Return the milliseconds of each module that a start imports."""
    with Child(COMMAND, setting.environ()) as child:
        child.wait_until_ready()
        found = {name: int(microseconds) / 1000 for microseconds, name in LINE.findall(child.output())}
    if not found:
        raise NotMeasuredError(f"the interpreter reported no imports: {child.said()}")
    return found


def _group_of(name: str) -> str:
    top = name.partition(".")[0]
    return OURS if top == "secrets_cache" else ASYNCIO if top in {"asyncio", "_asyncio"} else OTHERS
