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
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from secrets_cache.aws.source import Aws, batch_above
from secrets_cache.config import Config, Metrics
from secrets_cache.config.environment import uses_fast_paths
from secrets_cache.config.listing import listed_by, policy_of
from secrets_cache.core.cache import MAX_UNLISTED, Cache, Source
from secrets_cache.core.clock import Clock
from secrets_cache.core.results import EntryReport
from secrets_cache.server import MetricsPage, NativeHandler, Server
from secrets_cache.system.clock import SystemClock, random_fraction
from secrets_cache.system.files import read_token
from secrets_cache.system.limits import max_connections
from secrets_cache.system.logs import describe
from secrets_cache.variables.via_extension import VariablesServer

if TYPE_CHECKING:
    from secrets_cache.server.aws_layer import AwsLayerHandler
    from secrets_cache.system.emf import Emf

logger = logging.getLogger(__name__)

# After an error of ours in the timer, which may come again at once.
PAUSE_SECONDS = 1.0
# As AWS's agent has it.
TOKEN_FILE = "file://"  # noqa: S105 - not a token


class Application:
    """
    What runs.

    Args:
        config: What it was made from.
        cache: The secrets.
        settling: The prefetch, which then says what is missing; None if it waits for the first request.

    Attributes:
        servers: What answers, one for each protocol.
    """

    def __init__(self, config: Config, cache: Cache, settling: "asyncio.Task[None] | None") -> None:
        self.cache = cache
        self.settling = settling
        self.servers: list[Server] = []
        self._config = config

    def missing(self) -> list[str]:
        """Return, in words, which required secrets cannot be had, and why."""
        return [text for _, text in _missing(self._config, self.cache)]

    async def drain(self, seconds: float) -> None:
        """Let nobody in any more; return when everybody who has asked is answered, or after so many seconds."""
        await asyncio.gather(*(server.drain(seconds) for server in self.servers))


@asynccontextmanager
async def running(
    config: Config,
    *,
    sockets: Sequence[socket.socket],
    environ: Mapping[str, str],
    aws_sockets: Sequence[socket.socket] = (),
    channel: Sequence[socket.socket] = (),
    clock: Clock | None = None,
    metrics: bool = False,
) -> AsyncIterator[Application]:
    """
    Serve on `sockets` what `config` lists, while the context lasts. The prefetch has begun, but not ended.

    Args:
        config: What is served.
        sockets: Where, by HTTP.
        environ: The environment variables.
        aws_sockets: Where, in the protocol of AWS's own layer.
        channel: Where the exec wrapper asks, if anywhere.
        clock: What time it is; None for the machine's.
        metrics: Whether `/metrics` is answered.
    """
    room = max_connections() // (bool(sockets) + bool(aws_sockets) or 1)
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        source = await stack.enter_async_context(source_of(config, environ, clock))
        cache = cache_of(config, source, clock)
        stack.push_async_callback(cache.aclose)
        emf = _emf(config, cache, environ, clock) if config.metrics is Metrics.EMF else None
        settling = None
        if not fetches_late(environ):
            settling = asyncio.create_task(_settle(config, cache))
            settling.add_done_callback(_say_failed)
            stack.push_async_callback(_cancel, settling)
        for listener in channel:
            await stack.enter_async_context(VariablesServer(listener, config, environ, cache, clock))
        stack.push_async_callback(_cancel, asyncio.create_task(refresh_when_due(cache)))
        application = Application(config, cache, settling)
        for replies, listening in (
            (_replies(config, application, clock, metrics=metrics), sockets),
            (_layer_replies(config, environ, cache, clock) if aws_sockets else None, aws_sockets),
        ):
            if replies is not None and listening:
                server = Server(replies=replies, sockets=listening, has_lane=uses_fast_paths(environ), room=room)
                application.servers.append(await stack.enter_async_context(server))
        if emf is not None:
            # The first to go: there is little time for the rest.
            stack.callback(emf.write)
        yield application


def _emf(config: Config, cache: Cache, environ: Mapping[str, str], clock: Clock) -> "Emf":
    from secrets_cache.system.emf import Emf  # noqa: PLC0415 - only where it is asked for

    emf = Emf(
        counts=cache.counts,
        clock=clock,
        namespace=config.metrics_namespace,
        environ=environ,
        by_secret=config.metrics_by_secret,
    )
    cache.observers.append(emf.fetched)
    return emf


def _replies(config: Config, application: Application, clock: Clock, *, metrics: bool) -> NativeHandler:
    problems = [str(problem) for problem in config.problems]
    return NativeHandler(
        cache=application.cache,
        tokens=config.tokens,
        wrong=lambda: [*problems, *application.missing()],
        clock=clock,
        metrics=MetricsPage(clock.now().wall, config.metrics_by_secret) if metrics else None,
    )


def _layer_replies(config: Config, environ: Mapping[str, str], cache: Cache, clock: Clock) -> "AwsLayerHandler":
    from secrets_cache.server.aws_layer import AwsLayerHandler  # noqa: PLC0415 - only where its protocol is spoken

    tokens = [*(config.tokens or ()), *filter(None, map(_token, config.aws_layer.tokens))]
    if not tokens:
        logger.error("server.no_token", {"port": config.aws_port})
    region = environ.get("AWS_REGION", "")
    return AwsLayerHandler(cache=cache, tokens=tokens, layer=config.aws_layer, region=region, clock=clock)


def _token(text: str) -> str | None:
    """Return the token that a variable of AWS's agent holds, or names the file of; None if that cannot be read."""
    if not text.startswith(TOKEN_FILE):
        return text
    path = text.removeprefix(TOKEN_FILE)
    try:
        return read_token(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        logger.error("server.token_unreadable", {"file": path, "reason": reason})  # noqa: TRY400 - all is said
        return None


def source_of(config: Config, environ: Mapping[str, str], clock: Clock) -> Aws:
    """Return AWS, as a configuration has it asked."""
    return Aws(
        environ,
        budget_seconds=config.fetch_timeout,
        batch_above=batch_above(config.batch),
        max_connections=config.aws_layer.max_connections,
        clock=clock,
    )


def cache_of(config: Config, source: Source, clock: Clock, random: Callable[[], float] = random_fraction) -> Cache:
    """Return the cache that a configuration describes."""
    return Cache(
        listed=listed_by(config),
        allow=config.allow,
        policy=policy_of(config),
        source=source,
        clock=clock,
        random=random,
        # 0 keeps nothing for its listener, but takes nothing from the other one.
        slowest_fetch=config.fetch_timeout,
        max_unlisted=config.aws_layer.cache_size or MAX_UNLISTED,
    )


async def _settle(config: Config, cache: Cache) -> None:
    await cache.prefetch()
    for report, text in _missing(config, cache):
        logger.error("secret.required_missing", {"secret": report.name, "code": report.error, "text": text})


def _say_failed(settling: "asyncio.Task[None]") -> None:
    error = None if settling.cancelled() else settling.exception()
    if error is not None:
        logger.error("internal.error", {"where": "prefetch", **describe(error)})


def _missing(config: Config, cache: Cache) -> list[tuple[EntryReport, str]]:
    required = {item.name for item in config.listed if item.required}
    return [
        (report, f"required secret {report.name!r} could not be had: {report.reason}")
        for report in cache.report()
        if report.name in required and report.error is not None and not report.is_servable
    ]


def fetches_late(environ: Mapping[str, str]) -> bool:
    """Return whether nothing may be fetched before the first request."""
    return environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"


class Refreshable(Protocol):
    """What of a cache the timer needs."""

    changed: asyncio.Event

    def seconds_to_next_refresh(self) -> float | None:
        """Return after how many seconds something is due; None for never."""
        ...

    def refresh_due(self) -> None:
        """Start what is due."""
        ...


async def refresh_when_due(cache: Refreshable, *, pause_seconds: float = PAUSE_SECONDS) -> None:
    """Refresh the listed secrets as they fall due, for ever; sleep between two of them, and pause after an error."""
    task = asyncio.current_task()
    while True:
        try:
            cache.changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(cache.seconds_to_next_refresh()):
                    await cache.changed.wait()
            cache.refresh_due()
        except GeneratorExit:
            raise
        except BaseException as error:
            # It must go on, unless it is we who end it.
            if task is None or task.cancelling():
                raise
            logger.error("internal.error", {"where": "refresh", **describe(error)})  # noqa: TRY400
            await asyncio.sleep(pause_seconds)


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
