"""
What each key of config.yaml means, and its default, for editors.

Only `json_schema` imports this, so the extension holds none of it. A key that is missing here has no schema.
A default that is a value comes from `model`; one that is in words is as in docs/configuration.md.
"""

from collections.abc import Mapping

from secrets_cache.config.model import Config, ListedSecret, VariablesFrom

# By key: one sentence, and the default, a value or words.
Meanings = Mapping[str, tuple[str, object]]

_CONFIG = Config()
_VARIABLES = VariablesFrom("")
_NONE = "none"
_NEEDED = "none; required"

TOP: Meanings = {
    "secrets": ("Secrets that are fetched at the start, kept in memory, and fetched again before they expire.", _NONE),
    "parameters": ("Parameters of SSM Parameter Store, fetched and kept as secrets are.", _NONE),
    "allow": ("Further names and ARNs that callers may request.", _NONE),
    "env": ("Environment variables that the exec wrapper sets from secrets and parameters.", _NONE),
    "ttl": ("How long a value is served without asking AWS.", _CONFIG.ttl),
    "refresh_ahead": (
        "The last part of the ttl, in which a value is fetched again while callers get the cached one.",
        _CONFIG.refresh_ahead,
    ),
    "stale_while_revalidate": (
        "How long past its ttl a value is served while a new one is fetched.",
        _CONFIG.stale_while_revalidate,
    ),
    "stale_if_error": (
        "How long past its ttl a value is served if AWS gives no usable answer.",
        _CONFIG.stale_if_error,
    ),
    "fetch_timeout": ("How long a fetch may take, all attempts together.", _CONFIG.fetch_timeout),
    "batch": (
        "Whether the first fetch gets up to 20 secrets with one call; auto does with more than ten secrets.",
        _CONFIG.batch,
    ),
    "metrics": ("Whether counts are logged while the process runs, and how.", _CONFIG.metrics),
    "server": ("The ports on localhost, and the token that callers must send.", "that of each key"),
    "CacheManager": ("The older shape: groups, whose items are added to secrets and parameters.", _NONE),
}
SERVER: Meanings = {
    "port": ("The port on localhost.", _CONFIG.port),
    "aws_port": ("The port for clients of AWS's own layer, which use 2773; 0 for none.", _CONFIG.aws_port),
    "token": (
        "The token that callers must send; the word session means the one in AWS_SESSION_TOKEN.",
        '"", no token is needed',
    ),
}
METRICS: Meanings = {
    "format": ("Whether counts are logged; emf is CloudWatch's embedded metric format.", _CONFIG.metrics),
    "namespace": ("The namespace in CloudWatch.", _CONFIG.metrics_namespace),
    "by_secret": ("Whether listed names are dimensions and labels of metrics.", _CONFIG.metrics_by_secret),
}
SECRET: Meanings = {
    "id": ("What to fetch.", _NEEDED),
    "name": ("A name for requests besides the id.", "the id"),
    "region": ("The region to fetch it from.", "the region in the ARN, else the function's own"),
    "role_arn": ("The role to assume for reading it.", "the function's own role"),
    "external_id": ("The external id that the role's trust policy requires; only with role_arn.", _NONE),
    "session_name": (
        "The session's name in CloudTrail; only with role_arn.",
        "secrets-cache- and the function's name",
    ),
    "version_stage": ("The staging label of the version to serve.", "AWSCURRENT"),
    "ttl": ("How long this value is served without asking AWS.", "the general ttl"),
    "required": (
        "Whether it is an error if the first fetch fails; in strict mode the function does not start then.",
        ListedSecret._field_defaults["required"],
    ),
}
PARAMETER: Meanings = {
    **{key: meaning for key, meaning in SECRET.items() if key != "version_stage"},
    "id": ("What to fetch; a slash at the end means everything below that path.", _NEEDED),
    "version": ("The version's number; not for a path.", "the newest"),
    "label": ("The version's label; not for a path, nor with version.", _NONE),
}
VARIABLES: Meanings = {
    "secret": ("The secret whose value becomes variables.", "this or parameter"),
    "parameter": ("The parameter whose value becomes variables.", "this or secret"),
    "prefix": ("The text before each key in a variable's name.", _NONE),
    "as": ("The variable for the whole value, or for key.", "a variable for each key of the JSON object"),
    "key": ("The key whose value the variable in as gets.", "the whole value"),
    "upper": ("Whether prefix and keys become capitals in names, except in rename.", _VARIABLES.upper),
    "override": ("Whether variables that exist are replaced.", _VARIABLES.override),
    "required": ("Whether the function does not start without the value.", _VARIABLES.required),
    "include": ("Patterns of the keys to use; those of rename are used too.", "all"),
    "exclude": ("Patterns of the keys to leave out.", _NONE),
    "allow_reserved": ("Variables of Lambda or the program loader that it may set.", _NONE),
    "rename": ("The variable's full name by key; each key must exist.", _NONE),
}
