"""A function for the tests: it asks for whatever the event names, and did so once at import."""

import os
import time
import urllib.error
import urllib.request

BASE = f"http://localhost:{os.environ['SECRETS_CACHE_PORT']}"


def ask(path):
    """Return status, headers and body, or how the connection failed."""
    began = time.monotonic()
    try:
        with urllib.request.urlopen(BASE + path, timeout=20) as response:
            answer = {"status": response.status, "headers": dict(response.headers), "body": response.read().decode()}
    except urllib.error.HTTPError as error:
        answer = {"status": error.code, "headers": dict(error.headers), "body": error.read().decode()}
    except OSError as error:
        answer = {"status": 0, "headers": {}, "body": str(error)}
    return {**answer, "ms": (time.monotonic() - began) * 1000}


AT_IMPORT = ask(os.environ.get("ASK_AT_IMPORT", "/cache/db"))


def handler(event, context):
    """Answer with what was asked at import and what is asked now, after as many seconds as the event wants."""
    time.sleep(event.get("sleep", 0))
    return {"at_import": AT_IMPORT, "now": ask(event.get("path", "/cache/db"))}
