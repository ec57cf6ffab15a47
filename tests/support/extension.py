"""What tests do with an extension's process: call it, wait for the end of its init, shut it down, break it."""

import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.conftest import PATIENCE_SECONDS
from tests.support import upstream as stub
from tests.support.fakes import CANARY
from tests.support.lambda_api import LambdaApi
from tests.support.processes import Process


def get(url: str, **headers: str) -> tuple[int, str]:
    """Return status and body."""
    try:
        request = urllib.request.Request(url, headers=headers)
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def next_is_open(api: LambdaApi) -> bool:
    """Wait until the init is ended by `/event/next`; return whether that came."""
    return api.wait_until(lambda: "/event/next" in api.paths(), PATIENCE_SECONDS)


def shut_down(api: LambdaApi, extension: Process) -> None:
    """Send SHUTDOWN; the process must end at once, with 0."""
    assert extension.process.poll() is None
    began = time.monotonic()
    api.release.set()
    assert 0 == extension.exit_code()
    assert 2 > time.monotonic() - began
    extension.log.join()


def wait_for_call(upstream: stub.Upstream, name: str = "db") -> None:
    """Wait until AWS has been asked for a secret."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not upstream.count(name):
        assert deadline > time.monotonic()
        time.sleep(0.005)


def broken(folder: Path, package: str, error: str) -> dict[str, str]:
    """Return the variable that puts a package in the way which cannot be imported."""
    place = folder / "broken" / package
    place.mkdir(parents=True)
    (place / "__init__.py").write_text(f"raise {error}('{CANARY}')")
    return {"PYTHONPATH": str(place.parent)}
