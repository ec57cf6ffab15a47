"""What the commands read: the configuration, and the variables of the function that it is for."""

import argparse
import json
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from secrets_cache.cli.arguments import CannotRun, Usage
from secrets_cache.config import Config
from secrets_cache.loading import parse_config
from secrets_cache.system.files import ConfigFile, read_config_file, read_config_variable


class UnusableVariables(Usage):
    """What should hold a function's variables was read, and holds none."""


def read_configuration(given: argparse.Namespace, environ: Mapping[str, str]) -> tuple[ConfigFile, Config]:
    """Return the file, or the variable in its place, and the configuration that it and `environ` give together."""
    # A path in the function's variables is one of Lambda's machine.
    file = read_config_variable(environ) or read_config_file(os.environ, given.config)
    config = parse_config(file, environ)
    if getattr(given, "from_file", "") and not (file.exists or config.listed or config.allow):
        # A file for development needs no second one that lists its names.
        config = config._replace(allow=("*",), is_unconfigured=False)
    return file, config


def read_existing_configuration(given: argparse.Namespace, environ: Mapping[str, str]) -> tuple[ConfigFile, Config]:
    """Return what `read_configuration` does. Raises `CannotRun` if `--config` names a file that does not exist."""
    file, config = read_configuration(given, environ)
    if given.config and not file.exists:
        raise CannotRun(f"--config {given.config}: no such file")
    return file, config


def read_function_variables(name: str) -> dict[str, str]:
    """
    Return the variables in a file: JSON as `aws lambda` prints it, or NAME=value entries that end in a newline or NUL.

    Args:
        name: The file's name; "-" for standard input.

    Raises:
        Usage: The file cannot be read.
        UnusableVariables: It is empty, holds something else, or AWS's answer that it could not read the variables.
    """
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise Usage(f"--environment {name}: {error.strerror}") from None
    text = os.fsdecode(data).removeprefix("\ufeff")
    if text.count("\n") == text.count("\r\n"):
        text = text.replace("\r\n", "\n")
    if text.lstrip()[:1] in {"{", "n"} and (found := _parse_json(text)) is not None:
        return found
    if not text.strip():
        raise UnusableVariables(f"--environment {name}: the input is empty: no variables were checked")
    entries = (entry.partition("=") for entry in text.split("\0" if "\0" in text else "\n"))
    parts = [entry for entry in entries if entry[0].strip() and not entry[0].lstrip().startswith("#")]
    if parts and not any(equals for _, equals, _ in parts):
        raise UnusableVariables(f"--environment {name}: the input is neither JSON nor NAME=value entries")
    # Files that shells read have the word.
    return {name.strip().removeprefix("export "): value for name, equals, value in parts if equals}


def _parse_json(text: str) -> dict[str, str] | None:
    try:
        parsed = json.loads(text)
    except ValueError:
        return None
    environment = parsed.get("Environment", parsed) if isinstance(parsed, dict) else None
    error = environment.get("Error") if isinstance(environment, dict) else None
    if isinstance(error, dict):
        raise UnusableVariables(
            f"--environment: AWS could not read the variables: {error.get('ErrorCode')}: {error.get('Message')}"
        )
    # The whole of `get-function-configuration`, its Environment, or its Variables; null means none.
    for key in ("Environment", "Variables"):
        if isinstance(parsed, dict) and isinstance(parsed.get(key), dict):
            parsed = parsed[key]
    if parsed is None:
        return {}
    if not isinstance(parsed, dict):
        return None
    if parsed and not any(isinstance(value, str) for value in parsed.values()):
        raise UnusableVariables(
            "--environment: the input is JSON without variables; allowed: what `aws lambda get-function-configuration` "
            "prints, its Environment, or its Variables"
        )
    return {name: value for name, value in parsed.items() if isinstance(value, str)}


def silence_logs() -> None:
    """Log nothing: the command prints everything itself."""
    logging.getLogger().addHandler(logging.NullHandler())
