"""
The log as lines for people, where nobody reads JSON.

Rule: what may be shown of a record is decided once, in `system.logs`; here it only gets another form.
"""

import contextlib
import json
import logging
from collections.abc import Callable, Collection

from secrets_cache.core.text import add_advice
from secrets_cache.system import logs

# The field that holds a sentence with all the others in it, and the one that holds a reason alone.
WHOLE, REASON = "text", "reason"
ADVICE = "advice"


class _Lines(logging.Handler):
    def __init__(self, write: Callable[[str], None], without: Collection[str]) -> None:
        super().__init__()
        self.setFormatter(logs.JsonFormatter())
        self._write_line = write
        self._without = without

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line. A terminal that is gone must not end the process."""
        if record.msg not in self._without:
            with contextlib.suppress(Exception):
                self._write_line(describe(json.loads(self.format(record))))


def log_in_words(level: str, write: Callable[[str], None], *, without: Collection[str] = ()) -> None:
    """Give `write` a line for each event from `level` up, but for some events."""
    logs.configure(level)
    logging.getLogger().handlers[:] = [_Lines(write, without)]


def describe(line: dict[str, object]) -> str:
    """Return a line of the log in words: the sentence that says it all, or the reason and the other fields; advice."""
    fields = {name: value for name, value in line.items() if value not in (None, "") and name != "time"}
    level, event, advice = str(fields.pop("level")).lower(), fields.pop("event"), fields.pop(ADVICE, "")
    sentence = fields.get(WHOLE) or fields.pop(REASON, "")
    others = [] if WHOLE in fields else [f"{name}: {value}" for name, value in fields.items()]
    parts = [f": {sentence}" if sentence else "", f" ({', '.join(others)})" if others else ""]
    return add_advice(f"{level}: {event}{''.join(parts)}", str(advice))
