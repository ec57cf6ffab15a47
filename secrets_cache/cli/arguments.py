"""
The parser: which commands and options there are. docs/command-line.md and the completions are made of it.

Only argparse is imported: `--help` and what a shell asks for on each Tab are answered at once.
"""

import argparse
from typing import TypeAlias

from secrets_cache import __version__
from secrets_cache.system.files import DEFAULT_ROOT

GRACE_SECONDS = 5.0
SHELLS = ("bash", "zsh", "fish")
# The kinds of value that shells complete to the names of files.
FILE = "FILE"


Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no other name


class Usage(Exception):
    """The arguments are each well formed, but do not make sense."""


def made_parser() -> argparse.ArgumentParser:
    """Return the parser; what it parses has the name of the command's module as `command`."""
    parser = argparse.ArgumentParser(
        prog="secrets-cache",
        description="AWS secrets and parameters from a cache on localhost, and what helps before they are there.",
        epilog="Exit codes: 0 good, 1 problems found, 2 usage. https://no-color.org is honoured.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"secrets-cache {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command", dest="command")

    for add in (_serve, _check, _policy, _get, _health, _version, _completion):
        add(commands)
    return parser


def _serve(commands: Commands) -> None:
    serve = _command(commands, "serve", "serve the cache until SIGTERM or SIGINT")
    _config(serve)
    serve.add_argument(
        "--grace",
        type=_seconds,
        default=GRACE_SECONDS,
        metavar="SECONDS",
        help="how long requests under way may take after the signal to stop; default: %(default)g",
    )


def _check(commands: Commands) -> None:
    check = _command(commands, "check", "say what is wrong with the configuration, and what it means")
    _config(check)
    check.add_argument("--fetch", action="store_true", help="try every secret and parameter")
    _environment(check, "default: this command's own environment")
    check.add_argument("--json", action="store_true", help="write one JSON document instead of tables")


def _policy(commands: Commands) -> None:
    policy = _command(commands, "policy", "print the least-privilege IAM policy for the configuration")
    _config(policy)
    for option, value, about in (
        ("--region", "REGION", "the function's region; default: $AWS_REGION, else $AWS_DEFAULT_REGION"),
        ("--account", "ID", "the function's account, for what is given by name"),
        ("--partition", "NAME", "default: that of the region; mostly aws"),
        ("--role", "ARN", "print the policy of this role, which is assumed, instead"),
    ):
        policy.add_argument(option, metavar=value, default="", help=about)
    _environment(policy, "default: none")


def _get(commands: Commands) -> None:
    get = _command(commands, "get", "write one value to standard output, byte for byte")
    get.add_argument("name", metavar="NAME", help="what the configuration calls it, or its ARN")
    get.add_argument("--key", metavar="KEY", help="one top-level key of a JSON secret, or a JSON pointer")
    get.add_argument("--version-stage", metavar="STAGE", help="such as AWSPREVIOUS; of a parameter, a label")
    get.add_argument("--version-id", metavar="ID", help="the id of a version; of a parameter, its number")
    get.add_argument("--refresh", action="store_true", help="after a new fetch")
    _config(get)
    _url(get)


def _health(commands: Commands) -> None:
    health = _command(commands, "health", "print the health of a running server: 0 if it can serve everything, else 1")
    _config(health)
    _url(health)


def _version(commands: Commands) -> None:
    _command(commands, "version", "print the version")


def _completion(commands: Commands) -> None:
    completion = _command(commands, "completion", "print a script that completes these commands in a shell")
    completion.add_argument("shell", choices=SHELLS, help="which shell")


def _command(commands: Commands, name: str, does: str) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=does, description=f"{does[0].upper()}{does[1:]}.", allow_abbrev=False)


def _config(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--config",
        metavar=FILE,
        default="",
        help=f"default: $SECRETS_CACHE_CONFIG, else config.yaml in $LAMBDA_TASK_ROOT or {DEFAULT_ROOT}",
    )


def _environment(command: argparse.ArgumentParser, default: str) -> None:
    command.add_argument(
        "--environment",
        metavar=FILE,
        default="",
        help=f"the function's variables, as JSON or NAME=value lines, - for standard input; {default}",
    )


def _url(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--url", metavar="URL", default="", help="of the server; default: this machine, configured port"
    )


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= 24 * 3600:
        raise ValueError
    return seconds
