"""
Run a command with an /opt of its own and, where asked, a loopback of its own. Linux only.

Rules
-----
1. One process: everything here ends in `exec`, so a signal reaches the command itself.
2. Root is used where it is there; elsewhere a user namespace gives the right to mount.
"""

import argparse
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1


def command(
    opt: str, inner: list[str], *, own_network: bool, hidden: Sequence[str] = (), task: str | None = None
) -> list[str]:
    """
    Return the command that runs `inner` with the folder `opt` as /opt, and with the paths `hidden` empty.

    `task`, if given, becomes /var/task; the rest of /var is then empty.
    """
    as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    network = ["--net"] if own_network else []
    arguments = ["--opt", opt, *(["--loopback"] if own_network else [])]
    arguments += ["--task", task] if task else []
    arguments += [part for path in hidden for part in ("--hide", path)]
    arguments += ["--", *inner]
    return ["unshare", "--mount", *network, *as_root, sys.executable, "-I", str(Path(__file__).resolve()), *arguments]


def why_impossible() -> str | None:
    """Return why there can be no sandbox on this machine, None if there can."""
    if shutil.which("unshare") is None:
        return "the command unshare (util-linux) is missing"
    if not Path("/opt").is_dir():
        return "there is no folder /opt to mount over"
    tried = subprocess.run(command("/opt", ["true"], own_network=True), capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else (tried.stderr.strip() or "unshare failed")


def _inside(opt: str, inner: list[str], *, loopback: bool, hidden: Sequence[str], task: str | None) -> None:
    subprocess.run(["mount", "--bind", opt, "/opt"], check=True)
    if task:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "none", "/var"], check=True)
        Path("/var/task").mkdir()
        subprocess.run(["mount", "--bind", task, "/var/task"], check=True)
    for path in hidden:
        # What stands behind this very interpreter may be among them: from here on, nothing is imported any more.
        over = ["-t", "tmpfs", "none"] if os.path.isdir(path) else ["--bind", "/dev/null"]  # noqa: PTH112
        subprocess.run(["mount", *over, path], check=True)
    if loopback:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
    os.execvp(inner[0], inner)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--opt", required=True)
    parser.add_argument("--task")
    parser.add_argument("--loopback", action="store_true")
    parser.add_argument("--hide", action="append", default=[])
    parser.add_argument("inner", nargs="+")
    given = parser.parse_args()
    _inside(given.opt, given.inner, loopback=given.loopback, hidden=given.hide, task=given.task)
