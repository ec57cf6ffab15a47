"""
The log as lines for people, where nobody reads JSON.

Rule: what may be shown of a record is decided once, in `system.logs`; here it only gets another form.
"""

import contextlib
import json
import logging
from collections.abc import Callable, Collection, Mapping

from secrets_cache.errors import add_advice
from secrets_cache.system import logs

# The fields that hold a sentence; the first one that is there is shown.
SENTENCES = ("text", "reason")
ADVICE = "advice"

Line = Mapping[str, object]


class _Lines(logging.Handler):
    def __init__(
        self, write: Callable[[str], None], without: Collection[str], describe_line: Callable[[Line], str]
    ) -> None:
        super().__init__()
        self.setFormatter(logs.JsonFormatter())
        self._write_line = write
        self._describe = describe_line
        self._without = without

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line. A terminal that is gone must not end the process."""
        if record.msg not in self._without:
            with contextlib.suppress(Exception):
                self._write_line(self._describe(json.loads(self.format(record))))


def describe(line: Line) -> str:
    """Return a line of the log in words: a sentence if it has one, the fields that it does not hold, and what to do."""
    fields = {name: value for name, value in line.items() if value not in (None, "") and name != "time"}
    level, event, advice = str(fields.pop("level")).lower(), fields.pop("event"), fields.pop(ADVICE, "")
    sentence = next((f": {fields[name]}" for name in SENTENCES if name in fields), "")
    others = [
        f"{name}: {value}" for name, value in fields.items() if name not in SENTENCES and f"{value}" not in sentence
    ]
    facts = f" ({', '.join(others)})" if others else ""
    return add_advice(f"{level}: {event}{sentence}{facts}", str(advice))


def log_in_words(
    level: str,
    write: Callable[[str], None],
    *,
    without: Collection[str] = (),
    describe_line: Callable[[Line], str] = describe,
) -> None:
    """Give `write` a line for each event from `level` up, but for some events."""
    logs.configure(level)
    logging.getLogger().handlers[:] = [_Lines(write, without, describe_line)]
