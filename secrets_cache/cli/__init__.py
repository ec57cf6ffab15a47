"""
The command line, for use outside Lambda. The commands are listed in `arguments`, each in a module with its name.

    arguments -> the parser -> the command's module -> exit code

Rules
-----
1. Exit codes: 0 success, 1 problems found, 2 wrong usage.
2. A command's module, and everything that it needs, is imported only for that command.
3. Only `get` writes the value of a secret, and only to standard output; `run` gives values to the command alone.
"""

import importlib
import os
import sys
from collections.abc import Sequence

from secrets_cache.cli.arguments import CannotRun, Usage, make_parser
from secrets_cache.cli.terminal import print_error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code. Ends the process with 2 on wrong usage."""
    parser = make_parser()
    given = parser.parse_args(arguments)
    command = importlib.import_module(f"secrets_cache.cli.{given.command}")
    try:
        code = int(command.run(given))
        sys.stdout.flush()
    except Usage as error:
        parser.exit(2, f"secrets-cache {given.command}: error: {error}\n")
    except CannotRun as error:
        print_error(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        # A reader that has closed the pipe knows that; a disk that is full, or whatever else it is, has to be told.
        if not isinstance(error, BrokenPipeError):
            print_error(error.strerror or str(error))
        # The flush at the end of the process must not report it either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code
