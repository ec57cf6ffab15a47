"""`secrets-cache check` on a real terminal: colours, progress, and lines that fit."""

import os
import pty
import re
import subprocess
import sys

from tests.support import upstream as stub
from tests.support.fakes import CANARY
from tools.emulator import ROOT


def run_on_terminal(*arguments: str) -> tuple[str, str]:
    """Run the command line with standard output on one terminal and standard error on another; return both texts."""
    texts = []
    pairs = [pty.openpty(), pty.openpty()]
    process = subprocess.Popen(
        [sys.executable, "-m", "secrets_cache", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=pairs[0][1],
        stderr=pairs[1][1],
        cwd=ROOT,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "60"},
    )
    for ours, theirs in pairs:
        os.close(theirs)
        texts.append(read_all(ours))
    process.wait()
    return texts[0], texts[1]


def read_all(descriptor: int) -> str:
    """Return what is written to a terminal until nobody has it open any more."""
    text = b""
    try:
        while chunk := os.read(descriptor, 65536):
            text += chunk
    except OSError:
        pass  # how Linux says that the other end is closed
    os.close(descriptor)
    return text.decode()


def test_on_a_terminal_there_are_colours_and_progress_and_lines_fit(upstream, tmp_path):
    """Progress goes to standard error, and is wiped away in the end; a name that does not fit goes on below."""
    upstream.put("db", CANARY)
    upstream.fault = lambda call: stub.ACCESS_DENIED if call.ids == ["denied"] else None
    file = tmp_path / "config.yaml"
    file.write_text(f"secrets: [db, denied, {'long/' * 12}x]", encoding="utf-8")
    out, err = run_on_terminal("check", "--fetch", "--config", str(file))
    table = out.split("\r\n\r\n")[1]
    widths = {len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in table.splitlines()}

    assert "\x1b[32m" in out
    assert "\x1b[31m" in out
    assert max(widths) <= 60
    assert "3/3" in err
    assert "\x1b[2K" in err
    assert err.endswith(("\x1b[?25h", "\x1b[2K", "\r"))
