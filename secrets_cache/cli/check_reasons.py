"""What `check --fetch` says of failures: how many, and each reason once, with the names it applies to. Pure."""

from collections.abc import Iterator, Sequence

from secrets_cache.cli.check_report import Row

FAILED = frozenset({"failed", "pending"})


def count_failures(listed: Sequence[Row], variables: Sequence[Row]) -> list[str]:
    """Return how many secrets and parameters could not be fetched, and how many that could be set no variable."""
    keys = {(row["kind"], row["name"]): _make_key(row) for row in listed}
    rows = [(_make_key(row), row) for row in listed]
    rows += [(keys.get((row["kind"], row["id"]), _make_key(row)), row) for row in variables]
    every, fetched = {key for key, _ in rows}, {key for key, row in rows if row["state"] not in FAILED}
    missing = len(every - fetched)
    useless = sum(key in fetched and row["state"] in FAILED for key, row in rows)
    return [
        *([f"{missing} of {len(every)} could not be fetched"] if missing else []),
        *([f"{useless} of {len(variables)} sources of variables failed"] if useless else []),
    ]


def _make_key(row: Row) -> tuple[object, ...]:
    """Return what is the same for all rows that mean one secret or parameter."""
    return tuple(row.get(field) for field in ("kind", "id", "version", "region", "role_arn"))


def list_reasons(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the reason of each failure: as it is for one row; for several, with their names and the fullest advice."""
    groups: list[tuple[str, list[Row]]] = []
    for row in rows:
        if not row.get("reason"):
            continue
        reason = _generalize(row)
        for number, (other, members) in enumerate(groups):
            if _is_same(reason, other):
                groups[number] = max(reason, other, key=len), [*members, row]
                break
        else:
            groups.append((reason, [row]))
    for reason, members in groups:
        names = ", ".join(dict.fromkeys(map(_name, members)))
        yield f"{names}: {reason}" if len(members) > 1 else members[0]["reason"]


def _generalize(row: Row) -> str:
    """Return a reason without the name of its secret or parameter."""
    what = "secret" if row["kind"] == "secret" else "parameter"
    text = str(row["reason"])
    if "source" in row:
        origin = f"env: {row['id']}" if row["source"] == "env" else _name(row)
        text = text.removeprefix(f"{'SECRET_ARN' if row['source'] == 'SECRET_ARN' else origin}: ")
    return text.replace(f"{what} {row['id']!r}", f"this {what}").removeprefix(f"this {what} is unavailable: ")


def _is_same(one: str, other: str) -> bool:
    """Return whether two reasons differ by no more than advice at the end of one of them."""
    shorter, longer = sorted((one, other), key=len)
    return longer == shorter or longer.startswith(f"{shorter}; ")


def _name(row: Row) -> str:
    """Return the name of a listed item, the variable of a reference, or the id behind other variables."""
    if row.get("source") == "reference":
        # One that is set to null still has its name.
        return str([*row["variables"], *row.get("unset", ())][0])
    return str(row.get("name", row["id"]))
