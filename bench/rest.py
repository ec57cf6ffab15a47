"""What is counted rather than timed: wake-ups at rest, calls for many callers, the zip, files and bytes at start."""

import re
import shutil
import subprocess
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

from bench.client import REQUEST, connected, read_whole
from bench.cold_start import AGAINST_PLAIN
from bench.processes import EXTENSION, PLAIN_EXTENSION, Child, NotMeasuredError, switches
from bench.rows import Row, measured, no_more_than
from bench.setting import LISTED, Setting
from tools.emulator import built_layer

CALLERS = 1000
# A ttl, nothing refreshed ahead of its end, and longer than it, so that the value has expired when all ask.
EXPIRING = "ttl: 1s\nrefresh_ahead: 0"
EXPIRED_AFTER_SECONDS = 1.5
# Long enough for every caller's request to arrive while the one call is under way.
UPSTREAM_MS = 1500
# Of strace -y: the call, the descriptor with its path, and what came back.
OPENED = re.compile(r"open(?:at)?\(.* = \d+<(/[^>]+)>$", re.MULTILINE)
READ = re.compile(r"p?read(?:64|v)?\(\d+<(/[^>]+)>.* = (\d+)$", re.MULTILINE)
# What a program maps by itself, and reads that way: the loader maps libraries only.
MAPPED = re.compile(r"mmap\(NULL, (\d+), PROT_READ, MAP_\w+, \d+<([^>]+\.bundle)>", re.MULTILINE)
_NO_FILES = ("/proc/", "/dev/", "/sys/")


def rows(setting: Setting) -> list[Row]:
    """Count; return the rows."""
    return [_callers(setting), *_sizes(), *_files(setting), _at_rest(setting)]


def _callers(setting: Setting) -> Row:
    """Let many callers ask for one expired secret at once; count the calls this makes."""
    calls = []
    for _ in setting.rounds(3, 1):
        with Child(EXTENSION, setting.environ(EXPIRING, secrets=1)) as child:
            child.wait_until_ready()
            waiting = [connected(child)[1] for _ in range(CALLERS)]
            time.sleep(EXPIRED_AFTER_SECONDS)
            setting.upstream.ask(f"/set?delay_ms={UPSTREAM_MS}&batch=1")
            for connection in waiting:
                connection.sendall(REQUEST)
            for connection in waiting:
                with connection:
                    read_whole(connection)
            calls.append(float(sum(setting.upstream.ask("/set?delay_ms=0&batch=1")["calls"].values())))
    what = f"upstream calls for {CALLERS:,} concurrent callers of one expired secret"
    return measured("single_flight", what, calls, unit="", budget=no_more_than(1))


def _sizes() -> list[Row]:
    with zipfile.ZipFile(built_layer()) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist()) / 1e6
    zipped = built_layer().stat().st_size / 1e6
    return [
        measured("zip", "zip of the layer", [zipped], unit="MB", budget=no_more_than(20)),
        measured("unpacked", "the same, unpacked", [unpacked], unit="MB", budget=no_more_than(60)),
    ]


def _files(setting: Setting) -> list[Row]:
    """Count the files that are opened until the extension is ready, and the bytes that are read from them."""
    keys = (("files_opened", "files opened at start", ""), ("bytes_read", "bytes read from files at start", "MB"))
    if shutil.which("strace") is None:
        note = "strace is missing: apt-get install strace"
        return [Row(key=key, what=what, unit=unit, note=note) for key, what, unit in keys]
    try:
        ours, plain = _traced(setting, EXTENSION), _traced(setting, PLAIN_EXTENSION)
    except NotMeasuredError as error:
        return [Row(key=key, what=what, unit=unit, note=str(error)) for key, what, unit in keys]
    note = "read(2) and its like; what the loader maps is not in it"
    return [
        measured(key, what, [ours[number]], [plain[number]], unit=unit, against=AGAINST_PLAIN, note=note * number)
        for number, (key, what, unit) in enumerate(keys)
    ]


def _traced(setting: Setting, command: Sequence[str]) -> tuple[float, float]:
    """Return how many files a start opens and how many megabytes it reads from them."""
    output = setting.folder / "trace"
    tracer = ["-f", "-qq", "-y", "-s", "0", "-e", "trace=open,openat,read,pread64,readv,mmap", "-o", str(output)]
    strace = str(shutil.which("strace"))
    with Child([strace, *tracer, *command], setting.environ()) as child:
        child.wait_until_ready()
        # Killing the tracer would leave the traced one alive.
        for pid in Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text("ascii").split():
            subprocess.run(["kill", "-KILL", pid], check=True)
        child.wait_until_ended()
    trace = output.read_text("utf-8", "replace")
    opened = [path for path in OPENED.findall(trace) if not path.startswith(_NO_FILES)]
    read = [int(size) for path, size in READ.findall(trace) if not path.startswith(_NO_FILES)]
    read += [int(size) for size, _ in MAPPED.findall(trace)]
    if not opened:
        raise NotMeasuredError("strace saw nothing: perhaps it may not trace here")
    return float(len(opened)), sum(read) / 1e6


def _at_rest(setting: Setting) -> Row:
    """Count how often an extension wakes up while nobody asks it for anything and nothing is due."""
    seconds = 3.0 if setting.is_quick else 20.0
    woken: dict[bool, list[float]] = {True: [], False: []}
    for _ in setting.rounds(2, 1):
        for command in (EXTENSION, PLAIN_EXTENSION):
            with Child(command, setting.environ()) as child:
                child.wait_until_ready()
                time.sleep(1)
                before = switches(child.pid)
                time.sleep(seconds)
                woken[command is EXTENSION].append(float(switches(child.pid) - before))
    what = f"wake-ups at rest in {seconds:g} s, {LISTED} secrets held"
    return measured("wakeups_at_rest", what, woken[True], woken[False], unit="", against=AGAINST_PLAIN)
