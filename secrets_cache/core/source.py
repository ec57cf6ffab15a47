"""Where secrets come from: what the cache needs of AWS."""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol, Self

from secrets_cache.core.secret import Ref, Secret
from secrets_cache.errors import SecretError, SecretTimeout

FetchResult = Secret | SecretError
FetchResults = AsyncGenerator[tuple[Ref, FetchResult], None]


class Source(Protocol):
    """Where secrets come from."""

    async def fetch(self, ref: Ref) -> Secret:
        """
        Return one secret within a bounded time.

        Raises:
            SecretError: There is no usable answer.
        """
        ...

    def fetch_many(self, refs: Sequence[Ref]) -> FetchResults:
        """Yield once for each of `refs`, as soon as its result is known, within a bounded time."""
        ...


class OpenableSource(Source, Protocol):
    """A source that is opened before its first use and closed after its last: an async context manager."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...

    def create_timeout(self, ref: Ref, budget_seconds: float, setting: str) -> SecretTimeout:
        """Return the error of a fetch of `ref` that took too long."""
        ...
