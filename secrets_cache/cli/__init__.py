"""
The command line, for use outside Lambda. The commands are listed in `arguments`, each in a module with its name.

    arguments -> the parser -> the command's module -> exit code

Rules
-----
1. Exit codes: 0 success, 1 problems found, 2 wrong usage.
2. A command's module, and everything that it needs, is imported only for that command.
3. Only `get` writes the value of a secret, and only to standard output; `run` gives values to the command alone.
4. Standard output that is closed or full is no reason for a traceback.
"""

import errno
import importlib
import io
import os
import sys
from collections.abc import Sequence

from secrets_cache.cli.arguments import CannotRun, Usage, make_parser
from secrets_cache.cli.terminal import print_error

# What a write to a full disk, a closed terminal, or a descriptor that is not open for writing fails with.
NOT_WRITTEN = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code. Ends the process with 2 on wrong usage."""
    _prepare_streams()
    parser = make_parser()
    given = parser.parse_args(arguments)
    if given.command is None:
        parser.print_help(sys.stderr)
        parser.exit(2)
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
        # A reader that has closed the pipe knows that; a disk that is full has to be told.
        if error.errno in NOT_WRITTEN:
            print_error(f"standard output cannot be written: {error.strerror}")
        elif not isinstance(error, BrokenPipeError):
            print_error(error.strerror or str(error))
        # The flush at the end of the process must not report it either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _prepare_streams() -> None:
    """Open what the process was started without, as `>&-` does it; else a file or a socket would take its place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # Not inherited: the command of `run` starts without them too.
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - open until the end
    if isinstance(sys.stdout, io.TextIOWrapper):
        # As on standard error: what the locale's encoding lacks is no reason for a traceback.
        sys.stdout.reconfigure(errors="backslashreplace")
