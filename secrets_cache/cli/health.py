"""`secrets-cache health`: the probe for orchestrators, since the server listens on loopback only."""

import argparse
import os
import sys

from secrets_cache.cli.client import OK, NoServer, ask
from secrets_cache.cli.inputs import read_existing_configuration
from secrets_cache.cli.terminal import print_error


def run(given: argparse.Namespace) -> int:
    """Print the answer of /health; return 0 if its status is 200."""
    _, config = read_existing_configuration(given, os.environ)
    try:
        answer = ask(given.url, "/health", config)
    except NoServer as reason:
        print_error(str(reason))
        return 1
    sys.stdout.buffer.write(answer.body + b"\n")
    return 0 if answer.status == OK else 1
