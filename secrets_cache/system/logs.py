"""
Log lines: one JSON object a line on standard output, an event name and its fields.

    {"time": "2026-11-23T05:53:43.123Z", "level": "INFO", "event": "secret.refreshed", "secret": "prod/db", ...}

Rules
-----
1. Our own loggers follow the level that is set. Everybody else's stay at WARNING: at DEBUG, botocore logs the
   bodies of AWS's answers.
2. Of an exception only the type and the place are shown: its text might hold anything.
3. Writing never fails and never raises: a closed pipe must not end the process.
4. Writing never waits for long: nobody may be emptying the pipe, and callers come first. A line that the pipe does not
   take within 20 ms is dropped, and those after it at once, until it takes one again: `log.dropped` says how many were.
   The pipe is asked by `poll`, and gets what it then takes for sure, `PIPE_BUF` bytes. It is not made non-blocking: it
   is shared with whoever has it too, and a description of our own cannot be had where the pipe is another user's.

The events are listed in docs/operations.md.
"""

import contextlib
import json
import logging
import os
import select
import sys
import time

logger = logging.getLogger(__name__)

PACKAGE = "secrets_cache"
FULL_PIPE_MILLISECONDS = 20
# They say what our own lines say already: a request, with all of it; that a role's credentials cannot be had.
TOLD_BY_US = frozenset({"aiohttp.access", "aiobotocore.credentials"})


class JsonFormatter(logging.Formatter):
    """Makes one JSON object of a record: `logger.info("event.name", {"field": value})`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {"time": f"{stamp}.{int(record.msecs):03d}Z", "level": record.levelname}
        if record.name.split(".")[0] == PACKAGE:
            line["event"] = record.msg
            line.update(record.args if isinstance(record.args, dict) else {})
        else:
            line["event"] = "library.message"
            line["logger"] = record.name
            # The template, without the arguments: they might hold anything.
            line["message"] = str(record.msg).splitlines()[0][:200] if record.msg else ""
        if record.exc_info and record.exc_info[1] is not None:
            line.update(describe(record.exc_info[1]))
        return json.dumps(line, default=str, ensure_ascii=False)


class _StandardOutput(logging.Handler):
    """Writes to file descriptor 1, a line at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._dropped = 0
        self._is_cut = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, or nothing if that cannot be."""
        with contextlib.suppress(Exception):
            if self._dropped and self._write(self.format(_dropped(self._dropped))):
                self._dropped = 0
            if self._dropped or not self._write(self.format(record)):
                self._dropped += 1

    def _write(self, line: str) -> bool:
        """Write a line; return whether all of it was."""
        # What a full pipe cut off still needs its end.
        data = b"\n" * self._is_cut + line.encode("utf-8", "backslashreplace") + b"\n"
        begun = False
        while data:
            # Once a line was dropped, there is no patience for the next before one is taken.
            if not _is_writable(0 if self._dropped else FULL_PIPE_MILLISECONDS):
                self._is_cut = self._is_cut or begun
                return False
            written = os.write(1, data[: select.PIPE_BUF])
            data, begun = data[written:], True
        self._is_cut = False
        return True


def _is_writable(milliseconds: int) -> bool:
    """Return whether a pipe takes `PIPE_BUF` bytes at once; a descriptor in an error counts: writing will say so."""
    poll = select.poll()
    poll.register(1, select.POLLOUT)
    return bool(poll.poll(milliseconds))


def _dropped(lines: int) -> logging.LogRecord:
    return logger.makeRecord(__name__, logging.WARNING, __file__, 0, "log.dropped", ({"lines": lines},), None)


def describe(error: BaseException) -> dict[str, str]:
    """Return the type of an error and the place it was raised at."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = ""
    if trace is not None:
        place = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"  # noqa: PTH119 - no pathlib on the start path
    return {"error": type(error).__name__, "at": place}


def configure(level: str) -> None:
    """Send all log lines to standard output, ours from `level` up."""
    logging.raiseExceptions = False
    handler = _StandardOutput()
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(PACKAGE).setLevel(level)
    for name in TOLD_BY_US:
        logging.getLogger(name).disabled = True
    sys.unraisablehook = _report_ignored


def _report_ignored(ignored: "sys.UnraisableHookArgs") -> None:
    """Write the line of an error that can be raised nowhere, as while a generator is closed. Python shows its text."""
    fields = describe(ignored.exc_value) if ignored.exc_value else {"error": ignored.exc_type.__name__}
    logger.error("internal.error", {"where": "interpreter", **fields})


def ensure_configured() -> None:
    """Configure at the default level, unless it was done before."""
    if not any(isinstance(handler, _StandardOutput) for handler in logging.getLogger().handlers):
        configure("INFO")
