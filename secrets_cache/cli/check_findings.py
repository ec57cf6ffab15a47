"""
What `check` finds wrong with a configuration that is valid: it serves nothing, or names what hardly exists.

None of it is a problem to the extension, which cannot know what is meant.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from secrets_cache.aws.endpoint_table import PREFIXES, REGIONS
from secrets_cache.config import Config, Problem
from secrets_cache.config.suggestions import ask, suggest_word
from secrets_cache.core.text import shorten
from secrets_cache.system.files import ConfigFile
from secrets_cache.variables.rules import PARAMETER_STORE, SECRETS_MANAGER, Rule

# The second part of a region's name: eu-west-1.
DIRECTIONS = ("north", "south", "east", "west", "central", "northeast", "northwest", "southeast", "southwest")


def find_nothing(file: ConfigFile, config: Config, rules: Sequence[Rule]) -> Iterator[Problem]:
    """Yield the problem that a configuration without other problems serves nothing."""
    if config.problems or config.listed or config.allow or config.aws_port or rules:
        return
    if file.exists:
        allowed = "at least one item under secrets, parameters, allow or env"
        yield Problem(file.path, None, "", "nothing that is served", allowed)
        return
    here = Path("config.yaml")
    hint = "; there is a config.yaml in this folder: --config config.yaml checks it" if here.is_file() else ""
    yield Problem(file.path, None, "", f"no such file, and no variable lists anything: nothing is served{hint}", "")


def find_unknown_regions(file: ConfigFile, config: Config, variables: Mapping[str, str]) -> Iterator[Problem]:
    """Yield a problem for each region that is of no known form."""
    regions = [(file.path, item.name, item.ref.context.region) for item in config.listed]
    for path, key, region in [*regions, ("environment", "SECRET_REGION", variables.get("SECRET_REGION", "").strip())]:
        prefix, _, rest = region.rpartition("-")[0].rpartition("-")
        if region and region not in REGIONS and not (prefix in PREFIXES and rest in DIRECTIONS):
            meant = suggest_word(prefix, PREFIXES), suggest_word(rest, DIRECTIONS)
            suggestion = "-".join([*meant, region.rpartition("-")[2]]) if all(meant) else ""
            yield Problem(path, None, key, f"{region!r}{ask(suggestion)}", "the name of an AWS region")


def find_wrong_schemes(variables: Mapping[str, str]) -> Iterator[Problem]:
    """Yield a problem for each variable that is almost a reference to a secret."""
    for name, value in variables.items():
        if value.startswith((SECRETS_MANAGER, PARAMETER_STORE)):
            continue
        if value.lstrip(" \t\"'").startswith((SECRETS_MANAGER, PARAMETER_STORE)):
            yield Problem("environment", None, name, "a reference in quotes or after a blank", "the reference alone")
            continue
        scheme = re.match(r"([A-Za-z-]{2,20}):/+", value)
        if scheme is None:
            continue
        known = {SECRETS_MANAGER.partition(":")[0]: SECRETS_MANAGER, PARAMETER_STORE.partition(":")[0]: PARAMETER_STORE}
        # The short one is close to other programs' schemes, such as ssh.
        meant = scheme[1].lower() if scheme[1].lower() in known else suggest_word(scheme[1], [next(iter(known))])
        if meant:
            found = f"{shorten(scheme[0])!r}{ask(known[meant])}"
            yield Problem("environment", None, name, found, f"{SECRETS_MANAGER} or {PARAMETER_STORE}, for a reference")
