"""Environment variables to settings, and both sources to one `Config`: the environment beats the file."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from secrets_cache.config import values
from secrets_cache.config.model import HIDDEN, INVALID_TOKEN, Adjusted, AwsLayer, Config, ListedSecret, Problem, Token
from secrets_cache.config.values import InvalidValue, Limited, ValueType, suggest_value
from secrets_cache.core.arn import split_selector
from secrets_cache.core.secret import AwsContext, Ref
from secrets_cache.core.text import shorten

Variables = Mapping[str, tuple[str, ValueType[Any]]]

# By variable: the setting in `Config`, and the type of its value. An empty variable counts as not set.
VARIABLES: Variables = {
    "CACHE_TIMEOUT": ("ttl", values.TTL_MINUTES),
    "SECRETS_CACHE_PORT": ("port", values.PORT),
    "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": ("aws_port", values.PORT),
    "SECRETS_CACHE_LOG_LEVEL": ("log_level", values.LOG_LEVEL),
    "SECRETS_CACHE_METRICS": ("metrics", values.METRICS),
    "SECRETS_CACHE_TOKEN": ("token", values.TOKEN),
    "SECRETS_CACHE_STRICT": ("strict", values.FLAG_VARIABLE),
}
# By variable: the setting that its names and ARNs are added to.
LIST_VARIABLES: Variables = {
    "SECRETS_CACHE_SECRETS": ("secrets", values.SECRET_ID),
    "SECRETS_CACHE_PARAMETERS": ("parameters", values.PARAMETER_ID),
}
# What shows that other lists were meant: an array as Terraform's jsonencode writes it, YAML, or names between blanks.
LIST_SIGNS = frozenset("[]\"' ;")
LIST_FORM = "; several need commas between them, without brackets, quotes or dashes"
# The variables of AWS's own layer. They count only if `aws_port` is set.
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
# The variables with the tokens that callers of AWS's layer, or of its agent, send.
LAYER_TOKENS = ("AWS_TOKEN", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN")
# The value of `server.token` that means the token of the function's own session.
SESSION = "session"
# Under SnapStart there is no AWS_SESSION_TOKEN; AWS's own agent takes the container's token there as well.
SESSION_VARIABLES = ("AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN")


def uses_fast_paths(environ: Mapping[str, str]) -> bool:
    """Return whether ordinary requests, calls and files may bypass the libraries: a switch for support and tests."""
    return environ.get("SECRETS_CACHE_LANES", "").strip() != "0"


def combine_unknown(problem: Problem, environ: Mapping[str, str]) -> Config:
    """
    Return the configuration where nothing is known of the file, because of `problem`.

    The file may hold a token. Without one in the environment, what the environment lists is served to nobody.
    """
    if not environ.get("SECRETS_CACHE_TOKEN", "").strip():
        environ = {name: value for name, value in environ.items() if name not in LIST_VARIABLES}
    return combine({}, [problem], environ)


def combine(of_file: Mapping[str, Any], problems_of_file: Sequence[Problem], environ: Mapping[str, str]) -> Config:
    """
    Return the configuration from both sources; what the environment sets wins.

    Args:
        of_file: The file's settings, by their names in `Config`.
        problems_of_file: The file's problems.
        environ: The environment variables.
    """
    of_environment, problems_of_environment = _read(VARIABLES, environ)
    of_lists, problems_of_lists = _read_lists(of_file, environ)
    settings = {**of_file, **of_lists, **of_environment}
    problems = [*problems_of_file, *problems_of_environment, *problems_of_lists]
    if settings.get("aws_port"):
        of_layer, problems_of_layer = _read_layer(environ)
        settings = {**of_layer, **settings}
        problems += problems_of_layer
    elif "aws_port" not in settings:
        settings["ignored"] = tuple(name for name in LAYER_VARIABLES if environ.get(name, "").strip())
    token = settings.pop("token", "")
    if token is INVALID_TOKEN:
        settings["tokens"] = ()
    elif token == SESSION:
        settings["tokens"] = tuple(Token(environ[name]) for name in SESSION_VARIABLES if environ.get(name))[:1]
        if not settings["tokens"]:
            problems.append(
                Problem(
                    file="environment",
                    line=None,
                    key=SESSION_VARIABLES[0],
                    found=f'not set, but server.token is "{SESSION}": every request will be refused',
                    allowed="",
                )
            )
    elif token:
        settings["tokens"] = (Token(token),)
    return Config(**settings, problems=tuple(problems))


def _read_lists(of_file: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[dict[str, Any], list[Problem]]:
    """Return all listed items, those of the file and those that variables add to them, and the variables' problems."""
    listed: dict[str, list[ListedSecret]] = {name: [*of_file.get(name, ())] for name, _ in LIST_VARIABLES.values()}
    names = {item.name for items in listed.values() for item in items}
    problems: list[Problem] = []
    for variable, (name, value_type) in LIST_VARIABLES.items():
        # What the file lists already keeps the file's region, role and ttl.
        known = {item.ref._replace(context=AwsContext()) for item in listed[name]}
        for text in filter(None, map(str.strip, environ.get(variable, "").replace("\n", ",").split(","))):
            found, allowed = repr(shorten(text)), value_type.allowed
            try:
                ref = _make_ref(value_type.parse(text), is_parameter=name == "parameters")
            except InvalidValue as error:
                found += suggest_value(value_type, text)
                form = LIST_FORM if LIST_SIGNS.intersection(text) else ""
                problems.append(Problem("environment", None, variable, found, (str(error) or allowed) + form))
                continue
            if ref in known:
                continue
            if text in names:
                problems.append(Problem("environment", None, variable, f"a second {found}", "each name only once"))
                continue
            known.add(ref)
            names.add(text)
            listed[name].append(ListedSecret(ref, text))
    return {name: tuple(items) for name, items in listed.items()}, problems


def _make_ref(text: str, *, is_parameter: bool) -> Ref:
    if not is_parameter:
        return Ref(text)
    plain, version, label = split_selector(text)
    return Ref(plain, version, label, is_parameter=True)


def _read_layer(environ: Mapping[str, str]) -> tuple[dict[str, Any], list[Problem]]:
    """Return the settings that the variables of AWS's own layer make, by their names in `Config`, and the problems."""
    settings, problems = _read(LAYER_VARIABLES, environ)
    found = {"log_level": settings.pop("log_level")} if "log_level" in settings else {}
    for name in ("secret_timeout", "parameter_timeout"):
        # Milliseconds, and 0 for none.
        settings[name] = settings.get(name, 0) / 1000 or None
    tokens = tuple(Token(token) for name in LAYER_TOKENS if (token := environ.get(name, "").strip()))
    adjusted = tuple(_list_adjusted(environ))
    return {**found, "aws_layer": AwsLayer(**settings, tokens=tokens), "adjusted": adjusted}, problems


def _list_adjusted(environ: Mapping[str, str]) -> Iterator[Adjusted]:
    """Yield the numbers among the layer's variables that are taken as others."""
    for variable, (_, value_type) in LAYER_VARIABLES.items():
        if isinstance(value_type, Limited):
            with contextlib.suppress(InvalidValue):
                text = environ.get(variable, "").strip()
                found, used = value_type.parse_unlimited(text), value_type.parse(text)
                if found != used:
                    yield Adjusted(variable, found, used)


def _read(variables: Variables, environ: Mapping[str, str]) -> tuple[dict[str, Any], list[Problem]]:
    settings: dict[str, Any] = {}
    problems: list[Problem] = []
    for variable, (name, value_type) in variables.items():
        text = environ.get(variable, "").strip()
        if not text:
            continue
        try:
            settings[name] = value_type.parse(text)
        except InvalidValue:
            if name == "token":
                settings[name] = INVALID_TOKEN
            found = HIDDEN if name == "token" else repr(shorten(text)) + suggest_value(value_type, text)
            problems.append(
                Problem(file="environment", line=None, key=variable, found=found, allowed=value_type.allowed)
            )
    return settings, problems
