"""Fixtures of the server: each test that uses them runs with the fast path, and again through aiohttp alone."""

from collections.abc import AsyncIterator

import pytest

from tests.support.fakes import FakeClock
from tests.support.http_server import Setup


@pytest.fixture(name="setup", params=[True, False], ids=["fast path", "aiohttp"])
async def _setup(clock: FakeClock, request: pytest.FixtureRequest) -> Setup:
    setup = Setup(clock)
    setup.uses_fast_path = request.param
    return setup


@pytest.fixture(name="running")
async def _running(setup: Setup) -> AsyncIterator[Setup]:
    async with setup.running():
        yield setup
