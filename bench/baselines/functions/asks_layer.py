"""A function that asks an extension for its secret while it is imported."""

import time
import urllib.error
import urllib.request


def ask() -> str:
    """Return the secret; ask again while nobody listens, as the plain extension makes its users do."""
    while True:
        try:
            with urllib.request.urlopen("http://localhost:8080/cache/secret-1", timeout=20) as response:
                return str(response.read().decode())
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError):
                raise
            time.sleep(0.005)


secret = ask()


def handler(_event: object, _context: object) -> int:
    """Answer with the length of the secret."""
    return len(secret)
