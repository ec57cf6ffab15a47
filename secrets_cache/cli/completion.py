"""`secrets-cache completion`: a script for the user's shell, which shtab makes from the parser."""

import argparse
import sys

from secrets_cache.cli.arguments import make_parser
from secrets_cache.cli.terminal import print_error


def run(given: argparse.Namespace) -> int:
    """Print the script."""
    try:
        import shtab  # noqa: PLC0415 - the layer does not have it
    except ImportError:
        print_error("completion needs shtab; install it with: pip install shtab")
        return 1
    sys.stdout.write(shtab.complete(make_parser(), given.shell) + "\n")
    return 0
