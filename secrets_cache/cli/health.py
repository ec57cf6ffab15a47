"""`secrets-cache health`: what an orchestrator runs as a probe, since the server listens on loopback only."""

import argparse
import os
import sys

from secrets_cache.cli.client import NotThere, ask
from secrets_cache.cli.inputs import complain, configuration

OK = 200


def run(given: argparse.Namespace) -> int:
    """Print what /health says; return 0 if it says that all can be served."""
    _, config = configuration(given, os.environ)
    try:
        answered = ask(given.url or f"http://127.0.0.1:{config.port}", "/health", config.tokens)
    except NotThere as reason:
        complain(f"no server answers at {reason}")
        return 1
    sys.stdout.buffer.write(answered.body + b"\n")
    return 0 if answered.status == OK else 1
