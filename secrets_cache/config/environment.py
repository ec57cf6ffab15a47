"""Environment variables to settings. They beat the file."""

from collections.abc import Mapping, Sequence
from typing import Any

from secrets_cache.config import values
from secrets_cache.config.model import UNREADABLE_TOKEN, AwsLayer, Problem
from secrets_cache.config.values import Kind, Unacceptable

Variables = Mapping[str, tuple[str, Kind[Any]]]

# Variable: the setting in `Config`, and its kind. An empty variable counts as not set.
VARIABLES: Variables = {
    "CACHE_TIMEOUT": ("ttl", values.TTL_MINUTES),
    "SECRETS_CACHE_PORT": ("port", values.Port()),
    "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": ("aws_port", values.Port()),
    "SECRETS_CACHE_LOG_LEVEL": ("log_level", values.LOG_LEVEL),
    "SECRETS_CACHE_METRICS": ("metrics", values.METRICS),
    "SECRETS_CACHE_TOKEN": ("token", values.TOKEN),
    "SECRETS_CACHE_STRICT": ("strict", values.FLAG_VARIABLE),
}
# Those of AWS's own layer, which count where its protocol is spoken.
# https://docs.aws.amazon.com/secretsmanager/latest/userguide/retrieving-secrets_lambda.html
LAYER_VARIABLES: Variables = {
    "SECRETS_MANAGER_TTL": ("secret_ttl", values.LAYER_TTL),
    "SSM_PARAMETER_STORE_TTL": ("parameter_ttl", values.LAYER_TTL),
    "SECRETS_MANAGER_TIMEOUT_MILLIS": ("secret_timeout", values.LAYER_TIMEOUT),
    "SSM_PARAMETER_STORE_TIMEOUT_MILLIS": ("parameter_timeout", values.LAYER_TIMEOUT),
    "PARAMETERS_SECRETS_EXTENSION_CACHE_ENABLED": ("is_cached", values.FLAG_VARIABLE),
    "PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE": ("cache_size", values.LAYER_CACHE_SIZE),
    "PARAMETERS_SECRETS_EXTENSION_MAX_CONNECTIONS": ("max_connections", values.LAYER_CONNECTIONS),
    "PARAMETERS_SECRETS_EXTENSION_LOG_LEVEL": ("log_level", values.LAYER_LOG_LEVEL),
}
# What callers of AWS's layer, or of its agent, send as their token.
LAYER_TOKENS = ("AWS_TOKEN", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN")


def uses_fast_paths(environ: Mapping[str, str]) -> bool:
    """Return whether ordinary requests, calls and files may pass the libraries by: a switch for support and tests."""
    return environ.get("SECRETS_CACHE_LANES", "").strip() != "0"


def from_environment(environ: Mapping[str, str]) -> tuple[dict[str, Any], list[Problem]]:
    """Return the settings that `environ` makes, by their names in `Config`, and what is wrong with the others."""
    return _read(VARIABLES, environ)


def layer_of(environ: Mapping[str, str]) -> tuple[dict[str, Any], AwsLayer, Sequence[Problem]]:
    """Return what the variables of AWS's own layer say: of the log level, of its listener, and what is wrong."""
    settings, problems = _read(LAYER_VARIABLES, environ)
    level = {"log_level": settings.pop("log_level")} if "log_level" in settings else {}
    for name in ("secret_timeout", "parameter_timeout"):
        # Milliseconds, and 0 for none.
        settings[name] = settings.get(name, 0) / 1000 or None
    tokens = tuple(filter(None, (environ.get(name, "").strip() for name in LAYER_TOKENS)))
    return level, AwsLayer(**settings, tokens=tokens), problems


def _read(variables: Variables, environ: Mapping[str, str]) -> tuple[dict[str, Any], list[Problem]]:
    settings: dict[str, Any] = {}
    problems: list[Problem] = []
    for variable, (name, kind) in variables.items():
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
