"""The client that imports aiobotocore when a call first needs it."""

import sys

import pytest

from secrets_cache.aws.client import ClientSettings
from secrets_cache.aws.lazy_client import LazyClient
from secrets_cache.core.retry import RetryableError
from secrets_cache.system.clock import SystemClock
from tests.support.fakes import CANARY


def client() -> LazyClient:
    """Return a client of Secrets Manager."""
    return LazyClient(ClientSettings("secretsmanager", "eu-west-1", 5, SystemClock()))


async def test_it_makes_calls_once_it_is_imported(upstream):
    """Whether that was prepared or not."""
    upstream.put("db", CANARY)
    for is_prepared in (True, False):
        lazy = client()
        if is_prepared:
            await lazy.import_library()
        assert CANARY == (await lazy.call("get_secret_value", "db", {"SecretId": "db"}))["SecretString"]
        await lazy.aclose()


async def test_an_import_that_fails_is_the_failure_of_the_call(monkeypatch):
    """Preparing raises nothing; of the exception only the type shows, and the next call tries again."""
    monkeypatch.setitem(sys.modules, "secrets_cache.aws.aiobotocore", None)
    lazy = client()
    await lazy.import_library()
    for _ in range(2):
        with pytest.raises(RetryableError) as caught:
            await lazy.call("get_secret_value", "db", {"SecretId": "db"})
        assert ("internal-error", "aiobotocore could not be imported (ModuleNotFoundError)") == (
            caught.value.error.code,
            caught.value.error.cause,
        )
    await lazy.aclose()
