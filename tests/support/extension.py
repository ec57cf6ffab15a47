"""What tests do with an extension's process: call it, wait for the end of its init, shut it down, break it."""

import os
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import PATIENCE_SECONDS
from tests.support import upstream as stub
from tests.support.fakes import CANARY
from tests.support.lambda_api import LambdaApi
from tests.support.processes import Process, config, wait_until
from tools.emulator import ROOT, Emulator, free_port


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
    began = time.monotonic()
    api.release.set()
    assert 0 == extension.exit_code()
    assert PATIENCE_SECONDS / 10 > time.monotonic() - began
    extension.log.join()


def link_layer(opt: Path, target: Path) -> Path:
    """Make a copy of a layer that shares its files: whoever changes one of them removes it first."""
    return shutil.copytree(opt, target, copy_function=os.link)


def asking_function(opt: Path, upstream: stub.Upstream, folder: Path, text: str, **environ: str) -> Emulator:
    """Return a function beside a layer: it asks for `db` when it is imported, and for what it is invoked with."""
    return Emulator(
        opt=opt,
        task=ROOT / "tests" / "functions",
        runtime=[sys.executable, "-m", "awslambdaric", "asking.handler"],
        environ={
            "AWS_ENDPOINT_URL": upstream.url,
            "SECRETS_CACHE_PORT": str(free_port()),
            **config(folder, text),
            **environ,
        },
    )


def end_well(emulator: Emulator) -> list[dict[str, Any]]:
    """Shut an environment down: the extension stops at once by itself, and nothing secret shows. Return its log."""
    began = time.monotonic()
    emulator.shut_down()
    assert PATIENCE_SECONDS / 4 > time.monotonic() - began
    events = emulator.log.events()
    assert ("extension.stopped", "SHUTDOWN") == (events[-1]["event"], events[-1]["reason"])
    assert CANARY not in emulator.log.text
    return events


def invoke_until(emulator: Emulator, is_last: Callable[[Any], bool], event: object = None) -> Any:
    """Invoke a function until its answer is the one that is waited for; return the answer."""
    answers = []

    def has_come() -> bool:
        answers.append(emulator.invoke(event))
        return is_last(answers[-1])

    wait_until(has_come)
    return answers[-1]


def wait_for_call(upstream: stub.Upstream, name: str = "db") -> None:
    """Wait until AWS has been asked for a secret."""
    wait_until(lambda: upstream.count(name))


def broken(folder: Path, package: str, error: str) -> dict[str, str]:
    """Return the variable that puts a package in the way which cannot be imported."""
    place = folder / "broken" / package
    place.mkdir(parents=True)
    (place / "__init__.py").write_text(f"raise {error}('{CANARY}')")
    return {"PYTHONPATH": str(place.parent)}
