"""
Fetches everything, for `check --fetch`, through the same cache, sources and rules as the extension and the wrapper.

Rules
-----
1. A value is dropped as soon as the names of its variables are known.
2. A failure is reported, and stops nothing else.
"""

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing

from secrets_cache.app import build_cache, build_source
from secrets_cache.aws.advice import is_in_lambda
from secrets_cache.cli.check_report import Row
from secrets_cache.config import Config
from secrets_cache.core.clock import Clock, Instant, elapsed
from secrets_cache.core.results import EntryReport
from secrets_cache.core.secret import Ref, Secret
from secrets_cache.core.source import FetchResults, Source
from secrets_cache.errors import SecretError, VariablesFailed
from secrets_cache.system.clock import SystemClock
from secrets_cache.variables.assignments import assign
from secrets_cache.variables.reader import SecretReader
from secrets_cache.variables.resolve import explain
from secrets_cache.variables.rules import Rule, Wanted, read_limit

# Called with the number of fetches that have ended, and the number of all.
Progress = Callable[[int, int], None]


class TimedSource:
    """A source that measures how long each fetch of `source` takes; `ended` is called after each."""

    def __init__(self, source: Source, clock: Clock, ended: Callable[[], None]) -> None:
        self._source = source
        self._clock = clock
        self._ended = ended
        self.took_ms: dict[Ref, int] = {}

    async def fetch(self, ref: Ref) -> Secret:
        """Fetch one."""
        sent = self._clock.now()
        try:
            return await self._source.fetch(ref)
        finally:
            self._record(ref, sent)

    async def fetch_many(self, refs: Sequence[Ref]) -> FetchResults:
        """Fetch several; the time of each runs until its result is known."""
        sent = self._clock.now()
        async with aclosing(self._source.fetch_many(refs)) as results:
            async for ref, result in results:
                self._record(ref, sent)
                yield ref, result

    def _record(self, ref: Ref, sent: Instant) -> None:
        self.took_ms[ref] = round(elapsed(sent, self._clock.now()).seconds * 1000)
        self._ended()


async def probe(
    config: Config, rules: Sequence[Rule], present: Mapping[str, str], progress: Progress
) -> tuple[list[Row], list[Row]]:
    """
    Fetch everything; return what to add to the row of each listed item and of each rule, in their order.

    Args:
        config: The listed items.
        rules: The variables to set.
        present: The variables that exist already.
        progress: Called after each fetch.
    """
    clock = SystemClock()
    total = len(config.listed) + len({rule.wanted for rule in rules})
    numbers = itertools.count()

    def count() -> None:
        progress(next(numbers), total)

    count()
    async with build_source(config, os.environ, clock) as source:
        timed = TimedSource(source, clock, count)
        async with aclosing(build_cache(config, timed, clock)) as cache:
            await cache.prefetch()
            reports = {report.name: report for report in cache.report()}
            listed = [_describe_report(reports[item.name], timed.took_ms.get(item.ref)) for item in config.listed]
            async with SecretReader(
                cache=cache,
                listed=config.listed,
                environ=os.environ,
                budget_seconds=config.fetch_timeout,
                limit_seconds=read_limit(present),
                clock=clock,
            ) as reader:
                return listed, await _probe_variables(rules, present, reader, count)


def _describe_report(report: EntryReport, took_ms: int | None) -> Row:
    return {
        "state": report.state.value,
        "version_id": report.version_id,
        "took_ms": took_ms,
        "code": report.error,
        "reason": report.reason,
    }


async def _probe_variables(
    rules: Sequence[Rule], present: Mapping[str, str], reader: SecretReader, count: Callable[[], None]
) -> list[Row]:
    names = {os.fsencode(name) for name in present}
    owners: dict[bytes, int] = {}
    unset: set[bytes] = set()
    found: list[Row] = []
    seen: set[Wanted] = set()
    for rule in rules:
        reader.start(rule.wanted)
    for number, rule in enumerate(rules):
        row: Row = {"state": "fetched", "reason": None, "refused": []}
        try:
            value = await reader.read(rule.wanted)
            assigned, refused = assign(rule, value, {*names, *owners})
            row["refused"] = [{"name": one.name, "reason": one.reason} for one in refused]
            owners.update(dict.fromkeys(assigned, number))
            unset = (unset - assigned.keys()) | {name for name, item in assigned.items() if item is None}
        except VariablesFailed as error:
            row.update(state="failed", reason=error.reason)
        except SecretError as error:
            row.update(state="failed", reason=explain(rule, error, in_lambda=is_in_lambda(os.environ)))
        found.append(row)
        if rule.wanted not in seen:
            seen.add(rule.wanted)
            count()
    for number, row in enumerate(found):
        mine = [name for name, owner in owners.items() if owner == number]
        if row["state"] == "fetched":
            row["variables"] = [os.fsdecode(name) for name in mine if name not in unset]
        row["unset"] = [os.fsdecode(name) for name in mine if name in unset]
    return found
