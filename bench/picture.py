"""
The picture of a run: the cold start as a time line, and hits compared with other servers'. From `latest.json` alone.

    python -m bench.picture    (the Makefile calls this, in an environment of its own)

Rules
-----
1. The same results give the same bytes: no date, no random names.
2. What was not measured in this run is not shown.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

RESULTS = Path(__file__).resolve().parent / "results"
# The segments of a start: the mark each ends at, what it is, its colour.
SEGMENTS = (
    ("bound", "until the port is bound", "#7b88a1"),
    ("registered", "until registered", "#b48ead"),
    ("connects to AWS", "until it connects to AWS (imports)", "#5e81ac"),
    ("first byte from AWS", "until AWS's first byte", "#d08770"),
    ("first secret served", "until the first secret is served", "#a3be8c"),
)
OURS, MEASURED = "#5e81ac", "#8f9bb3"
RUNTIME = "#ebcb8b"
MORE, LESS = "more is better", "less is better"
STYLE = {
    "svg.hashsalt": "secrets-cache",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}
# For pages with a light and with a dark background: the colour of all texts and lines.
INKS = {"": "#1f2328", "-dark": "#e6edf3"}
INKED = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")


def main() -> None:
    """Draw the newest results."""
    draw_both("latest", draw)


def draw_both(name: str, drawing: Callable[[dict[str, Any]], Figure]) -> None:
    """Draw the results `name`.json as `name`.svg for light pages, and as `name`-dark.svg for dark ones."""
    results = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    for suffix, ink in INKS.items():
        target = RESULTS / f"{name}{suffix}.svg"
        with mpl.rc_context({**STYLE, **dict.fromkeys(INKED, ink)}):
            drawing(results).savefig(target, metadata={"Date": None, "Creator": None})
        # The backend ends lines with blanks.
        lines = target.read_text(encoding="utf-8").splitlines()
        target.write_text("\n".join(line.rstrip() for line in lines) + "\n", encoding="utf-8")
        print(f"Drawn: {target.relative_to(RESULTS.parent.parent)}")


def draw(results: dict[str, Any]) -> Figure:
    """Return the picture of one run of the benchmarks."""
    rows = {row["key"]: row for row in results["rows"]}
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplot_mosaic([["start", "start"], ["rate", "latency"]], height_ratios=[1.25, 1])
    _start(axes["start"], results["cold_start"])
    _bars(
        axes["rate"],
        f"Hits a second, 16 connections ({MORE})",
        _values(rows, "hits_per_second", "hits_per_second_echo"),
    )
    _bars(
        axes["latency"],
        f"Median latency of a hit, us ({LESS})",
        _values(rows, "hit_latency_application", "hit_latency"),
    )
    about = results["machine"]
    quick = "; a quick run" if results["is_quick"] else ""
    figure.suptitle(_message(results), fontsize=12, fontweight="bold", x=0.01, ha="left")
    machine = f"{about['processor']}, {about['cores']} cores, Python {about['python']}{quick}"
    figure.supxlabel(machine, fontsize=8)
    return figure


def _message(results: dict[str, Any]) -> str:
    """Return what the picture says, in one line."""
    start = results["cold_start"]
    if start is None:
        return "secrets-cache: no cold start was measured"
    ours, plain = (start[name]["ready"]["median"] for name in ("ours", "plain"))
    return f"Secrets ready {ours:.0f} ms after the start; with aiohttp and aiobotocore alone, {plain:.0f} ms"


def _start(axes: Any, cold_start: dict[str, Any] | None) -> None:  # noqa: ANN401 - matplotlib has no types here
    axes.set_title("Cold start, in ms from the start of the process; 5 secrets, AWS answering at once", loc="left")
    if cold_start is None:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center")
        return
    runtime = cold_start["runtime_init"]["median"]
    names = []
    for place, (name, marks) in enumerate(
        (("secrets-cache", cold_start["ours"]), ("plain extension", cold_start["plain"]))
    ):
        moments = {mark: summary["median"] for mark, summary in marks.items()}
        began = 0.0
        # The plain extension binds its port last: what comes later than its turn has no segment of its own.
        for mark, label, colour in sorted(SEGMENTS, key=lambda segment: moments[segment[0]]):
            width = max(moments[mark] - began, 0)
            axes.barh(2.4 * place, width, 0.8, left=began, color=colour, label=None if place else label)
            began = max(began, moments[mark])
        axes.plot(
            moments["ready"],
            2.4 * place,
            "|",
            color=mpl.rcParams["text.color"],
            markersize=14,
            label=None if place else "ready",
        )
        _label(axes, moments["ready"], 2.4 * place, f"ready at {moments['ready']:.0f}")
        left = moments["registered"]
        heading = None if place else "the function's runtime, until it can be invoked"
        axes.barh(2.4 * place + 0.9, runtime, 0.7, left=left, color=RUNTIME, label=heading)
        _label(axes, left + runtime, 2.4 * place + 0.9, f"the function starts at {left:.0f}")
        names += [name, "the function"]
    axes.set_yticks([0, 0.9, 2.4, 3.3], names)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.legend(loc="upper center", bbox_to_anchor=(0.45, -0.1), ncols=3, frameon=False, fontsize=8)


def _label(axes: Any, end: float, place: float, text: str) -> None:  # noqa: ANN401 - as above
    """Write text a little to the right of a bar's end."""
    axes.annotate(text, (end, place), xytext=(6, 0), textcoords="offset points", va="center")


def _values(rows: dict[str, Any], application: str, echo: str) -> list[tuple[str, float, str]]:
    """Return name, value and colour of each bar; nothing if this run has no hits."""
    if application not in rows or rows[application]["ours"] is None:
        return []
    return [
        ("secrets-cache", rows[application]["ours"]["median"], OURS),
        ("aiohttp application", rows[application]["baseline"]["median"], MEASURED),
        ("raw asyncio echo", rows[echo]["baseline"]["median"], MEASURED),
    ]


def _bars(axes: Any, title: str, values: list[tuple[str, float, str]]) -> None:  # noqa: ANN401 - as above
    axes.set_title(title, loc="left")
    if not values:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center")
        return
    for place, (_, value, colour) in enumerate(values):
        axes.barh(place, value, 0.7, color=colour)
        _label(axes, value, place, f"{value:,.0f}")
    axes.set_yticks(range(len(values)), [name for name, _, _ in values])
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xticks([])


if __name__ == "__main__":
    main()
