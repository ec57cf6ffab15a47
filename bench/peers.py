"""
What others do, measured elsewhere: not in this run, and not on this machine. Shown in the picture, marked as such.

One machine with 2 cores, the server on one of them. These cannot be fetched and built wherever `make bench` runs, and
a figure of another machine is not made ours by scaling it.
"""

from typing import NamedTuple


class Peer(NamedTuple):
    """One server: hits a second with 16 connections, and the median latency of one, in microseconds."""

    name: str
    per_second: float
    p50_us: float


PEERS = (
    Peer("AWS's agent (Rust)", 130_000, 58),
    Peer("Node.js http", 85_000, 59),
    Peer("Vault extension (Go)", 64_000, 65),
)
