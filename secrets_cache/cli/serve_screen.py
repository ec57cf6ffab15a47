"""What `serve` shows on a terminal instead of JSON lines: what it serves, where, and what happens, in words."""

import select
import sys
from collections.abc import Sequence

from secrets_cache.cli.inputs import find_unread_file
from secrets_cache.cli.log_lines import Line, describe, log_in_words
from secrets_cache.cli.terminal import Cell, Screen, Style
from secrets_cache.config import Config
from secrets_cache.core.freshness import State
from secrets_cache.core.results import EntryReport
from secrets_cache.server.access import TOKEN_HEADER
from secrets_cache.system.files import ConfigFile

# The table says it, or the first line.
TOLD_OTHERWISE = frozenset({"serve.ready", "config.missing"})
# Which library makes the calls: only of interest with other details.
DETAILS = frozenset({"engine.loaded"})
STATES = {State.FRESH: Style.GOOD, State.STALE: Style.BAD, State.FAILED: Style.BAD, State.PENDING: Style.PLAIN}


class ServeScreen:
    """
    The terminal of `serve`.

    Args:
        file: The configuration file.
        from_file: The file that stands for AWS; empty for AWS itself.
    """

    def __init__(self, file: ConfigFile, from_file: str) -> None:
        self._from_file = from_file
        # By name: the reason of its last fetch, if that failed.
        self._failures: dict[str, str] = {}
        self._screen = Screen(sys.stdout)
        self._path, self._exists = file.path, file.exists

    def is_closed(self) -> bool:
        """Whether the terminal is gone."""
        poller = select.poll()
        poller.register(sys.stdout, 0)
        return any(events & select.POLLHUP for _, events in poller.poll(0))

    def start_log(self, config: Config) -> None:
        """Show what is logged as lines."""
        without = TOLD_OTHERWISE if config.log_level == "DEBUG" else TOLD_OTHERWISE | DETAILS
        log_in_words(config.log_level, self._screen.line, without=without, describe_line=self.describe)

    def describe(self, line: Line) -> str:
        """Return a line of the log in words; why a fetch failed, only if it did not fail so before."""
        name = str(line.get("secret", ""))
        if line["event"] == "secret.refreshed":
            self._failures.pop(name, None)
        if line["event"] == "secret.fetch_failed":
            before, self._failures[name] = self._failures.get(name), str(line["reason"])
            if before == line["reason"]:
                served = " the old value is served," if line["still_served"] else ""
                return (
                    f"{str(line['level']).lower()}: {name}: still failing,{served} next try in {line['next_try_s']:g} s"
                )
        return describe(line)

    def show_start(self, config: Config) -> None:
        """Show what is going to be fetched."""
        count = len(config.listed)
        if self._from_file:
            self._screen.line(f"Values come from {self._from_file}, not from AWS")
        if count and (self._exists or not self._from_file):
            kinds = config.listed[0].ref.what if count == 1 else "secrets and parameters"
            self._screen.line(f"Fetching {count} {kinds} listed in {self._path if self._exists else 'variables'}")
        elif not (self._from_file or config.allow or config.aws_port):
            self._screen.line(self._explain_nothing(), Style.BAD)

    def _explain_nothing(self) -> str:
        if self._exists:
            return f"No secret and no parameter is listed in {self._path}"
        hint = find_unread_file() or "--config names one"
        return f"No secret and no parameter is listed: there is no {self._path}; {hint}"

    def show_ready(self, config: Config, reports: Sequence[EntryReport]) -> None:
        """Show what is served, and where."""
        if reports:
            self._screen.line()
            self._screen.table([_make_cells(report) for report in reports])
            self._screen.line()
        served = [report.name for report in reports if report.is_servable]
        example = served[0] if served else "NAME" if reports or config.allow else ""
        self._screen.line(f"Serving at http://localhost:{config.port}{example and f'/cache/{example}'}")
        if config.tokens:
            self._screen.line(f"Callers must send the token in {TOKEN_HEADER}")
        elif config.tokens is not None:
            self._screen.line("Every caller gets 401: the configured token cannot be used", Style.BAD)
        if config.allow:
            self._screen.line(f"On demand, at /cache/NAME: {', '.join(config.allow)}")
        if config.aws_port:
            self._screen.line(
                f"AWS's own protocol: http://localhost:{config.aws_port}/secretsmanager/get?secretId=NAME"
            )
        self._screen.line("Press Ctrl-C to stop.")


def _make_cells(report: EntryReport) -> dict[str, Cell]:
    return {
        "NAME": Cell(report.name),
        "KIND": Cell(report.kind.value),
        "STATE": Cell(report.state.value, STATES[report.state]),
        "VERSION": Cell(report.version_id or "", Style.FAINT),
        "ERROR": Cell(report.error or "", Style.BAD),
    }
