"""
The command line, for everywhere but Lambda: `secrets-cache serve`, `check`, `policy`, `get`, `health`.

    arguments -> the parser -> the one module of the command -> exit code

Rules
-----
1. Exit codes: 0 good, 1 problems found, 2 usage.
2. A command's module, and what it needs, is imported when that command is given.
3. The value of a secret is written by `get`, to standard output, and nowhere else.
"""

import importlib
import os
import sys
from collections.abc import Sequence

from secrets_cache.cli.arguments import Usage, made_parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code. Ends the process with 2 on wrong usage."""
    parser = made_parser()
    given = parser.parse_args(arguments)
    command = importlib.import_module(f"secrets_cache.cli.{given.command}")
    try:
        code = int(command.run(given))
        sys.stdout.flush()
    except Usage as wrong:
        parser.exit(2, f"secrets-cache {given.command}: error: {wrong}\n")
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read this wants no more; the flush at the end of the process must not complain of it either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code
