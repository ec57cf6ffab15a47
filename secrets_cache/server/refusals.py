"""
Requests that name what there is not, in the log: the name, the key or the parameter, and what was probably meant.

Many clients show no body of an error, so the log is where a mistake in the function's code is found.

Rules
-----
1. Callers choose these texts: each is shortened and logged once, and no more than `MAX_LOGGED` of one event. What is
   not logged gets no suggestion either, so that a flood of such requests costs no more than a look-up each.
2. Nothing of a secret shows: neither a value nor what keys it has.
3. Imported for the first such request: neither the start nor a hit needs it.
"""

import logging
from collections.abc import Sequence

from secrets_cache.config import Config
from secrets_cache.core.cache import Cache
from secrets_cache.core.text import shorten
from secrets_cache.errors import InvalidRequest, KeyNotFound, SecretNotConfigured

logger = logging.getLogger(__name__)

# So many different names that are not listed, and so many pairs of a secret and a code.
MAX_LOGGED = 50
# Of the listed names, so many of the most similar length: to compare a name with one takes up to 0.1 ms.
MAX_COMPARED = 200


class RefusalLog:
    """What was logged of refused requests."""

    def __init__(self) -> None:
        # By name, shortened: the suggestion.
        self._unlisted: dict[str, str] = {}
        self._refused: set[tuple[str, str]] = set()

    def note_unlisted(self, cache: Cache, name: str, config: Config) -> SecretNotConfigured:
        """Log a name that is not listed, once; return its error, with the listed name that was probably meant."""
        shown, file = shorten(name), config.missing_file
        if shown not in self._unlisted and len(self._unlisted) < MAX_LOGGED:
            suggestion = self._unlisted[shown] = suggest_name(name, cache.list_names())
            facts = {"suggestion": suggestion, "file": file}
            logger.warning("secret.not_configured", {"secret": shown, **{k: text for k, text in facts.items() if text}})
        return SecretNotConfigured(name, file, self._unlisted.get(shown, ""), has_problems=bool(config.problems))

    def note_refused(self, cache: Cache, name: str, code: str, error: InvalidRequest | KeyNotFound) -> None:
        """Log why a request for a secret that may be asked for was refused, once for each secret and code."""
        known = cache.find_known_name(name) if len(self._refused) < MAX_LOGGED else None
        if known is not None and (secret := shorten(known), code) not in self._refused:
            self._refused.add((secret, code))
            reason = f"there is no key {shorten(error.key)!r}" if isinstance(error, KeyNotFound) else error.reason
            logger.warning("request.refused", {"secret": secret, "code": code, "reason": reason})


def suggest_name(name: str, listed: Sequence[str]) -> str:
    """Return the listed name that `name` was probably meant to be; empty if none is like it."""
    from secrets_cache.config.suggestions import suggest_word  # noqa: PLC0415 - only for the names that are logged

    # A path of parameters, asked for without the slash at its end.
    path = next((one for one in listed if one.endswith("/") and one.strip("/") == name.strip("/")), "")
    by_length = sorted(listed, key=lambda one: abs(len(one) - len(name)))
    return path or suggest_word(name, by_length[:MAX_COMPARED])
