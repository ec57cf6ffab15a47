"""Whether the name of a region has the form of AWS's names, and which one was probably meant. For messages only."""

from secrets_cache.aws.endpoint_table import PREFIXES, REGIONS
from secrets_cache.config import suggestions

# The second part of a region's name: eu-west-1.
DIRECTIONS = ("north", "south", "east", "west", "central", "northeast", "northwest", "southeast", "southwest")


def is_likely_region(name: str) -> bool:
    """Return whether AWS has such a region, or may have it one day: its parts are known ones."""
    prefix, direction, number = _split(name)
    return name in REGIONS or (prefix in PREFIXES and direction in DIRECTIONS and number.isdecimal())


def suggest_region(name: str) -> str:
    """Return the region that a name probably means; empty if that is unknown, or if the name itself may be one."""
    if is_likely_region(name):
        return ""
    prefix, direction, number = _split(suggestions.suggest_region(name))
    meant = suggestions.suggest_word(prefix, PREFIXES), suggestions.suggest_word(direction, DIRECTIONS)
    return "-".join((*meant, number)) if all(meant) and number.isdecimal() else ""


def _split(name: str) -> tuple[str, str, str]:
    place, _, number = name.rpartition("-")
    prefix, _, direction = place.rpartition("-")
    return prefix, direction, number
