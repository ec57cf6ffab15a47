"""The tables of docs/reliability.md, from `fault_matrix`: `python -m tests.support.fault_tables` writes them."""

from tests.support.fault_matrix import FAULTS, GROUPS, Fault, Kind, Moment, Told, expected, moments_of
from tests.support.pages import ROOT, table, with_tables

PAGE = ROOT / "docs" / "reliability.md"
MOMENTS = {
    Moment.PREFETCH: "prefetch",
    Moment.FIRST: "first request",
    Moment.AHEAD: "refresh ahead",
    Moment.EXPIRED: "expired",
    Moment.FORCED: "forced refresh",
    Moment.BATCH: "batch",
    Moment.BATCH_ALONE: "batch alone",
}
SHORT = {"hit": "old", "hit; detail=stale": "stale"}


def matrix() -> str:
    """Return every fault at every moment: what the caller gets, and how many calls arrive."""
    head = ["fault", "code", *MOMENTS.values(), "takes"]
    rows = []
    for group, faults in GROUPS.items():
        rows.append([f"**{group}**", *[""] * (len(head) - 1)])
        for fault in faults:
            code = f"`{fault.code}`" if fault.code else ""
            cells = [_cell(fault, moment) if moment in moments_of(fault) else "" for moment in MOMENTS]
            rows.append([fault.what, code, *cells, fault.speed.value])
    return table(head, *rows)


def _cell(fault: Fault, moment: Moment) -> str:
    outcome = expected(fault, moment)
    told, (batch, single) = outcome.told, outcome.calls
    word = str(told.status) if told.code else "new" if told.value == "new" else SHORT[told.cache_status or ""]
    is_batch = moment in {Moment.BATCH, Moment.BATCH_ALONE}
    return f"{word}, {batch} + {single}" if is_batch else f"{word}, {single}"


def outcomes() -> str:
    """Return what comes of a failure at each moment, in full: of one that may pass, and of a definite one."""
    head = ["moment", "passing", "definite", "logged", "the next caller", "once it is over"]
    return table(head, *(_outcome(moment) for moment in MOMENTS))


def _outcome(moment: Moment) -> list[str]:
    passing, definite = (_merged(moment, is_passing=is_passing) for is_passing in (True, False))
    levels = [_levels(moment, is_passing=is_passing) for is_passing in (True, False)]
    is_one = levels[0] == levels[1]
    outcome = expected(next(fault for fault in FAULTS if fault.kind is Kind.REFUSED), moment)
    again = "the same, no call" if outcome.again == outcome.told else f"{_told(outcome.again)}, no call"
    calls = "no call" if outcome.recovered_calls == 0 else "one call"
    return [
        MOMENTS[moment],
        passing,
        definite if definite != passing else "the same",
        levels[0] if is_one else f"{levels[0]}; definite: {levels[1]}",
        again,
        f"{_told(outcome.recovered)}, {calls}",
    ]


def _merged(moment: Moment, *, is_passing: bool) -> str:
    """Return what callers get from all such faults: texts that differ only in status and code, as one."""
    kinds = [kind for kind in Kind if kind.is_passing is is_passing and kind is not Kind.HARMLESS]
    texts = dict.fromkeys(
        _told(expected(fault, moment).told)
        for kind in kinds
        for fault in FAULTS
        if fault.kind is kind and moment in moments_of(fault)
    )
    return ", or ".join(texts)


def _told(told: Told) -> str:
    if told.code:
        return f"{told.status} `{told.code}`" + (" with `Retry-After`" if told.may_return else "")
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
