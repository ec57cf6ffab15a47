"""
The command line, for everywhere but Lambda: `secrets-cache serve`.

Exit codes: 0 good, 1 problems found, 2 usage.
"""

import argparse
import asyncio
import logging
import os
import signal
from collections.abc import Sequence

from secrets_cache import __version__, logs
from secrets_cache.app import running
from secrets_cache.config import Config, parse
from secrets_cache.files import DEFAULT_ROOT, read_config
from secrets_cache.limits import set_limits
from secrets_cache.listeners import bind, opened

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="secrets-cache", description="AWS secrets from a cache on localhost.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"secrets-cache {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    serve = commands.add_parser("serve", help="serve the cache until SIGTERM or SIGINT", allow_abbrev=False)
    serve.add_argument(
        "--config",
        metavar="FILE",
        default="",
        help=f"default: $SECRETS_CACHE_CONFIG, else config.yaml in $LAMBDA_TASK_ROOT or {DEFAULT_ROOT}",
    )
    serve.set_defaults(command=_serve)
    given = parser.parse_args(arguments)
    return int(given.command(given))


def _serve(given: argparse.Namespace) -> int:
    file = read_config(os.environ, given.config)
    config = parse(file.data, file=file.path, environ=os.environ, unreadable=file.unreadable)
    logs.configure(config.log_level)
    set_limits()
    for problem in config.problems:
        logs.report_problem(problem)
    if config.strict and config.problems:
        return 1
    return asyncio.run(_serve_until_signal(config))


async def _serve_until_signal(config: Config) -> int:
    descriptors, errors = bind(config.port)
    sockets = opened(descriptors)
    for error in errors:
        logger.error("server.not_listening", {"port": config.port, "reason": error.strerror})
    if not sockets:
        return 1
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(config, sockets=sockets, environ=os.environ) as app:
        stopping = asyncio.ensure_future(stop.wait())
        settling = filter(None, (app.settling,))
        await asyncio.wait({stopping, *settling}, return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            if config.strict and app.missing():
                return 1
            reports = app.cache.report()
            failed = sum(report.error is not None for report in reports)
            logger.info("serve.ready", {"port": config.port, "secrets": len(reports), "failed": failed})
        await stopping
        logger.info("serve.stopped", app.cache.counts.as_fields())
    return 0
