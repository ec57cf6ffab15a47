"""
What a wrong word was probably meant to be, and values as people write them.

For problems and the command line only: an ordinary start does not import this.
"""

import re
from collections.abc import Iterable

UNITS = (
    ("ms|msec|msecs|millisecond|milliseconds|millis", 0.001),
    ("s|sec|secs|second|seconds", 1),
    ("m|min|mins|minute|minutes", 60),
    ("h|hr|hrs|hour|hours", 3600),
    ("d|day|days", 86400),
    ("w|wk|wks|week|weeks", 7 * 86400),
)
_PART = r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*([a-z]{1,12})\s*"
# By a key as other products call it, without underscores: the keys here that it may mean.
SYNONYMS = {
    **dict.fromkeys(("arn", "secretid", "secretarn", "secretname", "id"), ("id", "secret")),
    **dict.fromkeys(("alias", "name", "to", "var", "variable"), ("name", "as")),
    **dict.fromkeys(("ssm", "parameterstore"), ("parameters",)),
    **dict.fromkeys(("cachettl", "maxage", "expiry"), ("ttl",)),
    **dict.fromkeys(("field", "jsonkey"), ("key",)),
    "secretsmanager": ("secrets",),
}
# By a key at the top that belongs elsewhere.
ELSEWHERE = {
    "port": "port, under server",
    "aws_port": "aws_port, under server",
    "token": "token, under server",
    "namespace": "namespace, under metrics",
    "region": "region, of each secret",
    "role_arn": "role_arn, of each secret",
    "log_level": "the variable SECRETS_CACHE_LOG_LEVEL",
    "strict": "the variable SECRETS_CACHE_STRICT",
}


def suggest_key(word: str, known: Iterable[str]) -> str:
    """Return which of the known keys `word` probably means, or where it belongs; empty if that is unknown."""
    known = tuple(known)
    for meant in SYNONYMS.get(word.lower().replace("_", "").replace("-", ""), ()):
        if meant in known:
            return meant
    elsewhere = ELSEWHERE.get(word.lower().replace("-", "_"), "") if "server" in known else ""
    return elsewhere or suggest_word(word, known)


def suggest_word(word: str, known: Iterable[str]) -> str:
    """Return which of the known words is most like `word`; empty if none is. Upper and lower case are alike."""
    from difflib import get_close_matches  # noqa: PLC0415 - slow to import

    words = {one.lower(): one for one in known}
    # Two letters in the wrong order are the commonest slip, and another word may look more alike.
    if swapped := [one for one in words if sorted(one) == sorted(word.lower())]:
        return words[swapped[0]]
    # Longer words cannot be meant, and comparing them takes long.
    close = get_close_matches(word.lower()[:60], words, n=1, cutoff=0.65)
    return words[close[0]] if close else ""


def suggest_duration(text: str) -> str:
    """Return the duration that `text` means to people, as it must be written; empty if that is unknown."""
    seconds = _read_seconds(text)
    return "" if seconds is None else write_duration(seconds)


def suggest_minutes(text: str) -> str:
    """Return the number of minutes that a duration with its units means; empty if that is unknown."""
    seconds = _read_seconds(text)
    return "" if seconds is None else f"{seconds / 60:.12g}"


def _read_seconds(text: str) -> float | None:
    written = text.strip().lower().removeprefix("pt")
    if not re.fullmatch(f"(?:{_PART}){{1,4}}", written):
        return None
    seconds = 0.0
    for number, word in re.findall(_PART, written):
        sizes = [size for words, size in UNITS if re.fullmatch(words, word)]
        if not sizes:
            return None
        seconds += float(number) * sizes[0]
    return round(seconds, 3)


def suggest_share(text: str) -> str:
    """Return the percentage that a number without a sign means; empty if it is none."""
    if not re.fullmatch(r"[0-9]{1,3}(?:\.[0-9]{1,6})?", text):
        return ""
    number = float(text)
    return f"{number * (1 if number >= 1 else 100):.6g}%"


def suggest_region(text: str) -> str:
    """Return a region's name in the form that AWS has; an availability zone has a letter after it."""
    return re.sub(r"(?<=-[0-9])[a-z]$", "", text.strip().lower().replace("_", "-").replace(" ", "-"))


def suggest_id(text: str) -> str:
    """Return the name or ARN in a reference as variables hold it, with a key behind it, or in typed quotes."""
    for scheme in ("secretsmanager://", "ssm://"):
        text = text.removeprefix(scheme)
    return text.partition("#")[0].strip("\u201c\u201d\u2018\u2019\"'` ")


def suggest_path(text: str) -> str:
    """Return the path whose parameters a pattern means; empty if it means others."""
    return text.rstrip("*") if text.rstrip("*").endswith("/") else ""


def write_duration(seconds: float) -> str:
    """Return a duration as it is written, in the largest unit that gives a whole number."""
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.12g}{unit}"
    return f"{seconds:.12g}s"


def write_question(suggestion: str) -> str:
    """Return a suggestion as it follows what was found; nothing for none."""
    return f" (did you mean {suggestion}?)" if suggestion else ""
