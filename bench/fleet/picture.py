"""
The picture of a fleet of 50,000, at its start, its first refresh, and after an outage. From `fleet.json` alone.

    python -m bench.fleet.picture    (the Makefile calls this, in the environment that has matplotlib)

Rule: the same results give the same bytes.
"""

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.picture import RESULTS, STYLE

COLOURS = {"our defaults": "#5e81ac", "without jitter": "#d08770", "plain": "#8f9bb3"}
QUOTA = "#bf616a"
# A logarithm has no place for none.
LEAST = 100


def main() -> None:
    """Draw the newest results."""
    results = json.loads((RESULTS / "fleet.json").read_text(encoding="utf-8"))
    target = RESULTS / "fleet.svg"
    draw(results, target)
    print(f"Drawn: {target.relative_to(RESULTS.parent.parent)}")


def draw(results: dict[str, Any], target: Path) -> None:
    """Draw results into the file `target`."""
    quota = results["quotas"]["GetSecretValue"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        panels = figure.subplots(1, len(results["windows"]), sharey=True)
        for axes, (window, (first, end)) in zip(panels, results["windows"].items(), strict=True):
            axes.set_title(window, loc="left")
            for key, lines in results["timelines"].items():
                design = results["rows"][key]["design"]
                if window in lines:
                    calls = [max(count, LEAST) for count in lines[window]]
                    axes.plot(range(first, end), calls, color=COLOURS[design], linewidth=1.2, label=design)
            axes.axhline(quota, color=QUOTA, linestyle="--", linewidth=1, label=f"quota, {quota:,}/s")
            axes.set_yscale("log")
            axes.set_ylim(LEAST, 300_000)
            axes.set_xlabel("seconds")
        panels[0].set_ylabel("calls a second, all environments")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
        figure.savefig(target, metadata={"Date": None, "Creator": None})
    # The backend ends lines with blanks.
    lines = target.read_text(encoding="utf-8").splitlines()
    target.write_text("\n".join(line.rstrip() for line in lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
