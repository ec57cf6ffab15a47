"""Environment variables to settings. They beat the file."""

from collections.abc import Mapping
from typing import Any

from secrets_cache.config import values
from secrets_cache.config.model import UNREADABLE_TOKEN, Problem
from secrets_cache.config.values import Kind, Unacceptable

# Variable: the setting in `Config`, and its kind. An empty variable counts as not set.
VARIABLES: Mapping[str, tuple[str, Kind[Any]]] = {
    "CACHE_TIMEOUT": ("ttl", values.TTL_MINUTES),
    "SECRETS_CACHE_PORT": ("port", values.Port()),
    "SECRETS_CACHE_LOG_LEVEL": ("log_level", values.LOG_LEVEL),
    "SECRETS_CACHE_TOKEN": ("token", values.TOKEN),
    "SECRETS_CACHE_STRICT": ("strict", values.FLAG_VARIABLE),
}


def from_environment(environ: Mapping[str, str]) -> tuple[dict[str, Any], list[Problem]]:
    """Return the settings that `environ` makes, by their names in `Config`, and what is wrong with the others."""
    settings: dict[str, Any] = {}
    problems: list[Problem] = []
    for variable, (name, kind) in VARIABLES.items():
        text = environ.get(variable, "").strip()
        if not text:
            continue
        try:
            settings[name] = kind.parse(text)
        except Unacceptable:
            if name == "token":
                settings[name] = UNREADABLE_TOKEN
            found = "something else" if name == "token" else repr(text[:60])
            problems.append(Problem(file="environment", line=None, key=variable, found=found, allowed=kind.allowed))
    return settings, problems
