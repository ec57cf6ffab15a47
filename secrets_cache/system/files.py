"""
Reads the two kinds of files: the configuration, as bytes, from a file or a variable, and tokens.

Nothing slow is imported: the configuration is read before the ports are bound.
"""

from __future__ import annotations

import os
import stat

# Not from typing, whose import takes longer than the registration itself.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# The parser takes about a second for this much, on a core of its own.
MAX_BYTES = 128 * 1024
# No longer header is accepted.
MAX_TOKEN_BYTES = 8 * 1024
DEFAULT_ROOT = "/var/task"
# Holds the text of a configuration file, in place of one.
CONFIG_VARIABLE = "SECRETS_CACHE_CONFIG_YAML"


class ConfigFile:
    """
    The configuration file, or the variable in its place.

    Attributes:
        path: Where it is, or would be; the variable's name if a variable holds it.
        data: Its bytes; None if it does not exist, or cannot be read.
        unreadable: Why it cannot be read; None if it was read, or if it does not exist and nobody named it.
        exists: Whether there is such a file, readable or not.
    """

    __slots__ = ("data", "exists", "path", "unreadable")

    def __init__(
        self, path: str, data: bytes | None = None, unreadable: str | None = None, *, exists: bool = True
    ) -> None:
        self.path = path
        self.data = data
        self.unreadable = unreadable
        self.exists = exists


def read_config(environ: Mapping[str, str], path: str = "") -> ConfigFile:
    """
    Return the configuration file: `path`, else $SECRETS_CACHE_CONFIG, else config.yaml in the function's folder.

    The text in $SECRETS_CACHE_CONFIG_YAML replaces all of them. Never raises, and never blocks: only a regular file is
    read.
    """
    return read_config_variable(environ) or read_config_file(environ, path)


def read_config_variable(environ: Mapping[str, str]) -> ConfigFile | None:
    """Return what $SECRETS_CACHE_CONFIG_YAML holds, as a file; None if the variable is not set, or blank."""
    text = environ.get(CONFIG_VARIABLE, "")
    if not text.strip():
        return None
    data = os.fsencode(text)
    if len(data) > MAX_BYTES:
        return ConfigFile(CONFIG_VARIABLE, unreadable=_explain_size(MAX_BYTES))
    return ConfigFile(CONFIG_VARIABLE, data)


def read_config_file(environ: Mapping[str, str], path: str = "") -> ConfigFile:
    """Return the configuration file, as `read_config` does, without a look at $SECRETS_CACHE_CONFIG_YAML."""
    named = path or environ.get("SECRETS_CACHE_CONFIG", "")
    # An extension does not see LAMBDA_TASK_ROOT; a sidecar or a container may.
    path = named or os.path.join(environ.get("LAMBDA_TASK_ROOT") or DEFAULT_ROOT, "config.yaml")  # noqa: PTH118
    try:
        return ConfigFile(path, read_bytes(path, MAX_BYTES))
    except FileNotFoundError:
        return ConfigFile(path, unreadable="no such file" if named else None, exists=False)
    except (OSError, ValueError) as error:
        return ConfigFile(path, unreadable=getattr(error, "strerror", None) or str(error))


def read_token(path: str) -> str:
    """
    Return the token in a file, without blanks around it. Never blocks.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not a regular file, or empty, or larger than any token.
    """
    token = read_bytes(path, MAX_TOKEN_BYTES).decode("utf-8", "surrogateescape").strip()
    if not token:
        raise ValueError("it is empty")
    return token


def read_bytes(path: str, max_bytes: int) -> bytes:
    """
    Return what is in a regular file. Never blocks.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not a regular file, or larger than `max_bytes`.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(max_bytes + 1)
    finally:
        os.close(descriptor)
    if len(data) > max_bytes:
        raise ValueError(_explain_size(max_bytes))
    return data


def _explain_size(max_bytes: int) -> str:
    return f"it is larger than {max_bytes} bytes"
