"""
The parser: all commands and options. docs/command-line.md and the shell completions are held to it.

Only argparse is imported, so that `--help` answers at once.
"""

import argparse
from collections.abc import Sequence
from typing import TypeAlias

from secrets_cache import __version__
from secrets_cache.system.files import DEFAULT_ROOT

GRACE_SECONDS = 5.0
MAX_GRACE_SECONDS = 24 * 3600
MAX_PORT = 65535
FORMATS = ("text", "json", "env", "shell")
SHELLS = ("bash", "zsh", "fish")

Commands: TypeAlias = "argparse._SubParsersAction[Command]"  # noqa: SLF001 - it has no other name


class Usage(Exception):
    """Each argument is well formed, but together they make no sense."""


class CannotRun(Exception):
    """The command cannot do what it is asked to; the text says why."""


class Command(argparse.ArgumentParser):
    """The parser of one command, which itself refuses what it does not know: its usage helps, that of all does not."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse the command's arguments; end the process with 2 if one is unknown."""
        given, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}{_suggest_option(given, unknown)}")
        return given, unknown


def _suggest_option(given: argparse.Namespace, unknown: Sequence[str]) -> str:
    """Return what was probably meant: that a file is the configuration, or that options are the command's of `run`."""
    if hasattr(given, "arguments"):
        return "; put -- before the command"
    is_file = len(unknown) == 1 and unknown[0].endswith((".yaml", ".yml"))
    return f"; did you mean --config {unknown[0]}?" if is_file and getattr(given, "config", None) == "" else ""


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; its result names the command's module as `command`, None without arguments."""
    parser = argparse.ArgumentParser(
        prog="secrets-cache",
        description="Serve AWS secrets and parameters from a local cache, and check the configuration for it.",
        epilog="Exit codes: 0 success, 1 problems found, 2 wrong usage. NO_COLOR switches colours off.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"secrets-cache {__version__}")
    commands = parser.add_subparsers(metavar="command", dest="command", parser_class=Command)

    for add in (
        _add_serve,
        _add_check,
        _add_policy,
        _add_get,
        _add_run,
        _add_health,
        _add_schema,
        _add_version,
        _add_completion,
    ):
        add(commands)
    return parser


def _add_serve(commands: Commands) -> None:
    serve = _add_command(commands, "serve", "serve secrets and parameters over HTTP until SIGTERM or SIGINT")
    _add_config(serve)
    _add_from_file(serve)
    serve.add_argument("--port", type=_parse_port, metavar="PORT", help="the port; default: the configured one")
    serve.add_argument(
        "--grace",
        type=_parse_grace,
        default=GRACE_SECONDS,
        metavar="SECONDS",
        help="time for open requests to finish after the first signal; default: %(default)g",
    )


def _add_check(commands: Commands) -> None:
    check = _add_command(commands, "check", "list all problems in the configuration, and what it sets up")
    _add_config(check)
    check.add_argument("--fetch", action="store_true", help="fetch every secret and parameter, and report failures")
    _add_environment(check, "default: this command's own environment")
    check.add_argument("--json", action="store_true", help="print one JSON document instead of tables")


def _add_policy(commands: Commands) -> None:
    policy = _add_command(commands, "policy", "print the least-privilege IAM policy for the configuration")
    _add_config(policy)
    for option, value, text in (
        ("--region", "REGION", "the function's region; default: $AWS_REGION, else $AWS_DEFAULT_REGION"),
        ("--account", "ID", "the function's AWS account; required if a secret or a parameter is listed by name"),
        ("--partition", "NAME", "the AWS partition; default: that of the region, usually aws"),
        (
            "--role",
            "ARN",
            "print the policy for this role, which the configuration assumes, not for the function's own",
        ),
    ):
        policy.add_argument(option, metavar=value, default="", help=text)
    _add_environment(policy, "default: none")


def _add_get(commands: Commands) -> None:
    get = _add_command(commands, "get", "print one value, byte for byte, or several in one of three formats")
    get.add_argument("names", metavar="NAME", nargs="+", help="a name from the configuration, or an ARN")
    get.add_argument(
        "--format",
        metavar="FORMAT",
        choices=FORMATS,
        default=FORMATS[0],
        help="text: one value as it is; json: an object; env: NAME=value lines; shell: export lines; default: text",
    )
    get.add_argument("--key", metavar="KEY", help="one top-level key of a JSON secret, or a JSON pointer such as /a/b")
    get.add_argument(
        "--version-stage", metavar="STAGE", help="a staging label such as AWSPREVIOUS; or a parameter's label"
    )
    get.add_argument("--version-id", metavar="ID", help="the id of a version; or a parameter's version number")
    get.add_argument(
        "--parameter", action="store_true", help="NAME is a parameter, and AWS is asked, not a running server"
    )
    get.add_argument("--refresh", action="store_true", help="fetch the value again, even if it is cached")
    _add_config(get)
    _add_from_file(get)
    _add_url(get)


def _add_run(commands: Commands) -> None:
    run = _add_command(commands, "run", "set environment variables from secrets, and become a command")
    # argparse leaves out the --, without which it would read the command's options as its own.
    run.usage = "secrets-cache run [-h] [options] -- COMMAND [ARGUMENT ...]"
    _add_config(run)
    _add_from_file(run)
    run.add_argument("arguments", metavar="COMMAND", nargs="+", help="the command and its arguments, after --")


def _add_health(commands: Commands) -> None:
    health = _add_command(
        commands, "health", "print the health of a running server; exit with 0 if /health answers 200, else 1"
    )
    _add_config(health)
    _add_url(health)


def _add_schema(commands: Commands) -> None:
    _add_command(commands, "schema", "print the JSON Schema of the configuration file, for editors")


def _add_version(commands: Commands) -> None:
    _add_command(commands, "version", "print the version")


def _add_completion(commands: Commands) -> None:
    completion = _add_command(commands, "completion", "print a script that completes these commands in a shell")
    completion.add_argument("shell", choices=SHELLS, help="the shell")


def _add_command(commands: Commands, name: str, text: str) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.", allow_abbrev=False)


def _add_config(command: argparse.ArgumentParser) -> None:
    default = f"default: $SECRETS_CACHE_CONFIG, else config.yaml in $LAMBDA_TASK_ROOT or {DEFAULT_ROOT}"
    text = f"the configuration file, unless $SECRETS_CACHE_CONFIG_YAML holds its text; {default}"
    _add_file(command, "--config", text)


def _add_from_file(command: argparse.ArgumentParser) -> None:
    text = "a file of names and values, YAML or JSON, to be used instead of AWS; for development"
    _add_file(command, "--from-file", text)


def _add_environment(command: argparse.ArgumentParser, default: str) -> None:
    text = "the function's variables, as JSON or as NAME=value lines; - for standard input"
    _add_file(command, "--environment", f"{text}; {default}")


def _add_file(command: argparse.ArgumentParser, option: str, text: str) -> None:
    argument = command.add_argument(option, metavar="FILE", default="", help=text)
    # shtab's word for names of files.
    argument.complete = "file"  # type: ignore[attr-defined]


def _add_url(command: argparse.ArgumentParser) -> None:
    text = "the server's URL; default: this machine and the configured port"
    command.add_argument("--url", metavar="URL", default="", help=text)


def _parse_port(text: str) -> int:
    port = int(text) if text.isdecimal() else 0
    if not 1 <= port <= MAX_PORT:
        raise argparse.ArgumentTypeError(f"found {text!r}; allowed: 1 to {MAX_PORT}")
    return port


def _parse_grace(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_GRACE_SECONDS:
        raise argparse.ArgumentTypeError(f"found {text!r}; allowed: 0 to {MAX_GRACE_SECONDS} seconds")
    return seconds
