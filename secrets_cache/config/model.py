"""What a configuration is, once read: the values, their defaults, and how file and environment are put together."""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import Any, NamedTuple

from secrets_cache.core.secret import Ref, repr_without


class Batch(Enum):
    """Whether the prefetch may use BatchGetSecretValue: above ten secrets, never, or for any number."""

    AUTO = "auto"
    NEVER = "never"
    ALWAYS = "always"


class Metrics(Enum):
    """In which form counts are written to the log, besides the line at the end: not at all, or CloudWatch's own."""

    NONE = "none"
    EMF = "emf"


class Problem(NamedTuple):
    """
    One thing that is wrong with the configuration.

    Attributes:
        file: The file's path, or "environment".
        line: Line in the file, from 1; None if no line is to blame.
        key: The setting, such as "secrets[2].ttl" or "CACHE_TIMEOUT"; empty for the file as a whole.
        found: What stands there, shortened; never the value of a token.
        allowed: What would be right.
    """

    file: str
    line: int | None
    key: str
    found: str
    allowed: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        key = f" {self.key}:" if self.key else ""
        return f"{place}:{key} found {self.found}; allowed: {self.allowed}"

    def as_fields(self) -> "Mapping[str, str | int]":
        """Return the fields of the log event `config.invalid`."""
        known = {name: value for name, value in self._asdict().items() if value not in {None, ""}}
        return {**known, "text": str(self)}


class ListedSecret(NamedTuple):
    """
    One secret, parameter or path of parameters that config.yaml lists.

    Attributes:
        ref: What AWS is asked for.
        name: What it is served as; the id itself where no `name` is given.
        ttl_seconds: Its own ttl; None for the general one.
        required: Whether the init counts as failed without it.
    """

    ref: Ref
    name: str
    ttl_seconds: float | None = None
    required: bool = False


class VariablesFrom(NamedTuple):
    """
    An item of `env:`: what one secret or parameter becomes.

    Attributes:
        id: Name or ARN.
        is_parameter: Whether it is Parameter Store's; else, Secrets Manager's.
        as_name: The variable that the whole value becomes; empty for one variable for each key.
        prefix: What stands before a key.
        include: The keys that count; empty for all.
        exclude: Those that do not.
        rename: The whole names of some.
        upper: Whether names are put in capitals, but for those of `rename`.
        override: Whether a variable that is there already is overridden.
        required: Whether the function does not start without it.
        allow_reserved: The names among Lambda's and the loader's own that may be set.
    """

    id: str
    is_parameter: bool = False
    as_name: str = ""
    prefix: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    rename: Mapping[str, str] = MappingProxyType({})
    upper: bool = False
    override: bool = True
    required: bool = True
    allow_reserved: tuple[str, ...] = ()


class AwsLayer(NamedTuple):
    """
    What the listener that speaks the protocol of AWS's own layer does, by the variables of that layer.

    Attributes:
        secret_ttl: The age in seconds at which a secret is too old there; None if it was not set.
        parameter_ttl: The same of a parameter.
        secret_timeout: How long a caller waits for a secret, in seconds; None for as long as a fetch may take.
        parameter_timeout: The same for a parameter.
        is_cached: Whether anything is kept for it at all.
        cache_size: How many entries are kept besides the listed ones.
        max_connections: How many connections to AWS there are; None for as many as otherwise.
        tokens: The tokens that its callers may send, besides those of `Config.tokens`.
    """

    secret_ttl: float | None = None
    parameter_ttl: float | None = None
    secret_timeout: float | None = None
    parameter_timeout: float | None = None
    is_cached: bool = True
    cache_size: int = 1000
    max_connections: int | None = None
    tokens: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return repr_without("tokens", self)


class Config(NamedTuple):
    """
    Everything that can be set. All times in seconds.

    Attributes:
        refresh_ahead: The share of the ttl, 0 to 1, in which a refresh is due before the value expires; 0 for never.
        tokens: The tokens a caller may send; None if none is needed, empty if none can be right.
        strict: Whether a problem fails the init instead of being reported and lived with.
        aws_port: Where the protocol of AWS's own layer is spoken; 0 for nowhere.
        aws_layer: What is done there.
        log_level: A level of the logging module, by name.
        metrics: In which form counts are written to the log.
        metrics_namespace: What CloudWatch finds them under.
        metrics_by_secret: Whether the names of secrets may be dimensions and labels of metrics.
    """

    secrets: tuple[ListedSecret, ...] = ()
    parameters: tuple[ListedSecret, ...] = ()
    env: tuple[VariablesFrom, ...] = ()
    allow: tuple[str, ...] = ()
    ttl: float = 600.0
    refresh_ahead: float = 0.1
    stale_while_revalidate: float = 0.0
    stale_if_error: float = 3600.0
    fetch_timeout: float = 5.0
    batch: Batch = Batch.AUTO
    port: int = 8080
    aws_port: int = 0
    aws_layer: AwsLayer = AwsLayer()
    tokens: tuple[str, ...] | None = None
    log_level: str = "INFO"
    metrics: Metrics = Metrics.NONE
    metrics_namespace: str = "secrets-cache"
    metrics_by_secret: bool = False
    strict: bool = False
    problems: tuple[Problem, ...] = ()

    @property
    def listed(self) -> tuple[ListedSecret, ...]:
        """All that is kept at hand: the secrets, then the parameters."""
        return (*self.secrets, *self.parameters)

    def __repr__(self) -> str:
        return repr_without("tokens", self)


TOKEN_OF_SESSION = "session"  # noqa: S105 - the word that stands for a token, not a token
# Somebody wanted a token and wrote one that cannot be: that must not leave the door open.
UNREADABLE_TOKEN = None


def combine(
    of_file: Mapping[str, Any],
    problems_of_file: Sequence[Problem],
    of_environment: tuple[Mapping[str, Any], Sequence[Problem]],
    layer_of: Callable[[Mapping[str, str]], tuple[Mapping[str, Any], AwsLayer, Sequence[Problem]]],
    environ: Mapping[str, str],
) -> Config:
    """
    Return the configuration made of both; what the environment sets wins.

    Args:
        of_file: The settings of the file.
        problems_of_file: What is wrong with it.
        of_environment: The same two of the environment.
        layer_of: Reads the variables of AWS's own layer, if its protocol is spoken.
        environ: The environment variables.
    """
    settings: dict[str, Any] = {**of_file, **of_environment[0]}
    problems = [*problems_of_file, *of_environment[1]]
    if settings.get("aws_port"):
        level, layer, problems_of_layer = layer_of(environ)
        settings = {**level, **settings, "aws_layer": layer}
        problems += problems_of_layer
    token = settings.pop("token", "")
    if token == TOKEN_OF_SESSION:
        # Under SnapStart there is no AWS_SESSION_TOKEN; AWS's own agent takes the container token there as well.
        names = ("AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN")
        settings["tokens"] = tuple(filter(None, map(environ.get, names)))[:1]
        if not settings["tokens"]:
            problems.append(
                Problem(
                    file="environment",
                    line=None,
                    key=names[0],
                    found="nothing",
                    allowed="the token that server.token: session stands for; until then every request is refused",
                )
            )
    elif token is UNREADABLE_TOKEN:
        settings["tokens"] = ()
    elif token:
        settings["tokens"] = (token,)
    return Config(**settings, problems=tuple(problems))
