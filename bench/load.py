"""
The load generator: wrk (https://github.com/wg/wrk), on a core of its own.

Rules
-----
1. A run with a failed request is no measurement.
2. How busy the server's core was is part of the result: below nine tenths, it was not the server that was measured.
"""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.processes import MEASURING_CORE, Child, NotMeasuredError, on_core

SCRIPT = Path(__file__).with_name("load.lua")
MISSING = "wrk is missing: apt-get install wrk"


@dataclass(frozen=True, slots=True)
class Load:
    """
    What one run found.

    Attributes:
        per_second: Answers a second.
        p50_us: Median latency.
        p999_us: 99.9th percentile of the latency.
        busy: How much of its core the server used, from 0 to 1.
        requests: How many there were.
    """

    per_second: float
    p50_us: float
    p999_us: float
    busy: float
    requests: int


def install() -> None:
    """Install wrk where it is missing and can be had: as root, where there is apt."""
    if shutil.which("wrk") or os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    print("Installing wrk, the load generator ...", flush=True)
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "wrk"]):
        subprocess.run(command, env=environ, capture_output=True, check=False)


def is_there() -> bool:
    """Return whether there is a load generator."""
    return shutil.which("wrk") is not None


def run(server: Child, port: int, *, connections: int, seconds: float) -> Load:
    """Ask for the first secret, over and over, on so many keep-alive connections."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", str(SCRIPT)]
    url = f"http://127.0.0.1:{port}/cache/secret-1"
    before = server.cpu_ms()
    with on_core(MEASURING_CORE):
        done = subprocess.run([*command, url], capture_output=True, text=True, check=False)
    used = server.cpu_ms() - before
    if done.returncode != 0:
        raise NotMeasuredError(f"wrk failed: {done.stderr.strip()[-200:]}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    if found["failed"] or not found["requests"]:
        raise NotMeasuredError(f"of {found['requests']} requests {found['failed']} failed: {server.said()}")
    took_seconds = found["duration"] / 1e6
    return Load(
        found["requests"] / took_seconds,
        float(found["p50"]),
        float(found["p999"]),
        used / 1000 / took_seconds,
        found["requests"],
    )
