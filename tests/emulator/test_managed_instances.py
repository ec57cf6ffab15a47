"""
Lambda Managed Instances, as AWS's emulator shows them: many invocations at once, nothing frozen, another user.

The function's processes run as user 993 there, so the interpreter of the layer runs the function too.
"""

import itertools
import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import pytest

from tests.conftest import PATIENCE_SECONDS
from tests.support import upstream as stub
from tests.support.extension import end_well, invoke_until
from tests.support.fakes import CANARY
from tests.support.processes import pid_of_extension
from tools.emulator import ROOT, Emulator, free_port

CONCURRENCY = 8
USER, GROUP = 993, 990
BOOTSTRAP = """#!/bin/sh
exec $AWS_LAMBDA_EXEC_WRAPPER /opt/secrets-cache/bin/python3 -I /var/task/runtime.py
"""


class Instance(Emulator):
    """A managed instance's execution environment, with a cache on `port`."""

    def __init__(self, task: Path, opt: Path, text: str, **environ: str) -> None:
        self.port = free_port()
        shutil.copy(ROOT / "tests" / "functions" / "runtime.py", task)
        (task / "config.yaml").write_text(text, encoding="utf-8")
        bootstrap = task / "bootstrap"
        bootstrap.write_text(BOOTSTRAP, encoding="utf-8")
        bootstrap.chmod(0o755)
        super().__init__(
            opt=opt,
            task=task,
            runtime=["/var/task/bootstrap"],
            environ={
                "AWS_LAMBDA_MAX_CONCURRENCY": str(CONCURRENCY),
                "SECRETS_CACHE_PORT": str(self.port),
                **environ,
            },
        )

    def ask(self, *paths: str) -> list[tuple[float, int, str, str]]:
        """Let the function ask the cache; return when it did, and each answer's status, Cache-Status and body."""
        # At first not all workers are there.
        unavailable = {"errorType": "Runtime.Unavailable"}
        result = invoke_until(self, lambda result: result != unavailable, {"paths": paths})
        return [tuple(answer) for answer in result["answers"]]


@pytest.fixture(name="instance")
def _instance(opt, upstream, tmp_path):
    """Give a function that makes an execution environment of a configuration."""
    if os.geteuid() != 0:
        pytest.skip("the emulator runs a managed instance's processes as another user, which only root can")
    task = tmp_path / "task"
    task.mkdir(mode=0o755)

    def instance(text: str, **environ: str) -> Instance:
        return Instance(task, opt, text, AWS_ENDPOINT_URL=upstream.url, **environ)

    return instance


def ids_of(pid: int) -> tuple[int, int]:
    """Return the user and the group that a process runs as."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    user, group = (next(line for line in lines if line.startswith(name)).split()[1] for name in ("Uid:", "Gid:"))
    return int(user), int(group)


@pytest.mark.shows_secrets("the function's variables are what is tested")
def test_another_user_has_secrets_and_variables(instance, upstream):
    """Registered for SHUTDOWN, which is all that is accepted; files, channel and port need no rights of ours."""
    upstream.put("db", CANARY)
    text = "secrets: [db]\nenv: [{secret: db, as: DB_PASSWORD}]"
    with instance(text, AWS_LAMBDA_EXEC_WRAPPER="/opt/get-secrets-layer") as running:
        result = running.invoke({"paths": ["/cache/db", "/health"], "variable": "DB_PASSWORD"})
        ids = ids_of(pid_of_extension(running.port))
        events = end_well(running)

    (_, *served), (_, status, *_) = result["answers"]
    assert ([200, "secrets-cache; hit", CANARY], 200) == (served, status)
    assert (USER, CANARY) == (result["uid"], result["variable"])
    assert (USER, GROUP) == ids
    assert ["extension.ready", "extension.stopped"] == [event["event"] for event in events]
    assert "registered_ms" in events[0]
    # One fetch for both, so the wrapper found the channel.
    assert 1 == upstream.count()


class Rotation:
    """Changes secrets all the time, and knows when."""

    def __init__(self, upstream: stub.Upstream, names: list[str]) -> None:
        self._upstream = upstream
        self._names = names
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._rotate)
        # When the value with this number was put in the place of the one before it, at the latest.
        self.replaced: list[float] = []

    def __enter__(self) -> Self:
        self._put(0)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _put(self, number: int) -> None:
        for name in self._names:
            self._upstream.put(name, f"{CANARY} {number}")
        self.replaced.append(time.monotonic())

    def _rotate(self) -> None:
        for number in itertools.count(1):
            if self._stop.wait(0.05):
                return
            self._put(number)


def test_many_requests_at_once_while_everything_is_refreshed(instance, upstream):
    """The timer refreshes; nobody gets what was replaced longer than a ttl ago, and AWS gets one call a refresh."""
    names, ttl = [f"n{number}" for number in range(5)], 1
    paths = [f"/cache/{name}" for name in names] * 20
    with Rotation(upstream, names) as rotation, instance(f"secrets: [{', '.join(names)}]\nttl: {ttl}s") as running:
        began = time.monotonic()
        running.ask()
        answers: list[tuple[float, int, str, str]] = []
        with ThreadPoolExecutor(CONCURRENCY) as pool:
            while time.monotonic() < began + 4 * ttl:
                for some in pool.map(lambda _: running.ask(*paths), range(CONCURRENCY)):
                    answers += some
        lasted = time.monotonic() - began
        calls = [upstream.count(name) for name in names]
        events = end_well(running)

    assert {200} == {status for _, status, _, _ in answers}
    numbers = {int(value.rpartition(" ")[2]) for _, _, _, value in answers}
    assert 3 <= len(numbers)
    for asked, _, _, value in answers:
        following = int(value.rpartition(" ")[2]) + 1
        assert following >= len(rotation.replaced) or rotation.replaced[following] >= asked - ttl
    # The first fetch, and one whenever nine tenths of the ttl are over.
    assert max(calls) <= 1 + lasted / (0.9 * ttl)
    assert min(calls) >= 3
    assert "secret.fetch_failed" not in [event["event"] for event in events]


def test_credentials_that_expire_leave_the_old_value(instance, upstream):
    """Those of the environment cannot be renewed: it is served, marked and logged, and requests add no call."""
    refused = []

    def expired(call: stub.Call) -> stub.Answer:
        refused.append(call)
        return stub.aws_error("ExpiredTokenException", "The security token included in the request is expired")

    upstream.put("db", CANARY)
    with instance("secrets: [db]\nttl: 1s") as running:
        assert (200, CANARY) == running.ask("/cache/db")[0][1::2]
        began, upstream.fault = time.monotonic(), expired
        deadline = began + PATIENCE_SECONDS
        answer = running.ask("/cache/db")[0]
        while "stale" not in answer[2]:
            assert deadline > time.monotonic()
            answer = running.ask("/cache/db")[0]
        later = running.ask(*["/cache/db"] * 200)

        # Should they be renewed after all.
        upstream.fault = None
        running.log.wait_for("secret.refreshed")
        lasted = time.monotonic() - began
        assert (200, CANARY) == running.ask("/cache/db")[0][1::2]
        failures = [event for event in end_well(running) if event["event"] == "secret.fetch_failed"]

    assert (200, "secrets-cache; hit; detail=stale", CANARY) == answer[1:]
    assert {(200, CANARY)} == {(status, value) for _, status, _, value in later}
    assert {("WARNING", "ExpiredTokenException", True)} == {
        (event["level"], event["code"], event["still_served"]) for event in failures
    }
    # Three attempts each, but for those of one that succeeded in the end; none sooner than 0.75 s after the one before.
    assert len(failures) <= 1 + lasted / 0.75
    assert 3 * len(failures) <= len(refused) <= 3 * len(failures) + 2
