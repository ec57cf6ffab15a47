"""
The configuration: config.yaml and the environment in, one frozen `Config` and every problem out.

    bytes -> document -> nodes -> schema -> settings and problems --.
             plain_yaml, else pyyaml                                 +-> environment.combine -> Config
    environ ---------------------------------------------------------'

`values` parses single values, and `node_reader` single nodes; `schema` knows the keys. `nodes` is a module of its own,
so that `plain_yaml`, the fast path, and `pyyaml` make the same nodes and know nothing of each other.

Rules
-----
1. Pure: the file's bytes and the environment are arguments.
2. Never fatal. Any bytes at all give a `Config`: valid settings count, an invalid one takes its default, and every
   problem is reported, not just the first.
3. The environment beats the file.
4. Only this package knows YAML.
"""

from collections.abc import Mapping

from secrets_cache.config.document import compose
from secrets_cache.config.environment import combine, combine_unknown, uses_fast_paths
from secrets_cache.config.model import (
    Adjusted,
    AwsLayer,
    Batch,
    Config,
    ListedSecret,
    Metrics,
    Problem,
    Token,
    VariablesFrom,
)
from secrets_cache.config.nodes import DocumentError, Scalar
from secrets_cache.config.schema import read_document

__all__ = [
    "Adjusted",
    "AwsLayer",
    "Batch",
    "Config",
    "ListedSecret",
    "Metrics",
    "Problem",
    "Token",
    "VariablesFrom",
    "parse",
]


def parse(data: bytes | None, *, file: str, environ: Mapping[str, str], unreadable: str | None = None) -> Config:
    """
    Return the configuration in `data` and `environ`. Never raises.

    Args:
        data: The bytes of config.yaml; None if there is no file, which is not a problem.
        file: The file's path, for the problems.
        environ: The environment variables.
        unreadable: Why the file could not be read; None if it could, or if there is none.
    """
    if unreadable is not None:
        return combine_unknown(Problem(file, None, "", f"cannot be read: {unreadable}", ""), environ)
    if data is None:
        return combine({}, [], environ)
    try:
        root = compose(data, is_fast=uses_fast_paths(environ))
    except DocumentError as error:
        return combine_unknown(Problem(file, error.line, "", error.found, error.allowed), environ)
    if isinstance(root, Scalar) and not (root.is_null or root.tag):
        # An .env file, say. Its text is not shown: it may hold a secret.
        allowed = "keys with values, such as secrets: [prod/db]"
        return combine_unknown(Problem(file, root.line, "", "text without a key", allowed), environ)
    return combine(*read_document(root, file), environ)
