"""
The log as lines for people, on standard error: what a command that has no log of its own would otherwise hide.

Rule: what may be shown of a record is decided once, in `system.logs`; here it only gets another form.
"""

import json
import logging

from secrets_cache.cli.terminal import print_error
from secrets_cache.system import logs

# The fields that hold a whole sentence.
SENTENCES = ("text", "reason")


class _Words(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logs.JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        fields = json.loads(self.format(record))
        del fields["time"]
        print_error(describe(fields.pop("level"), fields.pop("event"), fields))


def log_in_words(level: str) -> None:
    """Write what is logged from `level` up to standard error, a line for each event."""
    logging.raiseExceptions = False
    logs.configure(level)
    logging.getLogger().handlers[:] = [_Words()]


def describe(level: str, event: str, fields: dict[str, object]) -> str:
    """Return an event in words: a sentence if it has one, and the other fields."""
    sentences = [str(fields[name]) for name in SENTENCES if fields.get(name)][:1]
    others = [f"{name}: {value}" for name, value in fields.items() if name not in SENTENCES and value not in (None, "")]
    facts = f" ({', '.join(others)})" if others else ""
    return f"{level.lower()}: {event}{': ' if sentences else ''}{''.join(sentences)}{facts}"
