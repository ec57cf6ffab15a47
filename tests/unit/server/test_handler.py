"""What both handlers share: an unexpected error shows nothing to the caller."""

from secrets_cache.core.cache import Cache
from secrets_cache.core.results import CacheResult
from tests.support.fakes import CANARY


class BrokenCache(Cache):
    """A cache that fails unexpectedly."""

    async def get(self, *_: object, **__: object) -> CacheResult:
        raise ZeroDivisionError(CANARY)


async def test_an_error_shows_nothing_of_its_cause(setup, caplog):
    """500 for the caller, one line with type and place for the log."""
    setup.cache_type = BrokenCache
    async with setup.running() as running:
        details = await running.problem("/cache/json")

    assert (500, "internal-error", "an unexpected error occurred; look for internal.error in the log") == (
        details["status"],
        details["code"],
        details["detail"],
    )
    record = next(record for record in caplog.records if record.msg == "internal.error")
    assert ("request", "ZeroDivisionError") == (record.args["where"], record.args["error"])
