"""The extension's process, from its first line to its last: `extension` and `life`, against a stub of the API."""

import contextlib
import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

import pytest

from tests.conftest import PATIENCE_SECONDS
from tests.support import upstream as stub
from tests.support.fakes import CANARY
from tests.support.lambda_api import LambdaApi
from tests.support.processes import EXTENSION, Process, config
from tools.emulator import ROOT


@pytest.fixture(name="start")
def _start(api, upstream, tmp_path):
    """Give a function that makes an extension's process of a configuration; `before` is Python that runs before it."""
    upstream.put("db", CANARY)

    def start(text: str = "secrets: [db]", *, port: int | None = None, before: str = "", **environ: str) -> Process:
        option, code, name = EXTENSION
        environ = {"AWS_LAMBDA_RUNTIME_API": api.address, **config(tmp_path, text), **environ}
        return Process((option, f"{before}\n{code}", name), environ, port=port)

    return start


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


def test_a_life_from_registration_to_shutdown(api, start):
    """Register, prefetch, serve, next, SHUTDOWN: one line at the beginning, one at the end, exit code 0."""
    with start() as extension:
        assert next_is_open(api)
        assert (200, CANARY) == get(f"{extension.url}/cache/db")
        shut_down(api, extension)

        ready, stopped = extension.log.events()

    assert ["/register", "/event/next"] == api.paths()
    assert ("extension.ready", "INFO", extension.port, 1, 0) == (
        ready["event"],
        ready["level"],
        ready["port"],
        ready["secrets"],
        ready["failed"],
    )
    assert 0 < ready["registered_ms"] < ready["took_ms"]
    assert {
        "event": "extension.stopped",
        "reason": "SHUTDOWN",
        "hits": 1,
        "misses": 0,
        "stale": 0,
        "refreshes": 1,
        "failures": 0,
    } == {name: value for name, value in stopped.items() if name not in {"time", "level"} and name[:6] != "fetch_"}
    # Of one fetch.
    assert 0 <= stopped["fetch_mean_ms"] == stopped["fetch_max_ms"] < 1000 * PATIENCE_SECONDS
    assert CANARY not in extension.log.text


def test_the_port_is_open_when_the_registration_arrives(api, start):
    """The function starts when we have registered: a connection must not be refused from then on."""
    seen = []
    with start() as extension:
        assert api.wait_until(lambda: bool(api.calls), PATIENCE_SECONDS)
        with socket.create_connection(("127.0.0.1", extension.port), 1):
            seen.append("open")
        assert (200, CANARY) == get(f"{extension.url}/cache/db")
        shut_down(api, extension)

    assert ["open"] == seen


def test_nothing_heavy_is_imported_before_the_registration():
    """What the function's start waits for is measured in modules as well."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import secrets_cache.extension.start; print(*sys.modules)"
    loaded = subprocess.run(
        # Without the environment, a coverage measurement does not begin in there, and import what it needs.
        [sys.executable, "-I", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={},
    ).stdout.split()

    heavy = {
        "asyncio",
        "ssl",
        "logging",
        "json",
        "yaml",
        "aiohttp",
        "botocore",
        "dataclasses",
        "http.client",
        "inspect",
        "typing",
        "re",
    }
    assert set() == heavy & set(loaded)


def test_a_prefetch_that_hangs_does_not_hold_the_init(api, start, upstream):
    """After two seconds `/event/next` is called, and the prefetch goes on."""
    upstream.fault = stub.HANG
    with start("secrets: [db]\nfetch_timeout: 60s") as extension:
        assert next_is_open(api)
        assert 1 == upstream.count("db")
        assert [] == [line for line in extension.log.events() if line["event"].startswith("secret.")]
        shut_down(api, extension)


@pytest.mark.parametrize(
    ("fault", "status", "code", "reason"),
    [
        (stub.ACCESS_DENIED, 502, "upstream-refused", "AccessDeniedException"),
        (stub.INTERNAL, 503, "upstream-unavailable", "status 500"),
        (stub.HANG, 504, "upstream-timeout", "did not answer within 0.5 s"),
    ],
)
def test_a_secret_that_cannot_be_had_is_said_once_and_answered(api, start, upstream, fault, status, code, reason):
    """The process stays; callers and log say why."""
    upstream.fault = fault
    with start(f"secrets: [db]\nfetch_timeout: {0.5 if fault is stub.HANG else 30}s") as extension:
        assert next_is_open(api)
        answered, body = get(f"{extension.url}/cache/db")
        health = get(f"{extension.url}/health")
        failed = extension.event("secret.fetch_failed")
        shut_down(api, extension)

    assert (status, code) == (answered, json.loads(body)["code"])
    assert reason in failed["reason"]
    assert (503, "failing") == (health[0], json.loads(health[1])["status"])


def test_without_credentials_it_stays_and_says_so(api, start):
    """One line that names what is missing."""
    nothing = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}
    with start(**nothing) as extension:
        assert next_is_open(api)
        assert 503 == get(f"{extension.url}/cache/db")[0]
        assert "no-credentials" == extension.event("secret.fetch_failed")["code"]
        shut_down(api, extension)


def test_a_broken_configuration_is_reported_whole_and_the_rest_is_served(api, start):
    """Every problem is one ERROR line; what is valid counts."""
    with start("secrets: [db, 'not a name']\nttl: soon\nfoo: 1", CACHE_TIMEOUT="x") as extension:
        assert next_is_open(api)
        assert (200, CANARY) == get(f"{extension.url}/cache/db")
        status, body = get(f"{extension.url}/health")
        shut_down(api, extension)
        lines = [line for line in extension.log.events() if line["event"] == "config.invalid"]

    assert ["secrets[1]", "ttl", "foo", "CACHE_TIMEOUT"] == [line["key"] for line in lines]
    assert [1, 2, 3, None] == [line.get("line") for line in lines]
    assert {"ERROR"} == {line["level"] for line in lines}
    assert (503, [line["text"] for line in lines]) == (status, json.loads(body)["problems"])


def test_a_strict_configuration_fails_the_init_through_init_error(api, start):
    """With the same text, and exit code 1."""
    with start("ttl: soon\nfoo: 1", SECRETS_CACHE_STRICT="1") as extension:
        assert 1 == extension.exit_code()
        extension.log.join()
        texts = [line["text"] for line in extension.log.events() if line["event"] == "config.invalid"]

    assert ["/register", "/init/error"] == api.paths()
    error = json.loads(api.calls[1].body)
    assert ("Extension.ConfigInvalid", "\n".join(texts)) == (error["errorType"], error["errorMessage"])


@pytest.mark.parametrize("strict", ["1", "0"])
def test_a_required_secret_that_cannot_be_had(api, start, upstream, strict):
    """An ERROR and a failing health; under strict, the end of the init."""
    upstream.fault = stub.ACCESS_DENIED
    with start("secrets: [{id: db, required: true}]", SECRETS_CACHE_STRICT=strict) as extension:
        missing = extension.event("secret.required_missing")
        if strict == "1":
            assert 1 == extension.exit_code()
            assert ["/register", "/init/error"] == api.paths()
            assert "Extension.RequiredSecretMissing" == json.loads(api.calls[1].body)["errorType"]
        else:
            assert next_is_open(api)
            assert 503 == get(f"{extension.url}/health")[0]
            shut_down(api, extension)

    assert ("db", "AccessDeniedException") == (missing["secret"], missing["code"])


def test_a_required_secret_that_is_slow_is_waited_for_under_strict(api, start, upstream):
    """Two seconds are not its budget; fetch_timeout is."""
    upstream.delay = 2.5
    with start("secrets: [{id: db, required: true}]", SECRETS_CACHE_STRICT="1") as extension:
        ready = extension.event("extension.ready")
        assert next_is_open(api)
        shut_down(api, extension)

    assert 2500 <= ready["took_ms"]


def test_a_required_secret_that_is_there_changes_nothing(api, start):
    """No line about it."""
    with start("secrets: [{id: db, required: true}]", SECRETS_CACHE_STRICT="1") as extension:
        assert next_is_open(api)
        shut_down(api, extension)
        assert ["extension.ready", "extension.stopped"] == [line["event"] for line in extension.log.events()]


def test_an_init_error_that_cannot_be_told_still_ends_the_init(api, start):
    """Lambda sees the exit."""
    api.answers["/init/error"] = [(500, {}, b"no")]
    with start("ttl: soon", SECRETS_CACHE_STRICT="1") as extension:
        assert 1 == extension.exit_code()
        extension.log.join()
        assert "extensions_api.failed" in [line["event"] for line in extension.log.events()]


def test_a_taken_port_is_said_and_the_process_stays(api, start):
    """Exiting would fail the function; it may not even ask us."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with start(port=port) as extension:
            line = extension.event("server.not_listening")
            assert next_is_open(api)
            shut_down(api, extension)

    assert (port, "Address already in use", "ERROR") == (line["port"], line["reason"], line["level"])


def test_the_port_may_come_from_the_file(api, start, tmp_path):
    """Then the file is parsed before the ports are bound."""
    from tools.emulator import free_port

    port = free_port()
    with start(f"secrets: [db]\nserver: {{port: {port}}}", port=port, SECRETS_CACHE_PORT="") as extension:
        assert next_is_open(api)
        assert (200, CANARY) == get(f"http://127.0.0.1:{port}/cache/db")
        shut_down(api, extension)


def test_a_registration_that_fails_is_said_and_made_up_for(api, start):
    """The cache is served all the same."""
    api.answers["/register"] = [(403, {}, b'{"errorType":"Extension.InvalidExtensionName"}')]
    with start() as extension:
        line = extension.event("extensions_api.failed")
        assert next_is_open(api)
        assert (200, CANARY) == get(f"{extension.url}/cache/db")
        shut_down(api, extension)

    assert "Extension.InvalidExtensionName" in line["reason"]
    assert "registered_ms" not in extension.event("extension.ready")
    assert ["/register", "/register", "/event/next"] == api.paths()


def test_a_next_that_fails_is_asked_for_again(api, start):
    """So is one that has another event than SHUTDOWN."""
    api.answers["/event/next"] = [(500, {}, b"no"), (200, {}, b'{"eventType":"INVOKE"}')]
    with start() as extension:
        extension.log.wait_for("extensions_api.failed", 2)
        assert api.wait_until(lambda: 3 == api.paths().count("/event/next"), PATIENCE_SECONDS)
        shut_down(api, extension)


def test_sigterm_ends_it_too(api, start):
    """Lambda does not send it; people and containers do."""
    with start() as extension:
        assert next_is_open(api)
        extension.process.send_signal(signal.SIGTERM)
        assert 0 == extension.exit_code()
        assert "SIGTERM" == extension.event("extension.stopped")["reason"]


def test_sigterm_ends_the_imports(start):
    """From the registration on it is a good end, before there is an event loop too."""
    with start() as extension:
        status = Path(f"/proc/{extension.process.pid}/status")
        bit = 1 << (signal.SIGTERM - 1)
        while not bit & int(status.read_text().partition("SigCgt:")[2].split()[0], 16):
            assert extension.process.poll() is None
        extension.process.send_signal(signal.SIGTERM)
        assert 0 == extension.exit_code()


def test_sigterm_ends_a_start_that_waits_for_aws(api, start, upstream):
    """The prefetch is not waited for, however long strict mode would."""
    upstream.fault = stub.HANG
    with start("secrets: [{id: db, required: true}]\nfetch_timeout: 60s", SECRETS_CACHE_STRICT="1") as extension:
        wait_for_call(upstream)
        extension.process.send_signal(signal.SIGTERM)

        assert 0 == extension.exit_code()
        assert "SIGTERM" == extension.event("extension.stopped")["reason"]
    assert ["/register"] == api.paths()


def test_sigterm_ends_a_pause(api, start):
    """Nor is an API that fails waited for."""
    api.answers["/event/next"] = [(500, {}, b"no")] * 10
    with start() as extension:
        extension.log.wait_for("extensions_api.failed", 3)
        began = time.monotonic()
        extension.process.send_signal(signal.SIGTERM)

        assert 0 == extension.exit_code()
        assert 3 > time.monotonic() - began
        assert "SIGTERM" == extension.event("extension.stopped")["reason"]


class HalfAnswer:
    """An Extensions API that registers, and then sends half an answer; the other half when it is told to."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.is_half = threading.Event()
        self.go_on = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on.set()
        self._thread.join()
        self._server.close()

    def _serve(self) -> None:
        body = b'{"eventType":"SHUTDOWN"}'
        head = b"HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: x\r\nContent-Length: %d\r\n\r\n" % len(body)
        for half in (len(head + body), 30):
            connection, _ = self._server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall((head + body)[:half])
                if half == 30:
                    self.is_half.set()
                    self.go_on.wait()
                    connection.sendall((head + body)[half:])


def test_half_an_event_does_not_hold_up_the_callers(start):
    """The loop never waits for the Extensions API; the event counts when all of it is there."""
    with HalfAnswer() as half, start(AWS_LAMBDA_RUNTIME_API=half.address) as extension:
        assert half.is_half.wait(PATIENCE_SECONDS)
        for _ in range(3):
            assert (200, CANARY) == get(f"{extension.url}/cache/db")
        half.go_on.set()

        assert 0 == extension.exit_code()
        assert "SHUTDOWN" == extension.event("extension.stopped")["reason"]


def test_an_api_that_hangs_does_not_hold_up_the_callers(start):
    """A registration that is made up for later may take its time."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        start(AWS_LAMBDA_RUNTIME_API=f"127.0.0.1:{server.getsockname()[1]}") as extension,
    ):
        # The first is refused by hanging up, the second is never answered.
        server.settimeout(PATIENCE_SECONDS)
        server.accept()[0].close()
        extension.event("extension.ready")
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            began = time.monotonic()
            assert (200, CANARY) == get(f"{extension.url}/cache/db")
            assert 5 > time.monotonic() - began


def test_the_init_waits_two_seconds_for_the_prefetch_from_the_registration_on(api, start, upstream):
    """No longer, or the function starts late; no shorter, or it starts without its secrets."""
    upstream.fault = stub.HANG
    with start("secrets: [db]\nfetch_timeout: 60s") as extension:
        ready = extension.event("extension.ready")
        assert next_is_open(api)
        shut_down(api, extension)

    assert 2000 <= ready["took_ms"] - ready["registered_ms"] < 2800


def test_slow_imports_are_part_of_the_two_seconds(api, start, upstream):
    """A small function's share of a core makes them last for longer than the function's own start."""
    upstream.fault = stub.HANG
    before = """
import sys, time
class Slow:
    def find_spec(self, name, *_):
        if name == "aiobotocore":
            time.sleep(2)
sys.meta_path.insert(0, Slow())
"""
    with start("secrets: [db]\nfetch_timeout: 60s", before=before) as extension:
        ready = extension.event("extension.ready")
        assert next_is_open(api)
        shut_down(api, extension)

    assert 2000 <= ready["took_ms"] - ready["registered_ms"] < 3900


def test_a_thread_that_hangs_does_not_hold_the_end(api, start):
    """A name server that does not answer holds a thread, and that must not hold the process."""
    with start(before="import threading; threading.Thread(target=threading.Event().wait).start()") as extension:
        assert next_is_open(api)
        shut_down(api, extension)


def test_no_core_dump_is_written_whatever_fails(api, start, tmp_path):
    """Neither by the last resort, nor where there is no port: the limit is set before anything else can fail."""
    with start(SECRETS_CACHE_LANES="0", **broken(tmp_path, "aiohttp", "MemoryError")) as extension:
        assert "MemoryError" == extension.event("internal.error")["error"]
        assert next_is_open(api)
        assert (0, 0) == resource.prlimit(extension.process.pid, resource.RLIMIT_CORE)
        shut_down(api, extension)


def test_a_last_resort_that_fails_is_tried_again(api, start, tmp_path):
    """Whatever is raised: the process stays."""
    before = """
from secrets_cache.extension.extensions_api import ExtensionsApi
class Api(ExtensionsApi):
    tries = 0
    def until_shutdown(self, *arguments):
        self.tries += 1
        if self.tries == 1:
            raise ZeroDivisionError
        return super().until_shutdown(*arguments)
import os
from secrets_cache.extension.start import live
os._exit(live(Api(os.environ["AWS_LAMBDA_RUNTIME_API"], "secrets-cache"), os.environ))
"""
    kept_from_serving = {"SECRETS_CACHE_LANES": "0", **broken(tmp_path, "aiohttp", "MemoryError")}
    with start(before=before, **kept_from_serving) as extension:
        extension.log.wait_for("MemoryError")
        extension.log.wait_for("ZeroDivisionError")
        assert next_is_open(api)
        assert 503 == get(f"{extension.url}/ping")[0]
        shut_down(api, extension)


def test_sigterm_ends_the_last_resort_too(api, start, tmp_path):
    """With exit code 0, as everywhere."""
    with start(SECRETS_CACHE_LANES="0", **broken(tmp_path, "aiohttp", "MemoryError")) as extension:
        assert "MemoryError" == extension.event("internal.error")["error"]
        assert next_is_open(api)
        extension.process.send_signal(signal.SIGTERM)

        assert 0 == extension.exit_code()


def broken(folder: Path, package: str, error: str) -> dict[str, str]:
    """Return the variable that puts a package in the way which cannot be imported."""
    place = folder / "broken" / package
    place.mkdir(parents=True)
    (place / "__init__.py").write_text(f"raise {error}('{CANARY}')")
    return {"PYTHONPATH": str(place.parent)}


def test_what_cannot_be_imported_leaves_the_last_resort(api, start, tmp_path):
    """The function is answered, the log says why, and the process stays until SHUTDOWN. Plain YAML needs no PyYAML."""
    with start(SECRETS_CACHE_LANES="0", **broken(tmp_path, "yaml", "ImportError")) as extension:
        line = extension.event("internal.error")
        assert next_is_open(api)
        status, body = get(f"{extension.url}/cache/db")
        shut_down(api, extension)

    assert ("extension", "ImportError") == (line["where"], line["error"])
    assert (503, "upstream-unavailable") == (status, json.loads(body)["code"])
    assert CANARY not in extension.log.text


def test_a_server_that_cannot_start_leaves_the_last_resort(api, start, tmp_path):
    """Whatever fails between the registration and the end."""
    with start(SECRETS_CACHE_LANES="0", **broken(tmp_path, "aiohttp", "MemoryError")) as extension:
        assert "MemoryError" == extension.event("internal.error")["error"]
        assert next_is_open(api)
        assert 503 == get(f"{extension.url}/ping")[0]
        shut_down(api, extension)


def test_a_server_without_its_engine_answers_what_needs_none(api, start, tmp_path):
    """The others are told of an error, and only they."""
    with start(**broken(tmp_path, "aiohttp", "MemoryError")) as extension:
        assert next_is_open(api)
        assert (200, CANARY) == get(f"{extension.url}/cache/db")
        assert 500 == get(f"{extension.url}/cache/db", **{"X-Other": "x"})[0]
        assert (200, CANARY) == get(f"{extension.url}/cache/db")
        shut_down(api, extension)

    assert "connection" == extension.event("internal.error")["where"]


def test_a_client_that_cannot_be_imported_is_told_as_an_error_of_ours(api, start, tmp_path):
    """To who asked, and in the log."""
    with start(SECRETS_CACHE_LANES="0", **broken(tmp_path, "aiobotocore", "ImportError")) as extension:
        failed = extension.event("secret.fetch_failed")
        assert 503 == get(f"{extension.url}/cache/db")[0]
        assert next_is_open(api)
        shut_down(api, extension)

    assert ("internal-error", True) == (failed["code"], "aiobotocore could not be imported" in failed["reason"])
    assert CANARY not in extension.log.text


def test_under_snapstart_it_is_ready_without_having_fetched(api, start, upstream):
    """Nothing secret lies in the snapshot."""
    with start(AWS_LAMBDA_INITIALIZATION_TYPE="snap-start") as extension:
        assert next_is_open(api)
        assert 0 == len(upstream.calls)
        assert (200, CANARY) == get(f"{extension.url}/cache/db")
        shut_down(api, extension)


def wait_for_call(upstream: stub.Upstream, name: str = "db") -> None:
    """Wait until AWS has been asked for a secret."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not upstream.count(name):
        assert deadline > time.monotonic()
        time.sleep(0.005)


def test_frozen_for_longer_than_the_budget_in_the_middle_of_a_fetch(api, start, upstream):
    """The call that a freeze broke is made again at once; its caller sees nothing of it."""
    budget = 1.0
    upstream.put("late", CANARY)
    with start(f"secrets: [db]\nallow: [late]\nfetch_timeout: {budget}s") as extension:
        assert next_is_open(api)
        upstream.faults.append(stub.Answer(hang=True))
        connection = http.client.HTTPConnection("127.0.0.1", extension.port, timeout=PATIENCE_SECONDS)
        connection.request("GET", "/cache/late")
        wait_for_call(upstream, "late")

        os.kill(extension.process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, extension.process.pid, os.WSTOPPED | os.WNOWAIT)
        # How long it is frozen is what this is about; nothing is waited for.
        time.sleep(2 * budget)
        os.kill(extension.process.pid, signal.SIGCONT)

        response = connection.getresponse()
        assert (200, CANARY) == (response.status, response.read().decode())
        connection.close()
        shut_down(api, extension)


def test_more_callers_than_descriptors_keep_nobody_from_the_others(api, start):
    """AWS and the Extensions API are reached, callers that come later are answered, and the log has one line."""
    before = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (128, 256))"
    with start(before=before) as extension, contextlib.ExitStack() as stack:
        assert api.wait_until(lambda: bool(api.calls), PATIENCE_SECONDS)
        for _ in range(300):
            stack.enter_context(socket.create_connection(("127.0.0.1", extension.port), PATIENCE_SECONDS))
        assert next_is_open(api)
        assert 128 == extension.event("server.crowded")["connections"]
        assert (200, CANARY) == get(f"{extension.url}/cache/db")
        shut_down(api, extension)

        events = [line["event"] for line in extension.log.events()]
    assert ["extension.ready", "extension.stopped", "server.crowded"] == sorted(events)


def test_without_standard_output_no_socket_takes_its_place(api, start):
    """What is logged would go to whoever is connected."""
    with start(before="import os; os.close(0); os.close(1); os.close(2)") as extension:
        assert next_is_open(api)
        opened = [str(Path(f"/proc/{extension.process.pid}/fd/{number}").readlink()) for number in (0, 1, 2)]
        assert (200, CANARY) == get(f"{extension.url}/cache/db")
        shut_down(api, extension)

    assert ["/dev/null"] * 3 == opened


@pytest.mark.parametrize("arguments", [EXTENSION[:-1], (*EXTENSION, "more")])
def test_started_wrongly_it_says_how_it_is_started(arguments):
    """Exit code 2 and one line."""
    found = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9"},
    )

    assert (2, "") == (found.returncode, found.stdout)
    assert "started by AWS Lambda" in found.stderr


def test_started_outside_lambda_it_names_the_other_command():
    """No API, no extension."""
    found = subprocess.run([sys.executable, *EXTENSION], capture_output=True, text=True, check=False)

    assert 2 == found.returncode
    assert "`secrets-cache serve`" in found.stderr
