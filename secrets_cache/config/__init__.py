"""
The configuration: config.yaml and the environment in, one frozen `Config` out, with every problem found.

    bytes -> document (YAML nodes with their lines) -> schema (values and problems) -> Config
                lane (the plain ones), else engine (PyYAML)                            ^
    environ -> environment (values and problems) --------------------------------------'

Rules
-----
1. Pure: no file is opened and no process environment is read here; both are handed in.
2. Never fatal. Any bytes at all give a `Config`: what is valid counts, a bad setting takes its default, and every
   problem is reported, not just the first.
3. The environment beats the file.
4. Only this package knows YAML.
"""

from collections.abc import Mapping

from secrets_cache.config.document import compose
from secrets_cache.config.environment import from_environment, layer_of, uses_fast_paths
from secrets_cache.config.model import AwsLayer, Batch, Config, ListedSecret, Metrics, Problem, VariablesFrom, combine
from secrets_cache.config.nodes import DocumentError
from secrets_cache.config.schema import FromFile, from_document

__all__ = ["AwsLayer", "Batch", "Config", "ListedSecret", "Metrics", "Problem", "VariablesFrom", "parse"]


def parse(data: bytes | None, *, file: str, environ: Mapping[str, str], unreadable: str | None = None) -> Config:
    """
    Return the configuration that `data` and `environ` describe. Never raises.

    Args:
        data: The bytes of config.yaml; None where there is no file, which is no problem.
        file: The file's path, for the problems.
        environ: The environment variables.
        unreadable: Why the file could not be read; None if it could, or if there is none.
    """
    found = FromFile()
    if unreadable is not None:
        found.problems.append(
            Problem(file=file, line=None, key="", found=unreadable, allowed="a readable YAML file in UTF-8")
        )
    elif data is not None:
        try:
            found = from_document(compose(data, has_lane=uses_fast_paths(environ)), file)
        except DocumentError as error:
            found.problems.append(Problem(file=file, line=error.line, key="", found=error.found, allowed=error.allowed))
    return combine(found.settings, found.problems, from_environment(environ), layer_of, environ)
