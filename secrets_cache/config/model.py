"""
The configuration as values, with their defaults, and what the cache needs of it.

Longer than most modules here: most of it describes settings.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

from secrets_cache.core.freshness import FreshnessPolicy
from secrets_cache.core.named_tuple import NamedTuple
from secrets_cache.core.registry import ListedEntry
from secrets_cache.core.secret import Ref

# A fetch that takes longer than any `fetch_timeout` would only keep the next one from being sent.
MAX_FETCH_SECONDS = 60


class Batch(Enum):
    """Whether the prefetch may use BatchGetSecretValue: above ten secrets, never, or for any number."""

    AUTO = "auto"
    NEVER = "never"
    ALWAYS = "always"


class Metrics(Enum):
    """The form in which metrics are written to the log: none, or CloudWatch's embedded metric format."""

    NONE = "none"
    EMF = "emf"


class Token:
    """
    The text of a token. No repr, format or comparison shows it.

    Attributes:
        text: The token.
    """

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Token) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return "Token(...)"


class Problem(NamedTuple):
    """
    One problem of the configuration.

    Attributes:
        file: The file's path, or "environment".
        line: The line in the file, from 1; None if the problem has no line.
        key: The setting, such as "secrets[2].ttl" or "CACHE_TIMEOUT"; empty for the whole file.
        found: What the setting holds, shortened, or what is wrong in words; never the value of a token.
        allowed: What the setting may hold; empty where `found` says what is wrong.
    """

    file: str
    line: int | None
    key: str
    found: str
    allowed: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        key = f" {self.key}:" if self.key else ""
        return f"{place}:{key} " + (f"found {self.found}; allowed: {self.allowed}" if self.allowed else self.found)

    def as_fields(self) -> "Mapping[str, str | int]":
        """Return the fields of the log event `config.invalid`."""
        known = {name: value for name, value in self._asdict().items() if value not in {None, ""}}
        return {**known, "text": str(self)}


class Adjusted(NamedTuple):
    """
    A number that is allowed by AWS but not here, and is taken as the nearest one.

    Attributes:
        key: The variable.
        found: The number that it holds.
        used: The number that counts.
    """

    key: str
    found: int
    used: int


class ListedSecret(NamedTuple):
    """
    One listed secret, parameter or path of parameters.

    Attributes:
        ref: What to fetch from AWS.
        name: The name in requests; the id where the configuration gives no `name`.
        ttl_seconds: Its own ttl; None for the general one.
        required: Whether the init phase fails without it in strict mode.
    """

    ref: Ref
    name: str
    ttl_seconds: float | None = None
    required: bool = False


class VariablesFrom(NamedTuple):
    """
    An item of `env:`: the variables to set from one secret or parameter.

    Attributes:
        id: Name or ARN.
        is_parameter: Whether it is a parameter of Parameter Store; else a secret of Secrets Manager.
        as_name: The variable for the whole value; empty for one variable for each key.
        key: The key or JSON pointer whose value the variable `as_name` gets; empty for the whole value.
        prefix: The text before each key in the variable's name.
        include: Patterns of the keys to use; empty for all.
        exclude: Patterns of the keys to leave out.
        rename: The variable's whole name, by key.
        upper: Whether names become upper case, except those of `rename`.
        override: Whether a variable that exists already is replaced.
        required: Whether the function does not start without the value.
        allow_reserved: The reserved names, of Lambda and of the program loader, that may be set.
    """

    id: str
    is_parameter: bool = False
    as_name: str = ""
    key: str = ""
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
    The settings of the listener for the protocol of AWS's layer, from that layer's variables.

    Attributes:
        secret_ttl: The largest age of a secret in its answers, in seconds; None if not set.
        parameter_ttl: The same for a parameter.
        secret_timeout: How long a caller waits for a secret, in seconds; None for as long as a fetch may take.
        parameter_timeout: The same for a parameter.
        is_cached: Whether its answers may come from the cache.
        cache_size: The largest number of unlisted entries; 0 keeps none for this listener.
        max_connections: The largest number of connections to AWS; None for the usual one.
        tokens: The tokens that its callers may send, in addition to `Config.tokens`.
    """

    secret_ttl: float | None = None
    parameter_ttl: float | None = None
    secret_timeout: float | None = None
    parameter_timeout: float | None = None
    is_cached: bool = True
    cache_size: int = 1000
    max_connections: int | None = None
    tokens: tuple[Token, ...] = ()


class Config(NamedTuple):
    """
    The whole configuration.

    Attributes:
        secrets: The listed secrets.
        parameters: The listed parameters and paths.
        env: The items of `env:`.
        allow: Patterns of further names that requests may ask for.
        ttl: How long a value is fresh, in seconds, where an item has no ttl of its own.
        refresh_ahead: The share of the ttl, 0 to 1, in which a refresh is due before the value expires; 0 for never.
        stale_while_revalidate: How long past its ttl a value is served during a refresh, in seconds.
        stale_if_error: How long past its ttl a value is served while AWS cannot be reached, in seconds.
        fetch_timeout: The longest time for one secret, all attempts together, in seconds.
        batch: Whether the prefetch uses BatchGetSecretValue.
        port: The TCP port of the cache.
        aws_port: The TCP port of the listener for the protocol of AWS's layer; 0 for none.
        aws_layer: The settings of that listener.
        tokens: The tokens that callers may send; None if none is needed, empty if every request is refused.
        log_level: The name of a level of the logging module.
        metrics: The form in which metrics are written to the log.
        metrics_namespace: Their namespace in CloudWatch.
        metrics_by_secret: Whether the names of secrets may be dimensions and labels of metrics.
        strict: Whether the init phase fails if there is a problem.
        problems: Everything that is wrong with the file and the environment.
        adjusted: The numbers that were taken as others. They are no problems.
        ignored: The variables of AWS's layer that are set although no port for its protocol is, not even 0.
        missing_file: The path where no file was; empty if there was one, or a variable in its place.
        is_unconfigured: Whether there is no file, nobody named one, and nothing else says what the process is for.
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
    tokens: tuple[Token, ...] | None = None
    log_level: str = "INFO"
    metrics: Metrics = Metrics.NONE
    metrics_namespace: str = "secrets-cache"
    metrics_by_secret: bool = False
    strict: bool = False
    problems: tuple[Problem, ...] = ()
    adjusted: tuple[Adjusted, ...] = ()
    ignored: tuple[str, ...] = ()
    missing_file: str = ""
    is_unconfigured: bool = False

    @property
    def is_port_shared(self) -> bool:
        """Whether one port is meant for both protocols. Their paths are different ones, so it speaks both."""
        return self.aws_port == self.port

    @property
    def fetch_budget(self) -> float:
        """The longest time for one fetch, in seconds: callers of AWS's protocol may wait longer than others."""
        longest = max(self.aws_layer.secret_timeout or 0.0, self.aws_layer.parameter_timeout or 0.0)
        return max(self.fetch_timeout, min(longest, MAX_FETCH_SECONDS))

    @property
    def fetch_budget_setting(self) -> str:
        """The setting that `fetch_budget` comes from."""
        if self.fetch_budget <= self.fetch_timeout:
            return "fetch_timeout"
        of_secrets, of_parameters = self.aws_layer.secret_timeout or 0.0, self.aws_layer.parameter_timeout or 0.0
        return f"{'SECRETS_MANAGER' if of_secrets >= of_parameters else 'SSM_PARAMETER_STORE'}_TIMEOUT_MILLIS"

    @property
    def listed(self) -> tuple[ListedSecret, ...]:
        """All listed items: the secrets, then the parameters."""
        return (*self.secrets, *self.parameters)

    def freshness(self, ttl_seconds: float | None = None) -> FreshnessPolicy:
        """Return how long a value is good: with its own ttl, None for the general one."""
        return FreshnessPolicy(
            ttl_seconds=self.ttl if ttl_seconds is None else ttl_seconds,
            refresh_ahead=self.refresh_ahead,
            stale_while_revalidate_seconds=self.stale_while_revalidate,
            stale_if_error_seconds=self.stale_if_error,
        )

    def entries(self) -> list[ListedEntry]:
        """Return the listed items as the cache takes them, each with its names: its `name` first, then its id."""
        names = {item.name for item in self.listed}
        return [
            ListedEntry(
                ref=item.ref,
                names=(item.name, *(name for name in _list_ids(item.ref) if name not in names)),
                policy=self.freshness(item.ttl_seconds),
            )
            for item in self.listed
        ]


def _list_ids(ref: Ref) -> list[str]:
    """
    Return the names that an id gives, with a version or a label also as AWS writes it: `/prod/x:3`.

    Many clients turn the `//` of `/cache//prod/x` into one slash.
    """
    selector = (ref.version_id or ref.version_stage) if ref.is_parameter else None
    ids = [ref.secret_id, *([f"{ref.secret_id}:{selector}"] if selector else [])]
    return ids + [one[1:] for one in ids if ref.is_parameter and one[:1] == "/"]


# A token was given, but it is no valid one. It must not count as no token: every request is refused.
INVALID_TOKEN = None
# In a problem, in place of a value that might be, or hold, a token.
HIDDEN = "a value that is not shown"
