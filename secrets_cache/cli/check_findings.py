"""
What `check` finds wrong with a configuration that is valid: it serves nothing, or it seems mistyped.

None of it is a problem to the extension, which cannot know what is meant.
"""

from collections.abc import Iterator, Mapping, Sequence

from secrets_cache.aws.region_names import is_likely_region, suggest_region
from secrets_cache.cli.inputs import find_unread_file
from secrets_cache.config import Config, Problem
from secrets_cache.config.environment import LIST_VARIABLES, VARIABLES
from secrets_cache.config.suggestions import suggest_word, write_question
from secrets_cache.core.arn import Arn, expand_parameter_name, lacks_slash
from secrets_cache.core.text import shorten
from secrets_cache.errors import add_advice
from secrets_cache.system.files import ConfigFile
from secrets_cache.variables.rules import PARAMETER_STORE, SECRETS_MANAGER, Rule
from secrets_cache.variables.suspects import find_suspects

# In the place of a file: the variables.
ENVIRONMENT = "environment"
PREFIX = "SECRETS_CACHE_"
ALLOWED_SCHEMES = f"{SECRETS_MANAGER} or {PARAMETER_STORE}, for a reference"
# By what follows the prefix: every variable of this project.
NAMES = {name.removeprefix(PREFIX): name for name in (*VARIABLES, *LIST_VARIABLES) if name.startswith(PREFIX)} | {
    name: PREFIX + name for name in ("CONFIG", "CONFIG_YAML", "NEXT_WRAPPER", "LANES")
}
# As CACHE_TIMEOUT has another prefix.
TIME_TO_LIVE = {"TTL": "CACHE_TIMEOUT", "TIMEOUT": "CACHE_TIMEOUT", "CACHE_TIMEOUT": "CACHE_TIMEOUT"}


def find_nothing_served(file: ConfigFile, config: Config, rules: Sequence[Rule]) -> Iterator[Problem]:
    """Yield the problem that a configuration without other problems serves nothing."""
    if config.problems or config.listed or config.allow or config.aws_port or rules:
        return
    if file.exists:
        allowed = "at least one item under secrets, parameters, allow or env"
        yield Problem(file.path, None, "", "nothing that is served", allowed)
        return
    found = add_advice("no such file, and no variable lists anything: nothing is served", find_unread_file())
    yield Problem(file.path, None, "", found, "")


def find_relative_parameters(file: ConfigFile, config: Config) -> Iterator[Problem]:
    """Yield a problem for each parameter that AWS cannot have: a name with slashes begins with one."""
    for item in config.parameters:
        name = item.ref.secret_id
        if lacks_slash(name):
            found = f"{shorten(name)!r}{write_question(expand_parameter_name(name))}"
            yield Problem(*_find_place(file, name), "parameters", found, "a name with slashes that begins with one")


def find_unknown_regions(
    file: ConfigFile, config: Config, rules: Sequence[Rule], variables: Mapping[str, str]
) -> Iterator[Problem]:
    """Yield a problem for each region that is of no known form: where one is given, and in ARNs."""
    found = [(f"region of {item.name}", item.ref.context.region) for item in config.listed]
    ids = [*(item.ref.secret_id for item in config.listed), *(rule.wanted.id for rule in rules)]
    found += {name: arn.region for name in ids if (arn := Arn.parse(name))}.items()
    for key, region in [*found, ("SECRET_REGION", variables.get("SECRET_REGION", "").strip())]:
        if region and not is_likely_region(region):
            place = (ENVIRONMENT, None) if key == "SECRET_REGION" else _find_place(file, region)
            text = f"{region!r}{write_question(suggest_region(region))}"
            yield Problem(*place, shorten(key), text, "the name of an AWS region")


def _find_place(file: ConfigFile, text: str) -> tuple[str, int | None]:
    """Return the file and the number of its first line that holds a text; the environment if none does."""
    lines = (file.data or b"").decode(errors="replace").splitlines()
    number = next((number for number, line in enumerate(lines, 1) if text in line), None)
    return (ENVIRONMENT if number is None else file.path), number


def find_unknown_variables(variables: Mapping[str, str]) -> Iterator[Problem]:
    """Yield a problem for each variable whose name is almost that of a setting."""
    for name in variables:
        rest = name.removeprefix(PREFIX)
        if rest != name and rest not in NAMES:
            meant = TIME_TO_LIVE.get(rest) or NAMES.get(suggest_word(rest, NAMES), "")
            if meant:
                yield Problem(ENVIRONMENT, None, name, f"an unknown setting{write_question(meant)}", "")


def find_wrong_schemes(variables: Mapping[str, str]) -> Iterator[Problem]:
    """Yield a problem for each variable that is almost a reference to a secret."""
    for suspect in find_suspects(variables):
        found, allowed = f"{suspect.scheme!r}{write_question(suspect.meant)}", ALLOWED_SCHEMES
        if suspect.scheme.strip(" \t\"'") == suspect.meant:
            found, allowed = "a reference in quotes or after a blank", "the reference alone"
        yield Problem(ENVIRONMENT, None, suspect.name, found, allowed)
