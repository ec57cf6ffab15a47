"""
What a run comes to, in figures, for the whole fleet. Pure.

Prices
------
Secrets Manager: https://aws.amazon.com/secrets-manager/pricing/
Parameter Store: https://aws.amazon.com/systems-manager/pricing/
"""

import math
from collections import Counter
from typing import NamedTuple

from bench.fleet.aws import Operation
from bench.fleet.scenarios import Design, Run, Scenario, Start
from secrets_cache.aws.parameterstore import BATCH_SIZE

USD_A_CALL = 0.05 / 10_000
USD_A_SECRET = 0.40
MONTH_SECONDS = 30 * 24 * 3600
# Of the ttl.
REFRESH_AHEAD = 0.1
# Of the ttl: before this nothing is fetched again.
FIRST_REFRESH = 1 - REFRESH_AHEAD


class Figures(NamedTuple):
    """
    Figures of one run. Rates are calls a second; a peak is that of the busiest second.

    Attributes:
        calls: All calls, throttled ones included.
        batches: How many of them were BatchGetSecretValue.
        throttled: How many calls were throttled.
        throttled_batches: How many of these were BatchGetSecretValue.
        peak_start: Until the first refresh can be due.
        peak_later: After that; where there is an outage, after its end.
        mean: Over all the time but the first ttl; None where a fleet that began together says nothing of the usual.
        throttled_later: How many calls were throttled after an outage, or after the start.
        failed: Invocations that failed for want of a secret.
        failed_percent: Their share.
        failing_until: When the last of them failed, in seconds from the beginning.
        age_p99: The age, in seconds, that 99 % of the values served did not exceed.
        oldest: The greatest age that was served.
        stale: Values served past their ttl.
        longest_wait: How long an invocation that then succeeded waited for its secrets, in seconds.
        calls_usd: What the calls cost in 30 days, at the mean rate; None without one.
        secrets_usd: What keeping the secrets costs in 30 days.
    """

    calls: int
    batches: int
    throttled: int
    throttled_batches: int
    peak_start: int
    peak_later: int
    mean: float | None
    throttled_later: int
    failed: int
    failed_percent: float
    failing_until: float
    age_p99: float
    oldest: float
    stale: int
    longest_wait: float
    calls_usd: float | None
    secrets_usd: float


def figures(run: Run) -> Figures:
    """Return a run's figures; those of a part are multiplied."""
    scenario, account, tally = run
    rates, throttled = timeline(run), _by_second(account.throttled)
    first_refresh = scenario.ttl * FIRST_REFRESH
    later = first_refresh if scenario.outage is None else scenario.outage.ends
    mean = _mean(scenario, rates)
    part = scenario.part
    batch = Operation.BATCH_GET_SECRET_VALUE
    return Figures(
        calls=sum(rates.values()),
        batches=part * sum(count for (operation, _), count in account.calls.items() if operation is batch),
        throttled=part * sum(throttled.values()),
        throttled_batches=part
        * sum(count for (operation, _), count in account.throttled.items() if operation is batch),
        peak_start=max((count for second, count in rates.items() if second < first_refresh), default=0),
        peak_later=max((count for second, count in rates.items() if second >= later), default=0),
        mean=mean,
        throttled_later=part * sum(count for second, count in throttled.items() if second >= later),
        failed=round(part * tally.failures),
        failed_percent=100 * tally.failures / tally.invocations,
        failing_until=tally.last_failure,
        age_p99=tally.age_at(0.99),
        oldest=tally.oldest,
        stale=round(part * tally.stale),
        longest_wait=tally.longest_wait,
        calls_usd=None if mean is None else mean * MONTH_SECONDS * _price(scenario),
        secrets_usd=0.0 if scenario.design.is_of_parameters else scenario.secrets * USD_A_SECRET,
    )


def _price(scenario: Scenario) -> float:
    """Return what a call costs: with higher throughput each parameter in its answer, with the default one nothing."""
    if scenario.design is Design.PARAMETERS_HIGHER:
        return USD_A_CALL * scenario.secrets / math.ceil(scenario.secrets / BATCH_SIZE)
    return 0.0 if scenario.design.is_of_parameters else USD_A_CALL


def _mean(scenario: Scenario, rates: "Counter[int]") -> float | None:
    if scenario.start is not Start.STEADY or scenario.outage is not None:
        return None
    return sum(count for second, count in rates.items() if second >= scenario.ttl) / (scenario.seconds - scenario.ttl)


def timeline(run: Run) -> "Counter[int]":
    """Return how many calls the whole fleet made in each second."""
    return Counter({second: run.scenario.part * count for second, count in _by_second(run.account.calls).items()})


def _by_second(calls: "Counter[tuple[Operation, int]]") -> "Counter[int]":
    seconds: Counter[int] = Counter()
    for (_, second), count in calls.items():
        seconds[second] += count
    return seconds


def on_paper(scenario: Scenario) -> float:
    """
    Return the mean rate by arithmetic, in calls a second.

    A secret is fetched again when a share of its ttl is left that lies evenly between one half of `refresh_ahead` and
    all of it, and then by the next invocation. Parameters come ten a call.
    """
    ahead = 0.0 if scenario.design.is_plain else REFRESH_AHEAD * 0.75
    is_together = scenario.design.is_of_parameters and not scenario.design.is_plain
    calls = math.ceil(scenario.secrets / BATCH_SIZE) if is_together else scenario.secrets
    return scenario.environments * calls / (scenario.ttl * (1 - ahead) + 1 / scenario.per_second)
