"""A cache for each test of the core."""

import pytest

from tests.support.caches import Setup
from tests.support.fakes import FakeClock, FakeSource


@pytest.fixture(name="setup")
async def _setup(source: FakeSource, clock: FakeClock) -> Setup:
    return Setup(source, clock)
