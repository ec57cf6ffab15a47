"""
One target under atheris, guided by coverage. What `make fuzz` runs, in the environment .venv/fuzz.

    python -m tests.fuzz.guided TARGET FOLDER... -max_total_time=60

The first folder gets what is found, the others are read; everything else is libFuzzer's. What fails is written beside
the first folder's files.
"""

import logging
import sys

import atheris


def main() -> None:
    """Fuzz until the time is up or something fails."""
    with atheris.instrument_imports(include=["secrets_cache", "yaml", "botocore.parsers"]):
        from tests.fuzz.targets import TARGETS

    logging.getLogger().addHandler(logging.NullHandler())
    target = TARGETS[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
