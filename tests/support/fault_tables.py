"""The tables of docs/reliability.md, from `fault_matrix`: `python -m tests.support.fault_tables` writes them."""

from tests.support.fault_matrix import FAULTS, Kind, Moment, Told, expected, moments_of
from tests.support.pages import ROOT, table, with_tables

PAGE = ROOT / "docs" / "reliability.md"
# A batch has no row: a caller gets what a first request gets, or does not notice.
MOMENTS = {
    Moment.PREFETCH: "first fetch of a listed secret",
    Moment.FIRST: "first request for an allowed one",
    Moment.AHEAD: "refresh ahead, in the background",
    Moment.EXPIRED: "request past the ttl",
    Moment.FORCED: "`?refresh=true` on a fresh value",
}


def matrix() -> str:
    """Return the faults and their codes, by the status without a value to serve and how long the attempts take."""
    rows: dict[tuple[str, str], dict[str, list[str]]] = {}
    for fault in FAULTS:
        if fault.kind is not Kind.HARMLESS:
            status = str(expected(fault, Moment.PREFETCH).told.status)
            codes = rows.setdefault((status, fault.speed.value), {})
            codes.setdefault(fault.code, []).append(fault.what)
    faults = ("; ".join(f"{', '.join(names)} (`{code}`)" for code, names in codes.items()) for codes in rows.values())
    return table(
        ["status", "attempts", "fault (code)"], *([*row, text] for row, text in zip(rows, faults, strict=True))
    )


def outcomes() -> str:
    """Return what callers get at each moment: after a failure that may pass, and after a definite one."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for moment, name in MOMENTS.items():
        rows.setdefault(_outcome(moment), []).append(name)
    return table(["moment", "passing", "definite"], *(["; ".join(names), *row] for row, names in rows.items()))


def _outcome(moment: Moment) -> tuple[str, str]:
    passing, definite = (_merged(moment, is_passing=is_passing) for is_passing in (True, False))
    return passing, definite if definite != passing else "the same"


def _merged(moment: Moment, *, is_passing: bool) -> str:
    """Return what callers get from all such faults: texts that differ only in the status, as one."""
    kinds = [kind for kind in Kind if kind.is_passing is is_passing and kind is not Kind.HARMLESS]
    texts = dict.fromkeys(
        _told(expected(fault, moment).told)
        for kind in kinds
        for fault in FAULTS
        if fault.kind is kind and moment in moments_of(fault)
    )
    return " or ".join(texts)


def _told(told: Told) -> str:
    return str(told.status) if told.code else f"200, the {told.value} value, `{told.cache_status}`"


def written(text: str) -> str:
    """Return the page's text with the tables as they must be."""
    return with_tables(text, "fault_tables", {"matrix": matrix(), "outcomes": outcomes()})


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
