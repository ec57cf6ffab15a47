"""What the commands read: the configuration, and the variables of the function that it is for."""

import argparse
import json
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from secrets_cache.cli.arguments import Usage
from secrets_cache.config import Config, parse
from secrets_cache.system.files import ConfigFile, read_config


def configuration(given: argparse.Namespace, environ: Mapping[str, str]) -> tuple[ConfigFile, Config]:
    """Return the file, and the configuration that it and `environ` make."""
    file = read_config(os.environ, given.config)
    return file, parse(file.data, file=file.path, environ=environ, unreadable=file.unreadable)


def function_variables(name: str) -> dict[str, str]:
    """
    Return the variables in a file: JSON, as `aws lambda` shows them; or NAME=value, one a line, or ended by NUL each.

    Args:
        name: The file's; "-" for standard input.

    Raises:
        Usage: It cannot be read, or is neither.
    """
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise Usage(f"--environment {name}: {error.strerror}") from None
    text = os.fsdecode(data)
    if text.lstrip()[:1] in {"{", "n"} and (found := _of_json(text)) is not None:
        return found
    entries = (entry.partition("=") for entry in text.split("\0" if "\0" in text else "\n"))
    return {name.strip(): value for name, equals, value in entries if equals and not name.lstrip().startswith("#")}


def _of_json(text: str) -> dict[str, str] | None:
    try:
        parsed = json.loads(text)
    except ValueError:
        return None
    # What `get-function-configuration` shows as a whole, its Environment, or that one's Variables; null is none.
    for key in ("Environment", "Variables"):
        if isinstance(parsed, dict) and isinstance(parsed.get(key), dict):
            parsed = parsed[key]
    if parsed is None:
        return {}
    if not isinstance(parsed, dict):
        return None
    return {name: value for name, value in parsed.items() if isinstance(value, str)}


def quiet() -> None:
    """Let nothing be logged: the command itself says what there is to say."""
    logging.getLogger().addHandler(logging.NullHandler())


def complain(text: str) -> None:
    """Write one line to standard error."""
    line = "".join(char if char.isprintable() else "\ufffd" for char in text)
    sys.stderr.write(f"secrets-cache: {line}\n")
