"""The tables of docs/reliability.md, from `fault_matrix`: `python -m tests.support.fault_tables --write`."""

import argparse
from pathlib import Path

from tests.support.fault_matrix import (
    FAULTS,
    GROUPS,
    Fault,
    Kind,
    Moment,
    Told,
    expected,
    moments_of,
)

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "reliability.md"
MARKS = ("<!-- by tests.support.fault_tables: {} -->\n", "<!-- end -->\n")
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


def table(*rows: list[str]) -> str:
    """Return a table in Markdown, the first row its head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "| " + " | ".join("---" for _ in rows[0]) + " |", *lines[1:], ""])


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


TABLES = {"matrix": matrix, "outcomes": outcomes}


def written(page: str) -> str:
    """Return the page with the tables as they must be."""
    for name, render in TABLES.items():
        before, mark, rest = page.partition(MARKS[0].format(name))
        _, end, after = rest.partition(MARKS[1])
        if not (mark and end):
            message = f"the page has no place for {name}"
            raise ValueError(message)
        page = f"{before}{mark}\n{render()}\n{end}{after}"
    return page


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put them there")
    if parser.parse_args().write:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
