"""`python -m secrets_cache` is the command line."""

import sys

from secrets_cache.cli import main

if __name__ == "__main__":
    sys.exit(main())
