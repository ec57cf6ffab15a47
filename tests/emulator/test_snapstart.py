"""
SnapStart: what lies in a snapshot, and what the first request after a restore gets.

The emulator gives the environment and the Runtime API of SnapStart, but makes no snapshot. What a restore does to a
process is done to it here: it stands still, its connections die, its credentials become others, and days pass on the
wall clock alone.
"""

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.test_freeze import callers
from tests.support import upstream as stub
from tests.support.extension import link_layer, shut_down
from tests.support.fakes import CANARY
from tests.support.processes import EXTENSION, Clocks, Process, config, frozen, pid_of_extension
from tests.support.stub_server import HttpServer, Request
from tools.emulator import ROOT, Emulator, free_port

DAYS = 14 * 24 * 3600.0
OLD, NEW = f"{CANARY} old", f"{CANARY} new"
NO_KEYS = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": ""}
# Of SnapStart, no more than what differs: the emulator's own endpoint gives credentials that expired in the year 1.
LAUNCHER = """#!/bin/sh
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
export AWS_CONTAINER_CREDENTIALS_FULL_URI={url}
exec /opt/launcher/secrets-cache
"""


class Container(HttpServer):
    """
    A container's credentials endpoint.

    Attributes:
        key: The access key that it gives.
        given: Those that it has given so far.
        tokens: The authorization it was asked with.
    """

    def __init__(self) -> None:
        super().__init__()
        self.key = "AKIDOFTHESNAPSHOT"
        self.given: list[str] = []
        self.tokens: set[str] = set()

    def handle(self, request: Request) -> None:
        """Give credentials."""
        self.given.append(self.key)
        self.tokens.add(request.headers["Authorization"])
        credentials = {"AccessKeyId": self.key, "SecretAccessKey": f"{CANARY} key", "Token": f"{CANARY} token"}
        request.answer(200, json.dumps({**credentials, "Expiration": "2099-01-01T00:00:00Z"}).encode())


@pytest.fixture(name="container")
def _container() -> Iterator[Container]:
    with Container() as container:
        yield container


class Restored:
    """A fault: AWS knows the old credentials no more, and connections of before are dead without a word."""

    def __init__(self, upstream: stub.Upstream, key: str) -> None:
        self._dead = {call.connection for call in upstream.calls}
        self._key = key

    def __call__(self, call: stub.Call) -> stub.Answer | None:
        if call.connection in self._dead:
            return stub.HANG
        if call.access_key != self._key:
            return stub.aws_error("ExpiredTokenException", "The security token included in the request is expired")
        return None


def restore(upstream: stub.Upstream, container: Container) -> None:
    """Do to the world what has become of it when a snapshot is restored."""
    container.key = "AKIDOFTHERESTORED"
    upstream.fault = Restored(upstream, container.key)
    upstream.put("db", NEW)


# Under the emulator.


def memory_holds(pid: int, what: bytes) -> bool:
    """Return whether a process's memory holds these bytes anywhere, as a snapshot of it would."""
    with frozen(pid), open(f"/proc/{pid}/mem", "rb", 0) as memory:  # noqa: PTH123
        for line in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines():
            where, rights, *_ = line.split()
            start, end = (int(bound, 16) for bound in where.split("-"))
            # What the kernel maps for itself cannot be read.
            with contextlib.suppress(OSError, OverflowError):
                memory.seek(start)
                if rights.startswith("r") and what in memory.read(end - start):
                    return True
    return False


@pytest.fixture(name="function")
def _function(opt, upstream, container, tmp_path):
    """Give a function under SnapStart, and its port."""
    if os.geteuid() != 0:
        pytest.skip("the extension closes its memory and its environment to all but root")
    upstream.put("db", OLD)
    shutil.copy(ROOT / "tests" / "functions" / "runtime.py", tmp_path)
    (tmp_path / "config.yaml").write_text("secrets: [db, {id: other, required: true}]", encoding="utf-8")
    upstream.put("other", OLD)
    ours = link_layer(opt, tmp_path / "opt")
    (ours / "launcher").mkdir()
    (ours / "extensions" / "secrets-cache").rename(ours / "launcher" / "secrets-cache")
    launcher = ours / "extensions" / "secrets-cache"
    launcher.write_text(LAUNCHER.format(url=f"{container.url}/credentials"), encoding="utf-8")
    launcher.chmod(0o755)
    port = free_port()
    return Emulator(
        opt=ours,
        task=tmp_path,
        runtime=[sys.executable, str(tmp_path / "runtime.py")],
        flags=["--enable-init-caching"],
        environ={
            "AWS_ENDPOINT_URL": upstream.url,
            "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
            "SECRETS_CACHE_PORT": str(port),
        },
    ), port


def test_nothing_secret_lies_in_the_snapshot(function, upstream, container):
    """Neither value nor credential is asked for before the first request; that one brings all that is listed."""
    emulator, port = function
    with emulator:
        emulator.invoke()
        pid = pid_of_extension(port)
        before = memory_holds(pid, CANARY.encode())
        asked = len(upstream.calls), len(container.given)
        # A scan that found nothing anywhere would prove nothing.
        has_name = memory_holds(pid, b"extension.ready")
        ((_, *answer),) = emulator.invoke({"paths": ["/cache/db"]})["answers"]
        after = memory_holds(pid, OLD.encode())
        ((_, *other),) = emulator.invoke({"paths": ["/cache/other"]})["answers"]
        emulator.shut_down()

    assert (False, (0, 0)) == (before, asked)
    assert (True, True) == (has_name, after)
    assert [200, "secrets-cache; fwd=miss", OLD] == answer
    assert [200, OLD] == other[::2]
    assert (1, 1) == (upstream.count("db"), upstream.count("other"))
    assert ["extension.ready", "extension.stopped"] == [event["event"] for event in emulator.log.events()]
    assert CANARY not in emulator.log.text


def test_credentials_come_from_the_containers_endpoint_and_anew_after_a_restore(function, upstream, container):
    """With the token as it is, without a word before it; the caller notices nothing of those that have expired."""
    emulator, port = function
    with emulator:
        ((_, *asked_in_init),) = emulator.invoke({"paths": ["/cache/db"]})["answers"]
        pid = pid_of_extension(port)
        with frozen(pid):
            restore(upstream, container)
            upstream.hang_up()
        ((_, *answer),) = emulator.invoke({"paths": ["/cache/db?refresh=true"]})["answers"]
        environ = dict(
            entry.partition("=")[::2] for entry in Path(f"/proc/{pid}/environ").read_text(encoding="utf-8").split("\0")
        )
        emulator.shut_down()

    assert [[200, OLD], [200, NEW]] == [asked_in_init[::2], answer[::2]]
    assert "AWS_ACCESS_KEY_ID" not in environ
    assert {environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"]} == container.tokens
    assert ["AKIDOFTHESNAPSHOT", "AKIDOFTHERESTORED"] == container.given
    keys = [call.access_key for call in upstream.calls if call.ids == ["db"]]
    assert ["AKIDOFTHESNAPSHOT", "AKIDOFTHESNAPSHOT", "AKIDOFTHERESTORED"] == keys
    assert CANARY not in emulator.log.text


# With clocks that are set.


@pytest.fixture(name="start")
def _start(api, upstream, container, tmp_path):
    """Give a function that makes an extension's process as under SnapStart, and lets it end."""
    upstream.put("db", OLD)
    clocks = Clocks(tmp_path)

    @contextlib.contextmanager
    def start() -> Iterator[tuple[Process, Clocks]]:
        option, code, name = EXTENSION
        environ = {
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{container.url}/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "of-the-container",
            **NO_KEYS,
            **config(tmp_path, "secrets: [db]"),
        }
        with Process((option, f"{clocks.code}\n{code}", name), environ) as extension:
            extension.event("extension.ready")
            yield extension, clocks
            shut_down(api, extension)
            assert "secret.fetch_failed" not in extension.log.text

    return start


def test_the_first_requests_after_a_restore_share_the_first_fetch(start, upstream, container):
    """A snapshot without secrets, days later: fifty requests, one call, credentials of now."""
    with start() as (extension, clocks), callers(extension, 50) as asking:
        with frozen(extension.process.pid):
            assert ([], []) == (upstream.calls, container.given)
            clocks.step(wall=DAYS)
            restore(upstream, container)
            for caller in asking:
                caller.send()

        assert {(200, "secrets-cache; fwd=miss", NEW)} == {caller.answer() for caller in asking}
        assert ["AKIDOFTHERESTORED"] == [call.access_key for call in upstream.calls]
        assert ["AKIDOFTHERESTORED"] == container.given


@pytest.mark.parametrize(
    ("monotonic", "keys"),
    [
        (0.0, ["AKIDOFTHESNAPSHOT", "AKIDOFTHERESTORED"]),
        (DAYS, ["AKIDOFTHESNAPSHOT", "AKIDOFTHESNAPSHOT", "AKIDOFTHERESTORED"]),
    ],
    ids=["wall clock", "both clocks"],
)
def test_what_the_init_asked_for_is_not_served_after_a_restore(start, upstream, container, monotonic, keys):
    """Value, connections and credentials of the snapshot are too old, whichever clock says so."""
    with start() as (extension, clocks), callers(extension) as (caller,):
        assert (200, "secrets-cache; fwd=miss", OLD) == caller.get()
        with frozen(extension.process.pid):
            clocks.step(wall=DAYS, monotonic=monotonic)
            restore(upstream, container)

        assert (200, "secrets-cache; fwd=stale", NEW) == caller.get()
        assert (200, "secrets-cache; hit", NEW) == caller.get()
        assert keys == [call.access_key for call in upstream.calls]
        assert ["AKIDOFTHESNAPSHOT", "AKIDOFTHERESTORED"] == container.given
        assert {"of-the-container"} == container.tokens
