"""`secrets-cache version`."""

import argparse
import sys

from secrets_cache import __version__


def run(_: argparse.Namespace) -> int:
    """Print the version."""
    sys.stdout.write(f"secrets-cache {__version__}\n")
    return 0
