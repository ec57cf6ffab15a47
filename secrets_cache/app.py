"""
The composition root: builds the graph from a configuration, starts it, stops it in the reverse order.

    Config -> source (AWS) -> cache -> handlers -> servers
                              prefetch, then refreshes as they fall due

Rules
-----
1. Every task and every connection belongs to the one exit stack here.
2. Under SnapStart nothing is fetched before the first request: the snapshot must hold no secret.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING

from secrets_cache.aws.source import AwsSource, choose_batch_threshold
from secrets_cache.config import Config, Metrics
from secrets_cache.config.environment import uses_fast_paths
from secrets_cache.core.cache import MAX_UNLISTED, Cache
from secrets_cache.core.clock import Clock
from secrets_cache.core.results import EntryReport
from secrets_cache.core.source import OpenableSource, Source
from secrets_cache.errors import describe_missing_file
from secrets_cache.server import NativeHandler, Server
from secrets_cache.system.clock import SystemClock, random_fraction
from secrets_cache.system.files import read_token
from secrets_cache.system.limits import find_max_connections
from secrets_cache.system.logs import describe_error
from secrets_cache.variables.wrapper_server import VariablesServer, is_snapstart

if TYPE_CHECKING:
    from secrets_cache.server.aws_layer_handler import AwsLayerHandler
    from secrets_cache.server.handler import Handler
    from secrets_cache.server.metrics_page import MetricsPage
    from secrets_cache.system.emf import Emf

logger = logging.getLogger(__name__)

# What a running process can change. Ports and tokens belong to the servers, time limits of fetches to the source.
CHANGEABLE = (
    *("secrets", "parameters", "env", "allow", "strict"),
    *("problems", "adjusted", "ignored", "missing_file", "is_unconfigured"),
    *("ttl", "refresh_ahead", "stale_while_revalidate", "stale_if_error"),
)
# After an internal error in the timer, which may come again at once.
PAUSE_SECONDS = 1.0
TOKEN_FILE = "file://"  # noqa: S105 - not a token, but how AWS's agent names a file with one


class Application:
    """
    The running application: the cache, its prefetch and its servers.

    Attributes:
        cache: Holds the secrets.
        prefetching: The prefetch, and then the report of what is missing; None under SnapStart.
        servers: One for each protocol that is served.
    """

    def __init__(self, config: Config, cache: Cache) -> None:
        self.cache = cache
        self.prefetching: asyncio.Task[None] | None = None
        self.servers: list[Server] = []
        self._config = config

    def list_missing(self) -> list[str]:
        """Return one sentence for each required secret that cannot be served: which, and why."""
        return [text for _, text in _find_missing(self._config, self.cache)]

    def list_problems(self) -> list[str]:
        """Return one sentence for each problem of the configuration, and for each required secret that is missing."""
        return [*map(str, self._config.problems), *self.list_missing()]

    def list_warnings(self) -> list[str]:
        """Return the sentence for a process that has no configuration at all; nothing if it has one."""
        if not self._config.is_unconfigured:
            return []
        return [
            f"nothing is listed: {describe_missing_file(self._config.missing_file)}, and no variable lists a secret"
        ]

    @property
    def config(self) -> Config:
        """What is in force: of another configuration, what only a new process can change is left out."""
        return self._config

    async def reconfigure(self, config: Config) -> list[str]:
        """
        Serve another configuration; return once what is new in it has been tried.

        Returns:
            The settings that differ, and take effect only in a new process.
        """
        differing = [name for name in config._fields if getattr(config, name) != getattr(self._config, name)]
        changeable = {name: getattr(config, name) for name in CHANGEABLE}
        self._config = self._config._replace(**changeable)
        self.cache.reconfigure(listed=self._config.entries(), allow=self._config.allow, policy=self._config.freshness())
        await _prefetch_and_report(self._config, self.cache)
        return [name for name in differing if name not in CHANGEABLE]

    async def drain(self, seconds: float) -> None:
        """Stop accepting connections; return when all requests are answered, or after `seconds`."""
        await asyncio.gather(*(server.drain(seconds) for server in self.servers))


@contextlib.asynccontextmanager
async def run_application(  # noqa: PLR0913 - all of the outside world
    config: Config,
    *,
    sockets: Sequence[socket.socket],
    environ: Mapping[str, str],
    aws_sockets: Sequence[socket.socket] = (),
    channel: Sequence[socket.socket] = (),
    clock: Clock | None = None,
    metrics: bool = False,
    source: OpenableSource | None = None,
) -> AsyncIterator[Application]:
    """
    Serve what `config` lists while the context lasts. On entry the prefetch has started, but not ended.

    Args:
        config: What is served, and how.
        sockets: Listen for the extension's own protocol.
        environ: The environment variables.
        aws_sockets: Listen for the protocol of AWS's own layer.
        channel: Listen for the exec wrapper.
        clock: None for the machine's.
        metrics: Whether `/metrics` is served.
        source: Where secrets come from; None for AWS.
    """
    clock = clock or SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        opened = await stack.enter_async_context(source or build_source(config, environ, clock))
        cache = build_cache(config, opened, clock, own_region=environ.get("AWS_REGION", ""))
        stack.push_async_callback(cache.aclose)
        emf = _attach_emf(config, cache, environ, clock) if config.metrics is Metrics.EMF else None
        application = Application(config, cache)
        if not is_snapstart(environ):
            application.prefetching = _start_prefetch(stack, config, cache)
        for listener in channel:
            await stack.enter_async_context(VariablesServer(listener, config, environ, cache, clock))
        _start(stack, refresh_when_due(cache))
        for server in _build_servers(config, application, environ, clock, sockets, aws_sockets, metrics=metrics):
            application.servers.append(await stack.enter_async_context(server))
        if emf is not None:
            # Called first on the way out: there is little time for the rest.
            stack.callback(emf.write)
        yield application


def _attach_emf(config: Config, cache: Cache, environ: Mapping[str, str], clock: Clock) -> "Emf":
    """Write the cache's counts to the log as CloudWatch metrics."""
    from secrets_cache.system.emf import Emf  # noqa: PLC0415 - only if metrics are switched on

    namespace, by_secret = config.metrics_namespace, config.metrics_by_secret
    emf = Emf(counts=cache.counts, clock=clock, namespace=namespace, environ=environ, by_secret=by_secret)
    cache.observers.append(emf.note_fetch)
    return emf


def _build_metrics_page(config: Config, clock: Clock) -> "MetricsPage | None":
    from secrets_cache.server.metrics_page import build_metrics_page  # noqa: PLC0415 - in Lambda there is no such page

    return build_metrics_page(started_at=clock.now().wall, by_secret=config.metrics_by_secret)


def _build_native_handler(config: Config, application: Application, clock: Clock, *, metrics: bool) -> NativeHandler:
    page = _build_metrics_page(config, clock) if metrics else None
    tokens = None if config.tokens is None else [token.text for token in config.tokens]
    return NativeHandler(
        cache=application.cache,
        tokens=tokens,
        list_problems=application.list_problems,
        clock=clock,
        config=lambda: application.config,
        list_warnings=application.list_warnings,
        metrics=page,
    )


def _build_servers(
    config: Config,
    application: Application,
    environ: Mapping[str, str],
    clock: Clock,
    sockets: Sequence[socket.socket],
    aws_sockets: Sequence[socket.socket],
    *,
    metrics: bool,
) -> list[Server]:
    """Return a server for each protocol that has sockets. They share the connections that the process may have."""
    handlers: list[tuple[Handler, Sequence[socket.socket]]] = []
    aws_layer: AwsLayerHandler | None = None
    if aws_sockets or (sockets and config.is_port_shared):
        aws_layer = _build_aws_layer_handler(config, environ, application.cache, clock)
    if sockets:
        native: Handler = _build_native_handler(config, application, clock, metrics=metrics)
        if aws_layer is not None and config.is_port_shared:
            from secrets_cache.server.shared_port_handler import SharedPortHandler  # noqa: PLC0415 - rarely needed

            native = SharedPortHandler(native, aws_layer)
        handlers.append((native, sockets))
    if aws_layer is not None and aws_sockets:
        handlers.append((aws_layer, aws_sockets))
    is_fast, room = uses_fast_paths(environ), find_max_connections() // (len(handlers) or 1)
    return [
        Server(handler=handler, sockets=listening, uses_fast_path=is_fast, max_connections=room)
        for handler, listening in handlers
    ]


def _build_aws_layer_handler(
    config: Config, environ: Mapping[str, str], cache: Cache, clock: Clock
) -> "AwsLayerHandler":
    from secrets_cache.server.aws_layer_handler import AwsLayerHandler  # noqa: PLC0415 - only if its protocol is served

    tokens = [token.text for token in config.tokens or ()]
    tokens += filter(None, (_read_token(token.text) for token in config.aws_layer.tokens))
    if not tokens:
        advice = "set AWS_TOKEN or server.token; in Lambda, AWS_SESSION_TOKEN is the token"
        logger.error("server.no_token", {"port": config.aws_port, "advice": advice})
    region = environ.get("AWS_REGION", "")
    return AwsLayerHandler(cache=cache, tokens=tokens, layer=config.aws_layer, region=region, clock=clock)


def _read_token(text: str) -> str | None:
    """Return the token that a variable of AWS's agent holds, or names the file of; None if the file cannot be read."""
    if not text.startswith(TOKEN_FILE):
        return text
    path = text.removeprefix(TOKEN_FILE)
    try:
        return read_token(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        logger.error("server.token_unreadable", {"file": path, "reason": reason})  # noqa: TRY400 - the reason is enough
        return None


def build_source(config: Config, environ: Mapping[str, str], clock: Clock) -> AwsSource:
    """Return AWS as the source of the secrets, configured."""
    return AwsSource(
        environ,
        budget_seconds=config.fetch_budget,
        budget_setting=config.fetch_budget_setting,
        batch_threshold=choose_batch_threshold(config.batch),
        max_connections=config.aws_layer.max_connections,
        clock=clock,
    )


def build_cache(
    config: Config,
    source: Source,
    clock: Clock,
    random: Callable[[], float] = random_fraction,
    *,
    own_region: str = "",
) -> Cache:
    """Return the cache that a configuration describes."""
    return Cache(
        listed=config.entries(),
        allow=config.allow,
        policy=config.freshness(),
        source=source,
        clock=clock,
        random=random,
        fetch_timeout_seconds=config.fetch_timeout,
        own_region=own_region,
        # AWS's 0 means that its protocol remembers nothing; the other protocol still may.
        max_unlisted=config.aws_layer.cache_size or MAX_UNLISTED,
    )


def _start_prefetch(stack: contextlib.AsyncExitStack, config: Config, cache: Cache) -> "asyncio.Task[None]":
    task = _start(stack, _prefetch_and_report(config, cache))
    task.add_done_callback(_log_failed_prefetch)
    return task


async def _prefetch_and_report(config: Config, cache: Cache) -> None:
    await cache.prefetch()
    for report, text in _find_missing(config, cache):
        logger.error("secret.required_missing", {"secret": report.name, "code": report.error, "text": text})


def _log_failed_prefetch(prefetching: "asyncio.Task[None]") -> None:
    if not prefetching.cancelled() and (error := prefetching.exception()) is not None:
        logger.error("internal.error", {"where": "prefetch", **describe_error(error)})


def _find_missing(config: Config, cache: Cache) -> list[tuple[EntryReport, str]]:
    required = {item.name for item in config.listed if item.required}
    return [
        (report, f"required secret {report.name!r} could not be fetched: {report.reason}")
        for report in cache.report()
        if report.name in required and report.error is not None and not report.is_servable
    ]


async def refresh_when_due(cache: Cache, *, pause_seconds: float = PAUSE_SECONDS) -> None:
    """Refresh listed secrets as they fall due, until cancelled. After an error it pauses and goes on."""
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
            # The timer must go on, unless it is being cancelled.
            if task is None or task.cancelling():
                raise
            logger.error("internal.error", {"where": "refresh", **describe_error(error)})  # noqa: TRY400
            await asyncio.sleep(pause_seconds)


def _start(stack: contextlib.AsyncExitStack, work: Coroutine[None, None, None]) -> "asyncio.Task[None]":
    """Start a task that `stack` cancels and awaits."""
    task = asyncio.create_task(work)
    stack.push_async_callback(_cancel, task)
    return task


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
