"""What `serve` shows on a terminal instead of JSON lines: what it serves, where, and what happens, in words."""

import select
import sys
from collections.abc import Sequence

from secrets_cache.cli.log_lines import log_in_words
from secrets_cache.cli.terminal import Cell, Screen, Style
from secrets_cache.config import Config
from secrets_cache.core.freshness import State
from secrets_cache.core.results import EntryReport
from secrets_cache.system.files import ConfigFile

# The table says it.
TOLD_OTHERWISE = frozenset({"serve.ready"})
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
        self._screen = Screen(sys.stdout)
        self._file = file.path if file.exists else f"{file.path} (no such file)"

    def is_closed(self) -> bool:
        """Whether the terminal is gone."""
        poller = select.poll()
        poller.register(sys.stdout, 0)
        return any(events & select.POLLHUP for _, events in poller.poll(0))

    def start_log(self, config: Config) -> None:
        """Show what is logged as lines."""
        log_in_words(config.log_level, self._screen.line, without=TOLD_OTHERWISE)

    def show_start(self, config: Config) -> None:
        """Show what is going to be fetched."""
        count = len(config.listed)
        if self._from_file:
            self._screen.line(f"Values come from {self._from_file}, not from AWS")
        if count:
            kinds = "secret or parameter" if count == 1 else "secrets and parameters"
            self._screen.line(f"Fetching {count} {kinds} listed in {self._file}")
        elif not self._from_file:
            self._screen.line(f"No secret and no parameter is listed in {self._file}", Style.BAD)

    def show_ready(self, config: Config, reports: Sequence[EntryReport]) -> None:
        """Show what is served, and where."""
        if reports:
            self._screen.line()
            self._screen.table([_make_cells(report) for report in reports])
            self._screen.line()
        example = reports[0].name if reports else "NAME"
        self._screen.line(f"Serving at http://localhost:{config.port}/cache/{example}")
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
