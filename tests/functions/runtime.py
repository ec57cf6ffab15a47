"""
A runtime of our own, function and all, for SnapStart and Managed Instances.

Runtime clients need there what the emulator does not do, or what only one user may read.
"""

import json
import os
import threading
import time
import urllib.error
import urllib.request

API = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime"
CACHE = f"http://127.0.0.1:{os.environ['SECRETS_CACHE_PORT']}"


def call(path, body=None):
    """Call the Runtime API; return headers and body."""
    with urllib.request.urlopen(urllib.request.Request(API + path, data=body)) as response:
        return response.headers, response.read()


def ask(path):
    """Ask the cache; return when, and the answer's status, Cache-Status and body."""
    asked = time.monotonic()
    try:
        with urllib.request.urlopen(CACHE + path, timeout=20) as response:
            return asked, response.status, response.headers["Cache-Status"], response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return asked, error.code, error.headers["Cache-Status"], error.read().decode()


def handle(event):
    """Do what the event wants: ask the cache for paths, tell a variable."""
    return {
        "uid": os.getuid(),
        "variable": os.environ.get(event.get("variable", "")),
        "answers": [ask(path) for path in event.get("paths", [])],
    }


def serve():
    """Serve one invocation after the other."""
    while True:
        headers, body = call("/invocation/next")
        result = json.dumps(handle(json.loads(body))).encode()
        call(f"/invocation/{headers['Lambda-Runtime-Aws-Request-Id']}/response", result)


# Not /restore/next, under SnapStart: the emulator knows no restore, gives it the first invocation, and takes no answer.
for _ in range(int(os.environ.get("AWS_LAMBDA_MAX_CONCURRENCY", "1"))):
    threading.Thread(target=serve).start()
