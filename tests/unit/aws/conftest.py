"""Fixtures for the clients of AWS."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator

import boto3
import pytest

from secrets_cache.aws.choice import Clients
from secrets_cache.aws.client import KEEPALIVE_SECONDS, ServiceClient
from secrets_cache.aws.secretsmanager import SecretsManager
from secrets_cache.core.clock import Clock
from secrets_cache.system.clock import SystemClock
from tests.unit.aws.fakes import manager
from tools.emulator import moto_server


@contextlib.asynccontextmanager
async def secrets_client(
    clock: Clock | None = None, keepalive_seconds: float = KEEPALIVE_SECONDS
) -> AsyncIterator[ServiceClient]:
    """Give a client of Secrets Manager for the environment: the direct one, or aiobotocore's, as `fast_paths` says."""
    clock = clock or SystemClock()
    clients = Clients(os.environ, timeout_seconds=5, clock=clock, keepalive_seconds=keepalive_seconds)
    client = clients.create("secretsmanager")
    try:
        yield client
    finally:
        await client.aclose()
        # A transport that was aborted closes its socket in the loop's next turn.
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def secrets_manager() -> AsyncIterator[SecretsManager]:
    """Give the secrets of the environment, by the same client."""
    async with secrets_client() as client:
        yield manager(client)


@pytest.fixture(name="moto", scope="module")
def _moto() -> Iterator[str]:
    """Give the URL of moto's server, with nothing in it."""
    with moto_server() as url:
        yield url


@pytest.fixture(name="aws")
def _aws(moto: str, monkeypatch: pytest.MonkeyPatch):
    """Give boto3's client of moto's Secrets Manager, which the tested clients call as well."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", moto)
    return boto3.client("secretsmanager", region_name="eu-west-1")


@pytest.fixture(name="no_credentials")
def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave no credentials in the environment."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
