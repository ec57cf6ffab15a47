"""
`secrets-cache get`: one value, for scripts.

    the running server, else the server's own handler in this process, after one fetch -> standard output

Rules
-----
1. Standard output gets the value, byte for byte, and nothing else; only on a terminal a newline follows.
2. The result is the same with and without a running server: the same code makes the response.
"""

import argparse
import json
import os
import sys
from contextlib import aclosing
from urllib.parse import quote, urlencode

from secrets_cache.cli.client import OK, Answer, NoServer, ask
from secrets_cache.cli.inputs import read_existing_configuration, silence_logs
from secrets_cache.cli.terminal import print_error
from secrets_cache.config import Config
from secrets_cache.system.files import ConfigFile


def run(given: argparse.Namespace) -> int:
    """Write one value."""
    silence_logs()
    file, config = read_existing_configuration(given, os.environ)
    target = _make_target(given)
    try:
        answer = ask(given.url, target, config)
    except NoServer as reason:
        if given.url:
            print_error(str(reason))
            return 1
        for problem in config.problems:
            print_error(str(problem))
        from secrets_cache.cli.event_loop import run_to_end  # noqa: PLC0415 - slow to import, as `_fetch`

        answer = run_to_end(_fetch(_narrow(config, file, given.name), target))
    if answer.status != OK:
        print_error(_read_detail(answer))
        return 1
    sys.stdout.buffer.write(answer.body)
    sys.stdout.buffer.flush()
    if sys.stdout.isatty() and not answer.body.endswith(b"\n"):
        sys.stdout.write("\n")
    return 0


def _make_target(given: argparse.Namespace) -> str:
    parameters = {
        "key": given.key,
        "version_stage": given.version_stage,
        "version_id": given.version_id,
        "refresh": "true" if given.refresh else None,
    }
    query = urlencode({name: value for name, value in parameters.items() if value is not None}, quote_via=quote)
    return f"/cache/{quote(given.name, safe='', errors='surrogateescape')}{'?' if query else ''}{query}"


def _narrow(config: Config, file: ConfigFile, name: str) -> Config:
    """Return the configuration with only the items that `name` may mean, so that nothing else is fetched."""
    if file.data is None and file.unreadable is None:
        # Without a configuration, IAM alone decides: there is no other caller to protect anything from.
        return config._replace(allow=("*",))
    mine = [item for item in config.listed if name in {item.name, item.ref.secret_id}]
    if not mine:
        return config
    secrets, parameters = (tuple(item for item in mine if item.ref.is_parameter is kind) for kind in (False, True))
    return config._replace(secrets=secrets, parameters=parameters)


async def _fetch(config: Config, target: str) -> Answer:
    # Slow to import, and only needed without a server.
    from secrets_cache.app import build_cache, build_source  # noqa: PLC0415
    from secrets_cache.server import NativeHandler, Request  # noqa: PLC0415
    from secrets_cache.system.clock import SystemClock  # noqa: PLC0415

    clock = SystemClock()
    async with build_source(config, os.environ, clock) as source, aclosing(build_cache(config, source, clock)) as cache:
        handler = NativeHandler(cache=cache, tokens=None, list_problems=tuple, clock=clock)
        response = await handler.handle(Request(method="GET", target=target, hosts=["localhost"]))
    return Answer(response.status, response.body)


def _read_detail(answer: Answer) -> str:
    """Return the detail of a problem document (RFC 9457)."""
    try:
        return str(json.loads(answer.body)["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the server answered with status {answer.status}"
