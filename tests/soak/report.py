"""What a soak has seen, as a table."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from bench.table import align
from tests.soak.environment import Environment

if TYPE_CHECKING:
    from tests.soak.values import Staleness


class Report:
    """
    What was seen.

    Args:
        seed: What it may be run again with.
        seconds: For how long there was load.
        environments: Those that ran, ended.
    """

    def __init__(self, seed: int, seconds: float, environments: Sequence[Environment]) -> None:
        self._seed = seed
        self._seconds = seconds
        self._environments = environments

    @property
    def violations(self) -> list[str]:
        """Everything that the contract does not allow, with what led to it."""
        return [text for each in self._environments for text in each.violations]

    def total(self, label: str = "", status: int = 0) -> int:
        """Return how many answers there were, of one kind of request and one status where given."""
        return sum(
            number
            for each in self._environments
            for (kind, code, _), number in each.counts.items()
            if label in {"", kind} and status in {0, code}
        )

    @property
    def episodes(self) -> Counter[str]:
        """How many episodes there were of each kind of fault."""
        return sum((each.troubles.episodes for each in self._environments), Counter())

    def __str__(self) -> str:
        names = [each.policy.name for each in self._environments]
        parts = [
            f"Soak of {self._seconds:g} s, SEED={self._seed}",
            "",
            *_table(["", *names, "all"], self._rows()),
            "",
            *_table(["served", "policy", "answers", "most stale s", "bound s", "ttl s"], self._staleness()),
            "",
            *self.violations,
            f"violations: {sum(each.tally['violations'] for each in self._environments)}",
        ]
        return "\n".join(parts)

    def _rows(self) -> Iterable[list[object]]:
        environments = self._environments
        labels = sorted({(label, status) for each in environments for label, status, _ in each.counts})
        for label, status in labels:
            yield _sums(f"{label}: {status}", [_count(each, label, status) for each in environments])
        marks = sorted({mark for each in environments for *_, mark in each.counts if mark})
        for mark in marks:
            yield _sums(mark, [sum(n for (*_, m), n in each.counts.items() if m == mark) for each in environments])
        yield _sums("requests", [sum(each.counts.values()) for each in environments])
        yield _sums("versions", [each.history.rotations() for each in environments])
        yield _sums("upstream calls", [sum(map(len, each.history.asked.values())) for each in environments])
        for kind in sorted(self.episodes):
            yield _sums(f"episodes of {kind}", [each.troubles.episodes[kind] for each in environments])
        for key in sorted({key for each in environments for key in each.tally}):
            yield _sums(key, [each.tally[key] for each in environments])
        yield _sums("silent for more than 0.3 s", [len(each.history.beats.gaps) for each in environments])
        yield _sums("upstream kept all waiting", [len(each.history.blocked) for each in environments])
        yield ["most late s", *(f"{each.oracle.late_seconds:.2f}" for each in environments), ""]
        for name in ("megabytes", "peak_megabytes", "descriptors", "threads", "tasks", "entries"):
            values = [[getattr(sample, name) for sample in each.samples] for each in environments]
            yield [f"{name} after warm-up, most, end", *(f"{v[0]} {max(v)} {v[-1]}" for v in values), ""]

    def _staleness(self) -> Iterable[list[object]]:
        """Of each way of serving, what came nearest to its bound."""
        for each in self._environments:
            ways: dict[str, list[tuple[float, Staleness]]] = defaultdict(list)
            for (ttl, way), seen in each.oracle.staleness.items():
                ways[way].append((ttl, seen))
            for way, entries in sorted(ways.items()):
                ttl, worst = max(entries, key=lambda entry: entry[1].seconds / entry[1].bound)
                answers = sum(seen.answers for _, seen in entries)
                yield [way, each.policy.name, answers, f"{worst.seconds:.2f}", f"{worst.bound:.2f}", f"{ttl:g}"]


def _count(environment: Environment, label: str, status: int) -> int:
    return sum(n for (kind, code, _), n in environment.counts.items() if (kind, code) == (label, status))


def _sums(label: str, numbers: Sequence[int]) -> list[object]:
    return [label, *numbers, sum(numbers)]


def _table(heading: list[str], rows: Iterable[list[object]]) -> list[str]:
    return align([heading, *([str(cell) for cell in row] for row in rows)], range(1, len(heading)))
