"""The commands ask AWS by the direct client, as in Lambda, whatever this machine sets for other programs."""

import pytest

from secrets_cache.aws.endpoints import BOTOCORE_VARIABLES


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in BOTOCORE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/nonexistent")
