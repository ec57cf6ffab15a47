"""
`secrets-cache get`: one value, for scripts.

    the running server, if there is one -> else the same replies, made here, after one fetch -> standard output

Rules
-----
1. The value is written byte for byte, and nothing else to standard output; a terminal gets a line's end after it.
2. Asked here or there, it is the same: the server's own code makes the reply.
"""

import argparse
import asyncio
import json
import os
import sys
from urllib.parse import quote, urlencode

from secrets_cache.cli.client import Answered, NotThere, ask
from secrets_cache.cli.inputs import complain, configuration, quiet
from secrets_cache.config import Config
from secrets_cache.system.files import ConfigFile

OK = 200


def run(given: argparse.Namespace) -> int:
    """Write one value."""
    quiet()
    file, config = configuration(given, os.environ)
    target = _target(given)
    try:
        answered = ask(given.url or f"http://127.0.0.1:{config.port}", target, config.tokens)
    except NotThere as reason:
        if given.url:
            complain(f"no server answers at {reason}")
            return 1
        for problem in config.problems:
            complain(str(problem))
        answered = asyncio.run(_fetched(_only(config, file, given.name), target))
    if answered.status != OK:
        complain(_detail(answered))
        return 1
    sys.stdout.buffer.write(answered.body)
    sys.stdout.buffer.flush()
    if sys.stdout.isatty() and not answered.body.endswith(b"\n"):
        sys.stdout.write("\n")
    return 0


def _target(given: argparse.Namespace) -> str:
    parameters = {
        "key": given.key,
        "version_stage": given.version_stage,
        "version_id": given.version_id,
        "refresh": "true" if given.refresh else None,
    }
    query = urlencode({name: value for name, value in parameters.items() if value is not None}, quote_via=quote)
    return f"/cache/{quote(given.name, safe='', errors='surrogateescape')}{'?' if query else ''}{query}"


def _only(config: Config, file: ConfigFile, name: str) -> Config:
    """Return the configuration with only what `name` may mean: one value is wanted, not all of them."""
    if file.data is None and file.unreadable is None:
        # There is no configuration at all, and no other caller to be kept from anything: AWS decides.
        return config._replace(allow=("*",))
    mine = [item for item in config.listed if name in {item.name, item.ref.secret_id}]
    return (
        config
        if not mine
        else config._replace(
            secrets=tuple(item for item in mine if not item.ref.is_parameter),
            parameters=tuple(item for item in mine if item.ref.is_parameter),
        )
    )


async def _fetched(config: Config, target: str) -> Answered:
    # Only without a server: these take long to import.
    from secrets_cache.app import cache_of, source_of  # noqa: PLC0415
    from secrets_cache.server import NativeHandler, Request  # noqa: PLC0415
    from secrets_cache.system.clock import SystemClock  # noqa: PLC0415

    clock = SystemClock()
    async with source_of(config, os.environ, clock) as source:
        cache = cache_of(config, source, clock)
        try:
            replies = NativeHandler(cache=cache, tokens=None, wrong=tuple, clock=clock)
            reply = await replies.to(Request(method="GET", target=target, hosts=["localhost"]))
        finally:
            await cache.aclose()
    return Answered(reply.status, reply.body)


def _detail(answered: Answered) -> str:
    """Return what a problem says (RFC 9457)."""
    try:
        return str(json.loads(answered.body)["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the server answered with status {answered.status}"
