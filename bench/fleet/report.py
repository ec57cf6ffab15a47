"""The figures as a table on the terminal, and as JSON: `bench/results/fleet.json`, which the picture is drawn from."""

import json
from collections.abc import Mapping
from typing import Any

from bench.fleet.aws import Operation
from bench.fleet.figures import Figures, figures, on_paper, timeline
from bench.fleet.plan import LARGE, OUTAGE
from bench.fleet.scenarios import Design, Run, Scenario, Start
from bench.table import align
from secrets_cache import __version__

HEADINGS = (
    "fleet",
    "peak/s at start",
    "later",
    "mean/s",
    "throttled",
    "failed",
    "%",
    "until s",
    "p99 age",
    "past ttl",
    "USD",
)
# What the picture shows: from which second to which.
WINDOWS = {
    "start": (0, 60),
    "first refresh": (530, 680),
    "after the outage": (int(OUTAGE.ends) - 20, int(OUTAGE.ends) + 80),
}


def row(run: Run) -> dict[str, Any]:
    """Return a run as JSON has it."""
    scenario = run.scenario
    return {
        "environments": scenario.environments,
        "part": scenario.part,
        "secrets": scenario.secrets,
        "design": scenario.design.value,
        "start": scenario.start.value,
        "ttl": scenario.ttl,
        "per_second": round(scenario.per_second, 4),
        "seconds": scenario.seconds,
        "outage": None if scenario.outage is None else list(scenario.outage),
        "on_paper": round(on_paper(scenario), 3),
        "figures": {
            name: round(value, 3) if isinstance(value, float) else value
            for name, value in figures(run)._asdict().items()
        },
    }


def timelines(run: Run) -> dict[str, list[int]]:
    """Return the calls of each second in the windows that the picture shows of this run; none of most."""
    scenario = run.scenario
    rates = timeline(run)
    return {
        window: [rates[second] for second in range(*WINDOWS[window])]
        for window in WINDOWS
        if _is_shown(scenario, in_outage=window == "after the outage")
    }


def _is_shown(scenario: Scenario, *, in_outage: bool) -> bool:
    usual = Scenario(LARGE, 5, Design.DEFAULTS, Start.TOGETHER, part=25)
    if in_outage:
        return scenario.outage is not None
    return usual == scenario._replace(design=usual.design)


def render(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table."""
    cells = [HEADINGS, *(_cells(key, Figures(**row["figures"])) for key, row in rows.items())]
    return "\n".join(align(cells, range(1, len(HEADINGS))))


def _cells(key: str, found: Figures) -> tuple[str, ...]:
    return (
        key,
        f"{found.peak_start:,}",
        f"{found.peak_later:,}",
        "" if found.mean is None else f"{found.mean:,.3g}" if found.mean < 1 else f"{found.mean:,.0f}",
        f"{found.throttled:,}",
        f"{found.failed:,}",
        f"{found.failed_percent:.2f}",
        f"{found.failing_until:.0f}",
        f"{found.age_p99:.0f}",
        f"{found.stale:,}",
        "" if found.calls_usd is None else f"{found.calls_usd + found.secrets_usd:,.2f}",
    )


def to_json(rows: Mapping[str, Mapping[str, Any]], lines: Mapping[str, Mapping[str, list[int]]]) -> str:
    """Return everything as text: a line for each row, so that a difference can be read."""
    quotas = json.dumps({operation.value[0]: operation.quota for operation in Operation})
    found = ",\n".join(f"  {json.dumps(key)}: {json.dumps(row)}" for key, row in rows.items())
    shown = ",\n".join(f"  {json.dumps(key)}: {json.dumps(line)}" for key, line in lines.items())
    return (
        f'{{\n "version": {json.dumps(__version__)},\n "quotas": {quotas},\n "windows": {json.dumps(WINDOWS)},\n'
        f' "rows": {{\n{found}\n }},\n "timelines": {{\n{shown}\n }}\n}}\n'
    )
