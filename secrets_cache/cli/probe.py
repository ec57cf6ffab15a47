"""
Trying everything, for `check --fetch`: by the very cache, sources and rules that the extension and the wrapper use.

Rules
-----
1. A value is dropped as soon as the names of its variables are known.
2. What fails is told, and stops nothing else.
"""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from secrets_cache.app import cache_of, source_of
from secrets_cache.cli.facts import Facts
from secrets_cache.config import Config
from secrets_cache.core.cache import Source
from secrets_cache.core.clock import Clock, Instant, elapsed
from secrets_cache.core.results import EntryReport
from secrets_cache.core.secret import Ref, Secret
from secrets_cache.errors import SecretError, VariablesFailed
from secrets_cache.system.clock import SystemClock
from secrets_cache.variables import assignments
from secrets_cache.variables.resolve import why
from secrets_cache.variables.rules import Rule, Wanted
from secrets_cache.variables.sources import SecretReader

Deliver = Callable[[Ref, Secret | SecretError], None]
# Called whenever one more has been tried: how many have, and how many there are.
Told = Callable[[int, int], None]


class Watched:
    """
    A source that says how long each fetch took, and whenever one has ended.

    Args:
        source: What fetches.
        clock: What time it is.
        ended: Called after each.
    """

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
            self._note(ref, sent)

    async def fetch_many(self, refs: Sequence[Ref], deliver: Deliver) -> None:
        """Fetch several; each takes until it is delivered."""
        sent = self._clock.now()

        def delivered(ref: Ref, outcome: Secret | SecretError) -> None:
            self._note(ref, sent)
            deliver(ref, outcome)

        await self._source.fetch_many(refs, delivered)

    def _note(self, ref: Ref, sent: Instant) -> None:
        self.took_ms[ref] = round(elapsed(sent, self._clock.now()).seconds * 1000)
        self._ended()


class _Counter:
    """Counts what has been tried."""

    def __init__(self, total: int, told: Told) -> None:
        self._total = total
        self._told = told
        self._done = 0
        told(0, total)

    def step(self) -> None:
        self._done += 1
        self._told(self._done, self._total)


async def tried(
    config: Config, rules: Sequence[Rule], present: Mapping[str, str], told: Told
) -> tuple[list[Facts], list[Facts]]:
    """
    Return what is to be added to the facts of each listed secret, and of each rule, in their order.

    Args:
        config: What is listed.
        rules: Which variables are wanted.
        present: The variables that there are already.
        told: Told of the progress.
    """
    clock = SystemClock()
    counter = _Counter(len(config.listed) + len({rule.wanted for rule in rules}), told)
    async with source_of(config, os.environ, clock) as source:
        watched = Watched(source, clock, counter.step)
        cache = cache_of(config, watched, clock)
        try:
            await cache.prefetch()
            reports = {report.name: report for report in cache.report()}
            listed = [_of_report(reports[item.name], watched.took_ms.get(item.ref)) for item in config.listed]
            async with SecretReader(
                cache=cache,
                listed=config.listed,
                environ=os.environ,
                budget_seconds=config.fetch_timeout,
                clock=clock,
            ) as sources:
                return listed, await _variables(rules, present, sources, counter)
        finally:
            await cache.aclose()


def _of_report(report: EntryReport, took_ms: int | None) -> Facts:
    return {
        "state": report.state.value,
        "version_id": report.version_id,
        "took_ms": took_ms,
        "code": report.error,
        "reason": report.reason,
    }


async def _variables(
    rules: Sequence[Rule], present: Mapping[str, str], sources: SecretReader, counter: _Counter
) -> list[Facts]:
    names = {os.fsencode(name) for name in present}
    owners: dict[bytes, int] = {}
    unset: set[bytes] = set()
    found: list[Facts] = []
    seen: set[Wanted] = set()
    for rule in rules:
        sources.start(rule.wanted)
    for number, rule in enumerate(rules):
        facts: Facts = {"state": "fetched", "reason": None, "refused": []}
        try:
            value = await sources.value(rule.wanted)
            with _Refusals() as refusals:
                assigned = assignments.assigned(rule, value, {*names, *owners})
            facts["refused"] = refusals.found
            owners.update(dict.fromkeys(assigned, number))
            unset = (unset - assigned.keys()) | {name for name, item in assigned.items() if item is None}
        except VariablesFailed as error:
            facts.update(state="failed", reason=error.reason)
        except SecretError as error:
            facts.update(state="failed", reason=why(rule, error))
        found.append(facts)
        if rule.wanted not in seen:
            seen.add(rule.wanted)
            counter.step()
    for number, facts in enumerate(found):
        mine = [name for name, owner in owners.items() if owner == number]
        if facts["state"] == "fetched":
            facts["variables"] = [os.fsdecode(name) for name in mine if name not in unset]
        facts["unset"] = [os.fsdecode(name) for name in mine if name in unset]
    return found


class _Refusals(logging.Handler):
    """A context in which it is noted which variables are refused, and why. The rules say so in the log only."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []

    def __enter__(self) -> Self:
        assignments.logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        assignments.logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Note one."""
        if isinstance(record.args, Mapping):
            self.found.append({"name": str(record.args["name"]), "reason": str(record.args["reason"])})
