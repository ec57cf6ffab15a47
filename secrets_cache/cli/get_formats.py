"""
The forms in which `get` prints values: one JSON object, lines for `docker --env-file`, or lines for a shell. Pure.

Rule: a value arrives exactly, or it is refused; nothing is cut, escaped halfway or guessed.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import NoReturn

from secrets_cache.cli.arguments import CannotRun

# Docker reads the file by lines of at most so many bytes, the line end included.
MAX_ENV_LINE = 64 * 1024 - 1


def format_json(values: Mapping[str, bytes]) -> bytes:
    """Return an object by name: objects and arrays as they were written, everything else as a string."""
    members = [f"{json.dumps(name)}: {_write_json(name, value)}" for name, value in values.items()]
    return f"{{{', '.join(members)}}}\n".encode()


def _write_json(name: str, value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise CannotRun(f"{name!r} is not text, so JSON cannot hold it; get it alone, with --format text") from None
    try:
        # As RFC 8259 has it, without the NaN of Python.
        is_structure = isinstance(json.loads(text, parse_constant=_refuse), dict | list)
    except (ValueError, RecursionError):
        is_structure = False
    return text.strip() if is_structure else json.dumps(text)


def _refuse(text: str) -> NoReturn:
    raise ValueError(text)


def format_env(values: Mapping[str, bytes]) -> bytes:
    """Return a line NAME=value for each, as `docker run --env-file` takes it; other readers of such files unquote."""
    lines = []
    for name, variable in name_variables(values).items():
        line = f"{variable}=".encode() + values[name]
        obstacle = _find_obstacle(values[name], line)
        if obstacle:
            raise CannotRun(f"{name!r} {obstacle}, which a line NAME=value cannot hold; use --format shell or json")
        lines.append(line + b"\n")
    return b"".join(lines)


def _find_obstacle(value: bytes, line: bytes) -> str:
    """Return what a line cannot hold; empty if it can hold the value."""
    for byte, what in (
        (b"\n", "contains a line break"),
        (b"\r", "contains a carriage return"),
        (b"\0", "contains NUL"),
    ):
        if byte in value:
            return what
    try:
        value.decode()
    except UnicodeDecodeError:
        return "is not text"
    return f"makes a line of more than {MAX_ENV_LINE} bytes" if len(line) > MAX_ENV_LINE else ""


def format_shell(values: Mapping[str, bytes]) -> bytes:
    """Return a line `export NAME='value'` for each, which any POSIX shell takes back exactly."""
    lines = []
    for name, variable in name_variables(values).items():
        if b"\0" in values[name]:
            raise CannotRun(f"{name!r} contains NUL, which no variable can hold")
        quoted = values[name].replace(b"'", b"'\\''")
        lines.append(f"export {variable}='".encode() + quoted + b"'\n")
    return b"".join(lines)


def name_variables(names: Mapping[str, bytes]) -> dict[str, str]:
    """
    Return the variable for each name: upper case, with an underscore for whatever a variable's name cannot hold.

    The slash before a parameter's name is left out.
    """
    variables: dict[str, str] = {}
    owners: dict[str, str] = {}
    for name in names:
        variable = re.sub(
            "[^A-Z0-9_]", "_", re.sub("[a-z]", lambda letter: letter[0].upper(), name.lstrip("/") or name)
        )
        variable = f"_{variable}" if variable[:1].isdigit() else variable
        other = owners.setdefault(variable, name)
        if other != name:
            raise CannotRun(f"{other!r} and {name!r} would both be the variable {variable}; get them one by one")
        variables[name] = variable
    return variables


FORMATTERS: Mapping[str, Callable[[Mapping[str, bytes]], bytes]] = {
    "json": format_json,
    "env": format_env,
    "shell": format_shell,
}
