"""
What a wrong word was probably meant to be, and values as people write them.

For problems and the command line only: an ordinary start does not import this.
"""

import re
from collections.abc import Iterable

UNITS = (
    ("s", "s|sec|secs|second|seconds", 1),
    ("m", "m|min|mins|minute|minutes", 1),
    ("h", "h|hr|hrs|hour|hours", 1),
    ("h", "d|day|days", 24),
)


def suggest_word(word: str, known: Iterable[str]) -> str:
    """Return which of the known words is most like `word`; empty if none is. Upper and lower case are alike."""
    from difflib import get_close_matches  # noqa: PLC0415 - slow to import

    words = {one.lower(): one for one in known}
    # Longer words cannot be meant, and comparing them takes long.
    close = get_close_matches(word.lower()[:60], words, n=1, cutoff=0.65)
    return words[close[0]] if close else ""


def suggest_duration(text: str) -> str:
    """Return the duration that `text` means to people, as it must be written; empty if that is unknown."""
    written = re.fullmatch(r"\s*([0-9]{1,9})\s*([a-z]{1,7})\s*", text.lower())
    for unit, words, factor in UNITS if written else ():
        if written and re.fullmatch(words, written[2]):
            return f"{int(written[1]) * factor}{unit}"
    return ""


def write_duration(seconds: float) -> str:
    """Return a duration as it is written, in the largest unit that gives a whole number."""
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def ask(suggestion: str) -> str:
    """Return a suggestion as it follows what was found; nothing for none."""
    return f" (did you mean {suggestion}?)" if suggestion else ""
