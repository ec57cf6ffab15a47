"""
The composition root: builds the graph from a configuration, starts it, stops it in the reverse order.

    configuration -> source -> cache -> server
                       prefetch, then refreshes when they are due

Rules
-----
1. Every task and every connection belongs to the one exit stack here.
2. Nothing is fetched under SnapStart before the first request: the snapshot must hold no secret.
"""

import asyncio
import contextlib
import logging
import random
import resource
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from secrets_cache.cache import Cache
from secrets_cache.clock import Clock, SystemClock
from secrets_cache.config import Batch, Config
from secrets_cache.entries import Listed
from secrets_cache.freshness import Policy
from secrets_cache.logs import describe
from secrets_cache.secretsmanager import BATCH_ABOVE, SecretsManager
from secrets_cache.server import Server

logger = logging.getLogger(__name__)


@asynccontextmanager
async def running(
    config: Config, *, sockets: Sequence[socket.socket], environ: Mapping[str, str], clock: Clock | None = None
) -> AsyncIterator[Cache]:
    """
    Serve on `sockets` what `config` lists, while the context lasts; give the cache.

    The prefetch has begun, but not ended: `Cache.prefetch` waits for it.
    """
    # Memory holds secrets, and a core dump is memory on a disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        source = await stack.enter_async_context(
            SecretsManager(
                budget_seconds=config.fetch_timeout,
                batch_above=_batch_above(config.batch),
                region=environ.get("AWS_REGION") or None,
                clock=clock,
            )
        )
        cache = Cache(
            listed=listed_by(config),
            allow=config.allow,
            policy=_policy(config, None),
            source=source,
            clock=clock,
            random=random.random,
        )
        stack.push_async_callback(cache.aclose)
        if not fetches_late(environ):
            cache.start_prefetch()
        stack.push_async_callback(_cancel, asyncio.create_task(_refresh_when_due(cache)))
        await stack.enter_async_context(
            Server(
                cache=cache,
                tokens=config.tokens,
                config_problems=[str(problem) for problem in config.problems],
                sockets=sockets,
            )
        )
        yield cache


def missing_required(config: Config, cache: Cache) -> list[str]:
    """Return, and report each in the log, the required secrets whose last fetch failed."""
    required = {secret.name for secret in config.secrets if secret.required}
    missing = [report for report in cache.report() if report.name in required and report.error is not None]
    for report in missing:
        logger.error("secret.required_missing", {"secret": report.name, "code": report.error})
    return [report.name for report in missing]


def fetches_late(environ: Mapping[str, str]) -> bool:
    """Return whether nothing may be fetched before the first request."""
    return environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"


def listed_by(config: Config) -> list[Listed]:
    """Return what `config` lists, with the names that each is served as: its own name first, then its id."""
    own = {secret.name for secret in config.secrets}
    return [
        Listed(
            ref=secret.ref,
            names=(secret.name, secret.ref.secret_id) if secret.ref.secret_id not in own else (secret.name,),
            policy=_policy(config, secret.ttl_seconds),
        )
        for secret in config.secrets
    ]


def _policy(config: Config, ttl_seconds: float | None) -> Policy:
    return Policy(
        ttl=config.ttl if ttl_seconds is None else ttl_seconds,
        refresh_ahead=config.refresh_ahead,
        stale_while_revalidate=config.stale_while_revalidate,
        stale_if_error=config.stale_if_error,
    )


def _batch_above(batch: Batch) -> int | None:
    return {Batch.AUTO: BATCH_ABOVE, Batch.ALWAYS: 0, Batch.NEVER: None}[batch]


async def _refresh_when_due(cache: Cache) -> None:
    """Refresh the listed secrets as they fall due, for ever. Between two of them it sleeps."""
    while True:
        cache.changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(cache.seconds_to_next_refresh()):
                await cache.changed.wait()
        try:
            cache.refresh_due()
        except Exception as error:  # noqa: BLE001 - it must go on
            logger.error("internal.error", {"where": "refresh", **describe(error)})  # noqa: TRY400


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
