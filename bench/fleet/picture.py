"""
The picture of a fleet of 50,000, at its start, its first refresh, and after an outage. From `fleet.json` alone.

    python -m bench.fleet.picture    (the Makefile calls this, in the environment that has matplotlib)

Rule: the same results give the same bytes.
"""

from typing import Any

from matplotlib.figure import Figure

from bench.picture import draw_both

# Each design as the legend names it, and its colour.
DESIGNS = {
    "our defaults": ("secrets-cache", "#5e81ac"),
    "without jitter": ("secrets-cache without jitter", "#d08770"),
    "plain": ("plain: functions fetch by themselves, without an extension", "#8f9bb3"),
}
QUOTA = "#bf616a"
# A logarithm has no place for none.
LEAST = 100


def main() -> None:
    """Draw the newest results."""
    draw_both("fleet", draw)


def draw(results: dict[str, Any]) -> Figure:
    """Return the picture of the moments when a fleet asks most."""
    quota = results["quotas"]["GetSecretValue"]
    figure = Figure(figsize=(9, 4), layout="constrained")
    panels = figure.subplots(1, len(results["windows"]), sharey=True)
    for axes, (window, (first, end)) in zip(panels, results["windows"].items(), strict=True):
        axes.set_title(f"{window}, {_compared(results)['secrets']} secrets each", loc="left")
        for key, lines in results["timelines"].items():
            label, colour = DESIGNS[results["rows"][key]["design"]]
            if window in lines:
                calls = [max(count, LEAST) for count in lines[window]]
                axes.plot(range(first, end), calls, color=colour, linewidth=1.2, label=label)
        axes.axhline(quota, color=QUOTA, linestyle="--", linewidth=1, label=f"AWS's quota, {quota:,} a second")
        axes.set_yscale("log")
        axes.set_ylim(LEAST, 300_000)
        axes.set_xlabel("seconds since the first start")
    panels[0].set_ylabel("calls a second, logarithmic scale")
    row = _compared(results)
    message = (
        f"Refreshes of {row['environments']:,} environments peak at {row['figures']['peak_later']:,} calls a second"
    )
    figure.suptitle(message, fontsize=12, fontweight="bold", x=0.01, ha="left")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    return figure


def _compared(results: dict[str, Any]) -> dict[str, Any]:
    """Return the row of the defaults where all environments start together."""
    return next(row for key, row in results["rows"].items() if key in results["timelines"])


if __name__ == "__main__":
    main()
