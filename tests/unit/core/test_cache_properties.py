"""
The cache against a model, over time that ticks, freezes, jumps and steps back.

The model knows no tasks, no sharing and no names: it says in a few lines what a caller must get, how many calls AWS
must see, and what is remembered afterwards.
"""

import asyncio
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from secrets_cache.core.cache import Cache
from secrets_cache.core.freshness import FreshnessPolicy
from secrets_cache.core.registry import ListedEntry
from secrets_cache.core.results import CacheResult, CacheStatus
from secrets_cache.core.secret import Ref
from secrets_cache.errors import SecretError, SecretRefused, SecretUnavailable
from tests.conftest import EXAMPLES
from tests.support.fakes import FakeClock, FakeSource

PASSING = SecretUnavailable("db", code="connection-failed", cause="no connection")
DEFINITE = SecretRefused("db", code="AccessDeniedException")
TTL, AHEAD, WHILE_REVALIDATING, ON_ERROR = 100.0, 0.2, 30.0, 200.0
# With a chance of one half: three quarters of the window before the end, and no jitter on the back-off.
REFRESH_AFTER = TTL - TTL * AHEAD * 0.75
DURATIONS = st.sampled_from([0.0, 0.5, 1.0, 2.0, 30.0, 60.0, 84.0, 86.0, 99.0, 100.0, 131.0, 299.0, 301.0])


@dataclass
class Model:
    """What is remembered of one secret: the version, both clocks at its fetch; the failure and both clocks; ..."""

    version: int | None = None
    sent: tuple[float, float] = (0.0, 0.0)
    failure: SecretError | None = None
    failed: tuple[float, float] = (0.0, 0.0)
    failures: int = 0
    refused: bool = False
    forced: tuple[float, float] | None = None


class CacheMachine(RuleBasedStateMachine):
    """One listed secret, asked for in every way at every age."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = FakeClock()
        self.model = Model()
        self.error: SecretError | None = None

    def teardown(self) -> None:
        self.runner.run(self.cache.aclose())
        self.runner.close()

    @initialize(error=st.sampled_from([None, PASSING, DEFINITE]))
    def start(self, error: SecretError | None) -> None:
        """Prefetch, while AWS is well or not."""

        async def build() -> None:
            self.source = FakeSource()
            self.source.values["db"] = 1
            policy = FreshnessPolicy(
                ttl_seconds=TTL,
                refresh_ahead=AHEAD,
                stale_while_revalidate_seconds=WHILE_REVALIDATING,
                stale_if_error_seconds=ON_ERROR,
            )
            self.cache = Cache(
                listed=[ListedEntry(ref=Ref("db"), names=("db",), policy=policy)],
                allow=(),
                policy=policy,
                source=self.source,
                clock=self.clock,
                random=lambda: 0.5,
            )
            self.set_error(error)
            await self.cache.prefetch()

        self.runner.run(build())
        self.model_fetch()

    # What happens around the cache.
    # Few rules, so that callers come often: each rule is chosen as often as any other.

    @rule(pass_time=st.sampled_from(["tick", "freeze"]), seconds=DURATIONS)
    def wait(self, pass_time: str, seconds: float) -> None:
        """Time passes, or the environment is frozen, and the monotonic clock with it."""
        getattr(self.clock, pass_time)(seconds)

    @rule(seconds=st.sampled_from([-1000.0, -100.0, -1.0, 1.0, 50.0, 1000.0]))
    def step(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.clock.step_wall(seconds)

    @rule(error=st.sampled_from([None, PASSING, DEFINITE]))
    def set_error(self, error: SecretError | None) -> None:
        """AWS fails from now on, or is well again and has a new value."""
        self.error = error
        self.source.error = {} if error is None else {"": error}
        self.source.values["db"] += error is None

    @rule(error=st.sampled_from([PASSING, DEFINITE]), seconds=st.sampled_from([131.0, 299.0]))
    def outlast(self, error: SecretError, seconds: float) -> None:
        """AWS fails from now on, and what is held expires: the way to most of what may go wrong."""
        self.set_error(error)
        self.clock.tick(seconds)

    # What callers do, and what they must get.

    @rule(callers=st.integers(1, 3))
    def get(self, callers: int) -> None:
        """Some callers ask at the same time."""
        self.ask(callers, refresh=False)

    @rule(callers=st.integers(1, 3))
    def force(self, callers: int) -> None:
        """Some callers ask for a new value at the same time."""
        self.ask(callers, refresh=True)

    def ask(self, callers: int, *, refresh: bool) -> None:
        self.source.fetched.clear()

        async def ask() -> list[object]:
            asking = [self.cache.get("db", refresh=refresh) for _ in range(callers)]
            outcomes = await asyncio.gather(*asking, return_exceptions=True)
            await self.settle()
            return list(outcomes)

        first, *others = self.runner.run(ask())
        served, version, error, calls = self.expected(refresh=refresh)
        self.check(first, served, version, error)
        if refresh and calls and self.model.failure is None:
            # They come while the fetch is under way, whatever it was started for, and it is new enough for all of them.
            served, version = CacheStatus.MISS if served is CacheStatus.MISS else CacheStatus.FORCED, self.model.version
        elif refresh and calls:
            served, version, error = self.after_failure()
        for other in others:
            self.check(other, served, version, error)
        assert calls == len(self.source.fetched)

    def check(
        self, outcome: object, served: CacheStatus | None, version: int | None, error: SecretError | None
    ) -> None:
        if error is not None:
            assert error is outcome
        else:
            assert isinstance(outcome, CacheResult)
            assert (served, version) == (outcome.status, int(outcome.secret.version_id[8:]))

    @rule()
    def timer(self) -> None:
        """The timer looks for what is due."""
        self.source.fetched.clear()

        async def look() -> None:
            self.cache.refresh_due()
            await self.settle()

        due = self.in_backoff() is None and (self.model.failure is not None or self.age() >= REFRESH_AFTER)
        self.runner.run(look())
        if due:
            self.model_fetch()
        assert int(due) == len(self.source.fetched)

    @precondition(lambda self: self.model.version is not None)
    @invariant()
    def never_younger(self) -> None:
        """The age that is reported is never less than what has passed on either clock."""
        age = self.cache.report()[0].age
        assert age is not None
        assert age >= self.age() - 1e-6

    async def settle(self) -> None:
        """Let what runs in the background end: nothing here waits for anything."""
        for _ in range(10):
            await asyncio.sleep(0)

    # The model.

    def since(self, then: tuple[float, float]) -> tuple[float, bool]:
        wall, monotonic = self.clock.wall - then[0], self.clock.monotonic - then[1]
        return max(wall, monotonic, 0.0), wall < 0

    def age(self) -> float:
        if self.model.version is None:
            return float("inf")
        seconds, backwards = self.since(self.model.sent)
        return max(seconds, TTL) if backwards else seconds

    def in_backoff(self) -> SecretError | None:
        if self.model.failure is None:
            return None
        seconds, backwards = self.since(self.model.failed)
        is_over = backwards or seconds >= min(2.0 ** (self.model.failures - 1), 48.0)
        return None if is_over else self.model.failure

    def model_fetch(self) -> None:
        now = (self.clock.wall, self.clock.monotonic)
        if self.error is None:
            self.model.version, self.model.sent = self.source.values["db"], now
            self.model.failure, self.model.failures, self.model.refused = None, 0, False
        else:
            self.model.failure, self.model.failed = self.error, now
            self.model.failures += 1
            self.model.refused = self.model.refused or self.error is DEFINITE

    def expected(self, *, refresh: bool) -> tuple[CacheStatus | None, int | None, SecretError | None, int]:
        """Return how it is served, which version, or which error; and the number of calls. Moves the model on."""
        model, before = self.model, self.model.version
        failure = self.in_backoff()
        if refresh and failure is None and (model.forced is None or self.forced_long_ago()):
            if before is not None:
                model.forced = (self.clock.wall, self.clock.monotonic)
            self.model_fetch()
            if model.failure is None:
                return (CacheStatus.MISS if before is None else CacheStatus.FORCED), model.version, None, 1
            return (*self.after_failure(), 1)
        if failure is not None and (refresh or self.age() >= TTL):
            return (*self.after_failure(), 0)
        if self.age() < TTL:
            calls = int(failure is None and self.age() >= REFRESH_AFTER)
            served = CacheStatus.HIT, before, None, calls
            if calls:
                self.model_fetch()
            return served
        if self.age() < TTL + WHILE_REVALIDATING and not model.refused:
            self.model_fetch()
            return CacheStatus.STALE, before, None, 1
        self.model_fetch()
        if model.failure is None:
            return (CacheStatus.MISS if before is None else CacheStatus.EXPIRED), model.version, None, 1
        return (*self.after_failure(), 1)

    def forced_long_ago(self) -> bool:
        assert self.model.forced is not None
        seconds, backwards = self.since(self.model.forced)
        return backwards or seconds >= 1

    def after_failure(self) -> tuple[CacheStatus | None, int | None, SecretError | None]:
        if self.model.failure is PASSING and self.age() < (TTL if self.model.refused else TTL + ON_ERROR):
            return (CacheStatus.HIT if self.age() < TTL else CacheStatus.STALE), self.model.version, None
        return None, None, self.model.failure


CacheMachine.TestCase.settings = settings(max_examples=200 * EXAMPLES, stateful_step_count=30, deadline=None)
TestCacheAgainstModel = CacheMachine.TestCase
