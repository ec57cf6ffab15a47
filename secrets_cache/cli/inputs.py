"""What the commands read: the configuration, and the variables of the function that it is for."""

import argparse
import json
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from secrets_cache.cli.arguments import CannotRun
from secrets_cache.config import Config
from secrets_cache.config.environment import SESSION_VARIABLES
from secrets_cache.core.text import shorten
from secrets_cache.loading import parse_config
from secrets_cache.system.files import ConfigFile, read_config_file, read_config_variable

# What the AWS CLI shows of each function; without variables there is no Environment.
WITHOUT_VARIABLES = {"FunctionArn", "CodeSha256"}


class UnusableVariables(CannotRun):
    """
    What should hold a function's variables cannot be read, or holds none.

    Attributes:
        source: The option, with the file's name.
        reason: Why, in words.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.source = f"--environment {name}"
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}"


def read_configuration(given: argparse.Namespace, environ: Mapping[str, str]) -> tuple[ConfigFile, Config]:
    """
    Return the file, or the variable in its place, and the configuration that it and `environ` give together.

    No variable takes the place of a file that `--config` names and that does not exist.
    Without one, `--from-file` is all of it. Raises `CannotRun` if that file cannot be read.
    """
    # A path in the function's variables is one of Lambda's machine.
    file = read_config_file(os.environ, given.config)
    if file.exists or not given.config:
        file = read_config_variable(environ) or file
    config = parse_config(file, environ)
    if getattr(given, "from_file", "") and not (file.exists or config.listed or config.allow):
        # A file for development needs no second one that lists its names; `allow` covers those that it gets later.
        from secrets_cache.cli.file_source import FileSource  # noqa: PLC0415 - rarely needed

        secrets, parameters = FileSource(given.from_file).list_items()
        config = config._replace(secrets=secrets, parameters=parameters, allow=("*",), is_unconfigured=False)
    return file, config


def read_existing_configuration(given: argparse.Namespace, environ: Mapping[str, str]) -> tuple[ConfigFile, Config]:
    """Return what `read_configuration` does. Raises `CannotRun` if `--config` names a file that does not exist."""
    file, config = read_configuration(given, environ)
    if given.config and not file.exists:
        raise CannotRun(f"--config {given.config}: no such file")
    return file, config


def read_function_configuration(given: argparse.Namespace, environ: Mapping[str, str]) -> tuple[ConfigFile, Config]:
    """Return what `read_configuration` does, and misses no session token: only Lambda sets it."""
    file, config = read_configuration(given, environ)
    return file, config._replace(
        problems=tuple(problem for problem in config.problems if problem.key not in SESSION_VARIABLES)
    )


def cannot_be_read(file: ConfigFile, config: Config) -> bool:
    """Return whether the file as a whole is wrong, so that nothing of it counts. Only then a problem names no key."""
    return any(problem.file == file.path and not problem.key for problem in config.problems)


def find_unread_file() -> str:
    """Return a sentence about a configuration in the current folder, which no command looks for; empty for none."""
    name = "config.yaml"
    return f"{name} in this folder is not read without --config {name}" if Path(name).is_file() else ""


def read_function_variables(name: str) -> dict[str, str]:
    """
    Return the variables in a file: JSON as `aws lambda` prints it, or NAME=value entries that end in a newline or NUL.

    Args:
        name: The file's name; "-" for standard input.

    Raises:
        UnusableVariables: It cannot be read, is empty, or holds something else, such as AWS's answer that it could not
            read the variables.
    """
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise UnusableVariables(name, str(error.strerror)) from None
    text = os.fsdecode(data).removeprefix("\ufeff")
    if text.count("\n") == text.count("\r\n"):
        text = text.replace("\r\n", "\n")
    if text.lstrip()[:1] in {"{", "n"} and (found := _parse_json(name, text)) is not None:
        return found
    if not text.strip():
        raise UnusableVariables(name, "the input is empty: no variables were checked")
    entries = (entry.partition("=") for entry in text.split("\0" if "\0" in text else "\n"))
    parts = [entry for entry in entries if entry[0].strip() and not entry[0].lstrip().startswith("#")]
    if parts and not any(equals for _, equals, _ in parts):
        raise UnusableVariables(name, "the input is neither JSON nor NAME=value entries")
    # Files that shells read have the word.
    return {name.strip().removeprefix("export "): value for name, equals, value in parts if equals}


def _parse_json(name: str, text: str) -> dict[str, str] | None:
    """Return the variables in the AWS CLI's output, or in an object of texts; None if it is neither."""
    try:
        parsed = json.loads(text)
    except ValueError:
        return None
    # The whole of `get-function` or `get-function-configuration`, its Environment, or its Variables.
    parsed = _find_part(parsed, "Configuration")
    if isinstance(parsed, dict) and parsed.keys() >= WITHOUT_VARIABLES and "Environment" not in parsed:
        return {}
    parsed = _find_part(parsed, "Environment")
    error = parsed.get("Error") if isinstance(parsed, dict) else None
    if isinstance(error, dict):
        reason = f"AWS could not read the variables: {error.get('ErrorCode')}: {error.get('Message')}"
        raise UnusableVariables(name, reason)
    parsed = _find_part(parsed, "Variables")
    if not isinstance(parsed, dict):
        # With --query, no variables are null.
        return {} if parsed is None else None
    if parsed and not any(isinstance(value, str) for value in parsed.values()):
        printed = "what `aws lambda get-function-configuration` prints, its Environment, or its Variables"
        raise UnusableVariables(name, f"the input is JSON without variables; allowed: {printed}")
    for variable, value in parsed.items():
        if not isinstance(value, str):
            raise UnusableVariables(name, f"the value of {shorten(variable)!r} is not text: no variables were checked")
    return parsed


def _find_part(parsed: object, key: str) -> object:
    """Return the object under a key; what was parsed itself if it has none."""
    part = parsed.get(key) if isinstance(parsed, dict) else None
    return part if isinstance(part, dict) else parsed


def silence_logs() -> None:
    """Log nothing: the command prints everything itself."""
    logging.getLogger().addHandler(logging.NullHandler())
