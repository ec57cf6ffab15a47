"""
The log: one JSON object a line on standard output, with an event name and its fields.

    {"time": "2026-11-23T05:53:43.123Z", "level": "INFO", "event": "secret.refreshed", "secret": "prod/db", ...}

Rules
-----
1. The loggers of this package follow the configured level. All others stay at WARNING: at DEBUG, botocore logs the
   bodies of AWS's answers.
2. Of an exception only the type and the place are shown: its text might hold a secret.
3. Writing never raises: a closed pipe must not end the process.
4. Writing never blocks for long: the reader of the pipe may have stopped, and callers come first. A line that the pipe
   does not take within 20 ms is dropped; lines after it are dropped at once, until the pipe takes one again.
   `log.dropped` then counts them. `poll` reports whether the pipe takes `PIPE_BUF` bytes, and no more are written at a
   time. The pipe is not made non-blocking: that would change it for every process that shares it, and it cannot be
   opened again if it belongs to another user.

The events are listed in docs/operations.md.
"""

import contextlib
import json
import logging
import os
import select
import sys
import time

from secrets_cache.core.text import shorten

logger = logging.getLogger(__name__)

PACKAGE = "secrets_cache"
FULL_PIPE_MILLISECONDS = 20
MAX_MESSAGE = 200
# These repeat what this package logs: requests, with everything in them, and credentials that a role does not get.
REDUNDANT_LOGGERS = frozenset({"aiohttp.access", "aiobotocore.credentials"})


class JsonFormatter(logging.Formatter):
    """Formats a record such as `logger.info("event.name", {"field": value})` as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without a line break."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {"time": f"{stamp}.{int(record.msecs):03d}Z", "level": record.levelname}
        if record.name.split(".")[0] == PACKAGE:
            line["event"] = record.msg
            line.update(record.args if isinstance(record.args, dict) else {})
        else:
            line["event"] = "library.message"
            line["logger"] = record.name
            # The template, without the arguments: they might hold a secret.
            line["message"] = shorten(str(record.msg).splitlines()[0], MAX_MESSAGE) if record.msg else ""
        if record.exc_info and record.exc_info[1] is not None:
            line.update(describe_error(record.exc_info[1]))
        return json.dumps(line, default=str, ensure_ascii=False)


class _StandardOutput(logging.Handler):
    """Writes to file descriptor 1, a line at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._dropped = 0
        self._is_cut = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, or count it as dropped."""
        with contextlib.suppress(Exception):
            if self._dropped and self._write(self.format(_make_dropped_record(self._dropped))):
                self._dropped = 0
            if self._dropped or not self._write(self.format(record)):
                self._dropped += 1

    def _write(self, line: str) -> bool:
        """Write a line; return whether all of it was written."""
        # A line that a full pipe cut off still needs its line break.
        data = b"\n" * self._is_cut + line.encode("utf-8", "backslashreplace") + b"\n"
        begun = False
        while data:
            # After a dropped line, the next one does not wait.
            if not _is_writable(0 if self._dropped else FULL_PIPE_MILLISECONDS):
                self._is_cut = self._is_cut or begun
                return False
            written = os.write(1, data[: select.PIPE_BUF])
            data, begun = data[written:], True
        self._is_cut = False
        return True


def _is_writable(milliseconds: int) -> bool:
    """Return whether the pipe takes `PIPE_BUF` bytes at once. True for a broken pipe as well: the write then fails."""
    poll = select.poll()
    poll.register(1, select.POLLOUT)
    return bool(poll.poll(milliseconds))


def _make_dropped_record(lines: int) -> logging.LogRecord:
    return logger.makeRecord(__name__, logging.WARNING, __file__, 0, "log.dropped", ({"lines": lines},), None)


def describe_error(error: BaseException) -> dict[str, str]:
    """Return the type of an error, and the file and line that raised it; never its text."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = ""
    if trace is not None:
        place = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"  # noqa: PTH119 - no pathlib on the start path
    return {"error": type(error).__name__, "at": place}


def configure(level: str) -> None:
    """Send all log lines to standard output; those of this package from `level` up, all others from WARNING up."""
    logging.raiseExceptions = False
    handler = _StandardOutput()
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(PACKAGE).setLevel(level)
    for name in REDUNDANT_LOGGERS:
        logging.getLogger(name).disabled = True
    sys.unraisablehook = _report_ignored


def _report_ignored(ignored: "sys.UnraisableHookArgs") -> None:
    """Log an error that cannot be raised, as from a finalizer. Python itself would print its text."""
    fields = describe_error(ignored.exc_value) if ignored.exc_value else {"error": ignored.exc_type.__name__}
    logger.error("internal.error", {"where": "interpreter", **fields})


def ensure_configured() -> None:
    """Configure at the default level, unless `configure` was called before."""
    if not any(isinstance(handler, _StandardOutput) for handler in logging.getLogger().handlers):
        configure("INFO")
