"""The commands ask AWS by the direct client, as in Lambda, whatever this machine sets for other programs."""

import pytest

from secrets_cache.aws.endpoints import BOTOCORE_VARIABLES
from tests.support.command_line import filled_upstream, write_config_file  # noqa: F401 - fixtures


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in BOTOCORE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/nonexistent")
