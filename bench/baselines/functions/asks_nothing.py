"""A function that needs no secret, with the imports of the one that asks an extension for it."""

import time  # noqa: F401
import urllib.error
import urllib.request  # noqa: F401


def handler(_event: object, _context: object) -> int:
    """Answer with the length of nothing."""
    return 0
