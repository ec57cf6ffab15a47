"""
Variables whose values are almost references: nothing replaces them, so the function gets the text as its secret.

Only imported if there may be one (`rules.resembles_reference`).

Rule: nothing of a value is logged, not even its scheme: it may be a secret.
"""

import logging
import re
from collections.abc import Iterator, Mapping

from secrets_cache.config.suggestions import suggest_word
from secrets_cache.core.named_tuple import NamedTuple
from secrets_cache.variables.rules import PARAMETER_STORE, SECRETS_MANAGER, resembles_reference

logger = logging.getLogger(__name__)

SCHEMES = {reference.partition(":")[0]: reference for reference in (SECRETS_MANAGER, PARAMETER_STORE)}
# The short one is close to other programs' schemes, such as ssh.
LONG_SCHEMES = (SECRETS_MANAGER.partition(":")[0],)
# Those of Spring Cloud and of the Go Cloud Development Kit, whose programs read such values themselves.
OTHERS = frozenset({"aws-secretsmanager", "awssecretsmanager", "gcpsecretmanager"})


class Suspect(NamedTuple):
    """
    A variable whose value is almost a reference.

    Attributes:
        name: The variable's name.
        scheme: How its value begins, up to the slashes.
        meant: How a reference begins.
    """

    name: str
    scheme: str
    meant: str

    def as_fields(self) -> dict[str, str]:
        """Return the fields of the log event `variable.suspect`."""
        text = f"the value stays as it is; a reference begins with {self.meant}"
        return {"name": self.name, "text": text}


def find_suspects(variables: Mapping[str, str]) -> Iterator[Suspect]:
    """Yield the variables that are almost references."""
    for name, value in variables.items():
        found = (
            re.match(r"[\s\"']*([A-Za-z-]{2,20}):(?:/{1,2}|(?=[a-z]))", value) if resembles_reference(value) else None
        )
        if found is None or found[1].lower() in OTHERS:
            continue
        scheme = found[1].lower()
        # Without a slash, only the exact word is one: other texts have colons.
        meant = SCHEMES.get(scheme) or (not found[0].endswith(":") and SCHEMES.get(suggest_word(scheme, LONG_SCHEMES)))
        if meant:
            yield Suspect(name, found[0], meant)


def log_suspects(variables: Mapping[str, str]) -> None:
    """Log a warning for each variable that is almost a reference."""
    for suspect in find_suspects(variables):
        logger.warning("variable.suspect", suspect.as_fields())
