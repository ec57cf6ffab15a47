"""The tables of docs/reliability.md, from `fault_matrix`: `python -m tests.support.fault_tables` writes them."""

from tests.support.fault_matrix import FAULTS, Kind, Moment, Told, expected, moments_of
from tests.support.pages import ROOT, table, with_tables

PAGE = ROOT / "docs" / "reliability.md"
# A batch has no row: a caller gets what a first request gets, or does not notice.
MOMENTS = {
    Moment.PREFETCH: "first fetch of a listed secret",
    Moment.FIRST: "first request for a secret that `allow` covers",
    Moment.AHEAD: "refresh ahead, in the background",
    Moment.EXPIRED: "request past the ttl",
    Moment.FORCED: "`?refresh=true` on a fresh value",
}


def matrix() -> str:
    """Return every fault: its code, what a caller without a usable value gets, and how long the attempts take."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for fault in FAULTS:
        code = f"`{fault.code}`" if fault.code else ""
        told = _told(expected(fault, Moment.PREFETCH).told)
        rows.setdefault((code, told, fault.speed.value), []).append(fault.what)
    head = ["fault", "code", "without a value to serve", "attempts"]
    return table(head, *([", ".join(names), *row] for row, names in rows.items()))


def outcomes() -> str:
    """Return what comes of a failure at each moment: of one that may pass, and of a definite one."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for moment, name in MOMENTS.items():
        rows.setdefault(_outcome(moment), []).append(name)
    return table(
        ["moment", "passing", "definite", "logged"], *(["; ".join(names), *row] for row, names in rows.items())
    )


def _outcome(moment: Moment) -> tuple[str, ...]:
    passing, definite = (_merged(moment, is_passing=is_passing) for is_passing in (True, False))
    levels = [_levels(moment, is_passing=is_passing) for is_passing in (True, False)]
    logged = levels[0] if levels[0] == levels[1] else f"{levels[0]}; definite: {levels[1]}"
    return passing, definite if definite != passing else "the same", logged


def _merged(moment: Moment, *, is_passing: bool) -> str:
    """Return what callers get from all such faults: texts that differ only in status and code, as one."""
    kinds = [kind for kind in Kind if kind.is_passing is is_passing and kind is not Kind.HARMLESS]
    texts = dict.fromkeys(
        _told(expected(fault, moment).told)
        for kind in kinds
        for fault in FAULTS
        if fault.kind is kind and moment in moments_of(fault)
    )
    return " or ".join(texts)


def _told(told: Told) -> str:
    if told.code:
        return f"{told.status} `{told.code}`"
    return f"200, the {told.value} value, `{told.cache_status}`"


def _levels(moment: Moment, *, is_passing: bool) -> str:
    fault = next(
        fault
        for fault in FAULTS
        if fault.kind.is_passing is is_passing and fault.kind is not Kind.HARMLESS and moment in moments_of(fault)
    )
    return ", ".join(dict.fromkeys(f"{line.level} `{line.event}`" for line in expected(fault, moment).logged))


def written(text: str) -> str:
    """Return the page's text with the tables as they must be."""
    return with_tables(text, "fault_tables", {"matrix": matrix(), "outcomes": outcomes()})


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
