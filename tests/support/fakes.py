"""Stand-ins for what the core is handed: a clock that can be moved, a source that can be scripted; and its question."""

import asyncio
from collections.abc import Sequence

from secrets_cache.core.clock import Instant
from secrets_cache.core.secret import Ref, Secret
from secrets_cache.core.source import FetchResults, Source
from secrets_cache.errors import SecretError, SecretNotFound
from tests.support.upstream import arn_of

CANARY = "CANARY-9f3c"


def secret(name: str = "db", value: str | bytes = CANARY, version: int = 1) -> Secret:
    """Return a secret; every value is a canary unless given."""
    return Secret(
        arn=arn_of(name),
        name=name,
        version_id=f"version-{version}",
        created_at=1766000000.0,
        value=value.encode() if isinstance(value, str) else value,
        is_text=isinstance(value, str),
    )


def with_fields(found: Secret, **changes: object) -> Secret:
    """Return a secret with some of its fields changed."""
    return Secret(**{name: getattr(found, name) for name in Secret.__slots__} | changes)


class FakeClock:
    """A clock that goes only when told to."""

    def __init__(self) -> None:
        self.wall = 1_800_000_000.0
        self.monotonic = 1_000.0

    def now(self) -> Instant:
        """Read both clocks."""
        return Instant(self.wall, self.monotonic)

    def tick(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        self.wall += seconds
        self.monotonic += seconds

    def freeze(self, seconds: float) -> None:
        """Let time pass as it does around a frozen process: the monotonic clock stands still."""
        self.wall += seconds

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock, forward or back."""
        self.wall += seconds


class FakeSource:
    """
    A source that answers from a table, and can be made to wait.

    Attributes:
        values: Version numbers by secret id.
        arns: The ARNs of secrets by secret id, where they are not those of the account of all others.
        error: Raised instead, by id; under "" for every id.
        fetched: The ids asked for one by one, in order.
        asked_together: The ids of each call of `fetch_many`.
        gate: While it is closed (a fresh Event), fetches wait.
    """

    def __init__(self) -> None:
        self.values: dict[str, int] = {}
        self.arns: dict[str, str] = {}
        self.error: dict[str, Exception] = {}
        self.fetched: list[Ref] = []
        self.asked_together: list[tuple[Ref, ...]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.crash_together: BaseException | None = None

    async def fetch(self, ref: Ref) -> Secret:
        """Return the secret as the table has it, once the gate is open."""
        self.fetched.append(ref)
        await self.gate.wait()
        return self._find(ref)

    async def fetch_many(self, refs: Sequence[Ref]) -> FetchResults:
        """Yield each as the table has it, once the gate is open."""
        self.asked_together.append(tuple(refs))
        await self.gate.wait()
        if self.crash_together is not None:
            raise self.crash_together
        for ref in refs:
            try:
                result: Secret | SecretError = self._find(ref)
            except SecretError as error:
                result = error
            yield ref, result

    def _find(self, ref: Ref) -> Secret:
        error = self.error.get(ref.secret_id) or self.error.get("")
        if error is not None:
            raise error
        if ref.secret_id not in self.values:
            raise SecretNotFound(ref.secret_id)
        number = self.values[ref.secret_id]
        name = ref.secret_id.partition(":secret:")[2].removesuffix("-AbCdEf") or ref.secret_id
        found = secret(name, f"{CANARY} {name} {number} {ref.version_id} {ref.version_stage}", number)
        return with_fields(found, arn=self.arns.get(ref.secret_id, found.arn))


async def fetch_all(source: Source, refs: Sequence[Ref]) -> dict[Ref, Secret | SecretError]:
    """Return what `fetch_many` yields, each once."""
    found: dict[Ref, Secret | SecretError] = {}
    async for ref, result in source.fetch_many(refs):
        assert ref not in found
        found[ref] = result
    return found
