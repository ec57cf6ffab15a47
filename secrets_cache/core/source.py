"""Where secrets come from: what the cache needs of AWS."""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from secrets_cache.core.secret import Ref, Secret
from secrets_cache.errors import SecretError

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
