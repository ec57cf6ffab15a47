"""
`secrets-cache get`: one value or several, for scripts.

    the running server, else the server's own handler in this process, after one fetch -> (a format) -> standard output

Rules
-----
1. Standard output gets the value, byte for byte, and nothing else; only on a terminal a newline follows. In the other
   formats, all values or none.
2. The result is the same with and without a running server: the same code makes the response. A failure names the
   server.
"""

import argparse
import json
import os
import re
import select
import sys
from collections.abc import Collection, Mapping
from contextlib import aclosing, suppress
from typing import BinaryIO
from urllib.parse import quote, urlencode

from secrets_cache.cli.arguments import FORMATS, CannotRun, Usage
from secrets_cache.cli.client import OK, Answer, NoServer, ask
from secrets_cache.cli.get_formats import FORMATTERS
from secrets_cache.cli.inputs import read_existing_configuration, silence_logs
from secrets_cache.cli.terminal import print_error
from secrets_cache.config import Config, ListedSecret
from secrets_cache.core.arn import lacks_slash, split_selector
from secrets_cache.core.secret import Ref
from secrets_cache.errors import add_advice
from secrets_cache.system.files import ConfigFile

TEXT = FORMATS[0]


def run(given: argparse.Namespace) -> int:
    """Write one value, or several."""
    silence_logs()
    if given.format == TEXT and len(given.names) > 1:
        raise Usage("--format text is for one NAME; allowed for several: json, env, shell")
    if given.url and (given.from_file or given.parameter):
        other = "--from-file" if given.from_file else "--parameter"
        raise Usage(f"{other} and --url name two places; allowed: one of them")
    file, config = read_existing_configuration(given, os.environ)
    answers, server = _ask_for_all(given, file, config)
    failed = {name: answer for name, answer in answers.items() if answer.status != OK}
    for name, answer in failed.items():
        detail = _read_detail(answer)
        if server:
            # It may have another configuration, region and account than this command.
            detail = add_advice(detail, f"this is the answer of the server at {server}")
        else:
            detail = detail.replace("not listed in config.yaml", f"not listed in {file.path}")
        # The server speaks of parameters of a query, which are options here.
        detail = re.sub("parameter '(key|version_stage|version_id)'", lambda found: _name_option(found[1]), detail)
        if given.parameter and lacks_slash(name):
            detail = add_advice(detail, f"did you mean /{name}? A name with slashes begins with one")
        if name.startswith("/") and f"secret {name!r} was not found" in detail and not given.from_file:
            detail = add_advice(detail, "if it is a parameter, use --parameter")
        print_error(detail if len(answers) == 1 or repr(name) in detail else f"{name!r}: {detail}")
    if failed:
        return 1
    _write({name: answer.body for name, answer in answers.items()}, given.format)
    return 0


def _name_option(parameter: str) -> str:
    return f"--{parameter.replace('_', '-')}"


def _write(values: Mapping[str, bytes], form: str) -> None:
    body = values[next(iter(values))] if form == TEXT else FORMATTERS[form](values)
    _write_all(sys.stdout.buffer, memoryview(body))
    if sys.stdout.isatty() and not body.endswith(b"\n"):
        sys.stdout.write("\n")


def _write_all(stream: BinaryIO, body: memoryview) -> None:
    """
    Write all of a value, however little of it is taken at a time.

    With PYTHONUNBUFFERED a disk that fills takes a part, and Python does not notice. And another program may have made
    the pipe or the terminal non-blocking, for everybody who shares it.
    """
    while body:
        try:
            taken = stream.write(body) or 0
        except BlockingIOError as error:
            taken = error.characters_written
        body = body[taken:]
        if body:
            select.select([], [stream], [])
    while True:
        with suppress(BlockingIOError):
            stream.flush()
            return
        select.select([], [stream], [])


def _ask_for_all(given: argparse.Namespace, file: ConfigFile, config: Config) -> tuple[dict[str, Answer], str]:
    """Return the answer for each name, and the server that gave them; it is empty if none runs: then as it would."""
    targets = {name: _make_target(given, name) for name in given.names}
    try:
        # A running server has the values of AWS, and knows what it lists.
        if not (given.from_file or given.parameter):
            answers = {name: ask(given.url, target, config) for name, target in targets.items()}
            return answers, given.url or f"127.0.0.1:{config.port}"
    except NoServer as reason:
        if given.url:
            raise CannotRun(str(reason)) from None
    for problem in config.problems:
        print_error(str(problem))
    from secrets_cache.cli.event_loop import run_to_end  # noqa: PLC0415 - slow to import, as `_fetch_all`

    return run_to_end(_fetch_all(_narrow(config, file, given), targets, given.from_file)), ""


def _make_target(given: argparse.Namespace, name: str) -> str:
    parameters = {
        "key": given.key,
        "version_stage": given.version_stage,
        "version_id": given.version_id,
        "refresh": "true" if given.refresh else None,
    }
    query = urlencode({key: value for key, value in parameters.items() if value is not None}, quote_via=quote)
    return f"/cache/{quote(name, safe='', errors='surrogateescape')}{'?' if query else ''}{query}"


def _narrow(config: Config, file: ConfigFile, given: argparse.Namespace) -> Config:
    """Return the configuration with only the items that the names may mean, so that nothing else is fetched."""
    names: Collection[str] = given.names
    if file.data is None and file.unreadable is None and given.parameter:
        listed = ((name, split_selector(name)) for name in names)
        refs = {name: Ref(plain, version, label, is_parameter=True) for name, (plain, version, label) in listed}
        return config._replace(secrets=(), parameters=tuple(ListedSecret(ref, name) for name, ref in refs.items()))
    if file.data is None and file.unreadable is None:
        # Without a configuration, IAM alone decides: there is no other caller to protect anything from.
        return config._replace(allow=("*",))
    mine = [item for item in config.listed if item.name in names or item.ref.secret_id in names]
    found = {name for item in mine for name in (item.name, item.ref.secret_id)}
    if not found.issuperset(names):
        return config
    secrets, parameters = (tuple(item for item in mine if item.ref.is_parameter is kind) for kind in (False, True))
    return config._replace(secrets=secrets, parameters=parameters)


async def _fetch_all(config: Config, targets: Mapping[str, str], from_file: str) -> dict[str, Answer]:
    # Slow to import, and only needed without a server.
    from secrets_cache.app import build_cache, build_source  # noqa: PLC0415
    from secrets_cache.cli.file_source import open_file_source  # noqa: PLC0415
    from secrets_cache.server import NativeHandler, Request  # noqa: PLC0415
    from secrets_cache.system.clock import SystemClock  # noqa: PLC0415

    clock = SystemClock()
    answers = {}
    unopened = open_file_source(from_file) or build_source(config, os.environ, clock)
    async with unopened as source, aclosing(build_cache(config, source, clock)) as cache:
        handler = NativeHandler(cache=cache, tokens=None, list_problems=tuple, clock=clock)
        for name, target in targets.items():
            response = await handler.handle(Request(method="GET", target=target, hosts=["localhost"]))
            answers[name] = Answer(response.status, response.body)
    return answers


def _read_detail(answer: Answer) -> str:
    """Return the detail of a problem document (RFC 9457)."""
    try:
        return str(json.loads(answer.body)["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the server answered with status {answer.status}"
