"""
What is simulated: how many environments, how they start, how often they are invoked, and by which design.

A fleet may be simulated by a part of itself, with that part of the quotas: environments meet nowhere but there. Figures
are then multiplied. What that does to chance is said in docs/scale.md.
"""

import asyncio
import gc
import random
from enum import Enum
from typing import NamedTuple

from bench.fleet.aws import Account, Operation, Outage, SimulatedCalls
from bench.fleet.environments import Environment, Plain, WithCache
from bench.fleet.simulated import SimulatedClock, simulate
from bench.fleet.tally import Tally
from secrets_cache.app import build_cache
from secrets_cache.aws.parameterstore import ParameterStore
from secrets_cache.aws.secretsmanager import BATCH_THRESHOLD, SecretsManager
from secrets_cache.config import Config
from secrets_cache.config.model import ListedSecret
from secrets_cache.core.cache import Cache
from secrets_cache.core.secret import Ref
from secrets_cache.core.source import Source


class Design(Enum):
    """How an environment comes by its secrets."""

    DEFAULTS = "our defaults"
    NO_JITTER = "without jitter"
    NO_BATCH = "batch: never"
    PLAIN = "plain"
    PARAMETERS = "parameters"
    PATH = "parameters, one path"
    PLAIN_PARAMETERS = "parameters, plain"
    PARAMETERS_HIGHER = "parameters, higher throughput"

    @property
    def is_plain(self) -> bool:
        """Whether there is no extension."""
        return self in {Design.PLAIN, Design.PLAIN_PARAMETERS}

    @property
    def is_of_parameters(self) -> bool:
        """Whether Parameter Store is asked instead of Secrets Manager."""
        return self in {Design.PARAMETERS, Design.PATH, Design.PLAIN_PARAMETERS, Design.PARAMETERS_HIGHER}


class Start(Enum):
    """When environments start: within ten seconds, as one function scales out, or evenly over one ttl."""

    TOGETHER = "together"
    SCALE_OUT = "scale out"
    STEADY = "steady"


# https://docs.aws.amazon.com/lambda/latest/dg/scaling-behavior.html: 1,000 environments every 10 s, for each function.
SCALING_PER_SECOND = 100.0
# So 50,000 of them are 50 functions or more.
TOGETHER_SECONDS = 10.0


class Scenario(NamedTuple):
    """
    One run.

    Attributes:
        environments: How many the fleet has.
        part: One in so many of them is simulated, with that part of the quotas; 1 for all.
        per_second: Invocations a second of one environment.
        seconds: How long it is watched.
        outage: When AWS answers nothing but errors; None for never.
    """

    environments: int
    secrets: int
    design: Design
    start: Start
    ttl: float = 600.0
    part: int = 1
    per_second: float = 1.0
    seconds: float = 1800.0
    outage: Outage | None = None
    seed: int = 1


class Run(NamedTuple):
    """What came of a scenario."""

    scenario: Scenario
    account: Account
    tally: Tally


def run(scenario: Scenario) -> Run:
    """Simulate a scenario."""

    async def main() -> Run:
        fleet = _Fleet(scenario)
        environments = fleet.environments()
        # The environments last as long as the run: looking through them again and again would take half of the time.
        gc.collect()
        gc.freeze()
        lives = [asyncio.create_task(environment.live(start)) for environment, start in environments]
        await asyncio.sleep(scenario.seconds)
        for life in lives:
            if life.done():
                life.result()
        return Run(scenario, fleet.account, fleet.tally)

    try:
        return simulate(main)
    finally:
        gc.unfreeze()


class _Fleet:
    """The environments of a scenario, and the account they share."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._random = random.Random(scenario.seed)
        self._clock = SimulatedClock(asyncio.get_running_loop())
        self._below = [f"/fleet/{number}" for number in range(scenario.secrets)]
        # Of a path the function asks for the whole.
        self._names = ["/fleet/"] if scenario.design is Design.PATH else self._below
        is_parameter = scenario.design.is_of_parameters
        items = tuple(ListedSecret(Ref(name, is_parameter=is_parameter), name) for name in self._names)
        usual = Config(ttl=scenario.ttl)
        self._config = usual._replace(parameters=items) if is_parameter else usual._replace(secrets=items)
        self.tally = Tally(scenario.ttl)
        self.account = Account(self._random, share=1 / scenario.part, outage=scenario.outage)

    def environments(self) -> list[tuple[Environment, float]]:
        """Return each environment and when it starts."""
        count = self._scenario.environments // self._scenario.part
        return [(self._environment(), self._start(place)) for place in range(count)]

    def _start(self, place: int) -> float:
        match self._scenario.start:
            case Start.TOGETHER:
                return self._random.uniform(0, TOGETHER_SECONDS)
            case Start.SCALE_OUT:
                return place * self._scenario.part / SCALING_PER_SECOND
            case Start.STEADY:
                return self._random.uniform(0, self._scenario.ttl)

    def _environment(self) -> Environment:
        scenario, chance = self._scenario, self._random
        if scenario.design.is_plain:
            is_parameter = scenario.design.is_of_parameters
            operation = Operation.ANY_OF_PARAMETERS if is_parameter else Operation.GET_SECRET_VALUE
            return Plain(self.account, operation, self._names, scenario.ttl, scenario.per_second, chance, self.tally)
        return WithCache(self._cache(), self._names, scenario.per_second, chance, self.tally)

    def _cache(self) -> Cache:
        """Return a cache as the product makes it, but for the source, the clock and chance."""
        return build_cache(self._config, self._source(), self._clock, self._chance)

    def _chance(self) -> float:
        return 0.5 if self._scenario.design is Design.NO_JITTER else self._random.random()

    def _source(self) -> Source:
        design = self._scenario.design
        calls = SimulatedCalls(self.account, below=self._below, is_higher=design is Design.PARAMETERS_HIGHER)
        budget = self._config.fetch_timeout
        if design.is_of_parameters:
            return ParameterStore(budget_seconds=budget, client=calls, clock=self._clock, random=self._chance)
        return SecretsManager(
            budget_seconds=budget,
            batch_threshold=None if design is Design.NO_BATCH else BATCH_THRESHOLD,
            client=calls,
            clock=self._clock,
            random=self._chance,
        )
