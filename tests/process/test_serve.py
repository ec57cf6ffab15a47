"""`secrets-cache serve`: how it serves, and how it ends."""

import contextlib
import functools
import http.client
import json
import os
import re
import resource
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PATIENCE_SECONDS
from tests.support import processes
from tests.support.extension import get
from tests.support.fakes import CANARY
from tests.support.processes import Process, config
from tests.support.terminals import AtTerminal
from tests.support.upstream import HANG
from tools.emulator import free_port

OLD = "/cache/db?version_id=old"


def serve(tmp_path, text: str, *options: str, port: int | None = None, **environ: str) -> Process:
    """Return a process that serves a configuration."""
    file = config(tmp_path, text)["SECRETS_CACHE_CONFIG"]
    return processes.serve(file, *options, port=port, **environ)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_serves_until_it_is_told_to_stop(upstream, tmp_path, number):
    """The same server without Lambda; a signal ends it with 0."""
    upstream.put("db", CANARY)
    with serve(tmp_path, "secrets: [db]") as process:
        assert 1 == process.event("serve.ready")["secrets"]
        # Memory holds secrets, and a core dump is memory on a disk.
        assert (0, 0) == resource.prlimit(process.process.pid, resource.RLIMIT_CORE)
        assert (200, CANARY) == get(f"{process.url}/cache/db")
        process.process.send_signal(number)
        assert 0 == process.exit_code()
        assert 1 == process.event("serve.stopped")["hits"]


@pytest.mark.parametrize(
    ("text", "event", "field"),
    [
        ("ttl: soon", "config.invalid", ("key", "ttl")),
        ("secrets: [{id: missing, required: true}]", "secret.required_missing", ("secret", "missing")),
    ],
)
def test_serve_goes_on_without_what_is_wrong_unless_it_is_strict(upstream, tmp_path, text, event, field):
    """A problem of the configuration, or a required secret that is missing: exit code 1 in strict mode."""
    with serve(tmp_path, text, SECRETS_CACHE_STRICT="1") as process:
        assert 1 == process.exit_code()
        assert field in process.event(event).items()
    with serve(tmp_path, text) as process:
        process.event("serve.ready")
        assert 503 == get(f"{process.url}/health")[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_stops_while_it_still_waits_for_aws(upstream, tmp_path, number):
    """It waits for no prefetch, and logs no failure that did not happen."""
    upstream.fault = HANG
    with serve(tmp_path, "secrets: [db]\nfetch_timeout: 60s", "--grace", "3600") as process:
        assert upstream.arrived.wait(PATIENCE_SECONDS)
        process.process.send_signal(number)
        assert 0 == process.exit_code()
        process.event("serve.stopped")
        process.log.join()

        assert ["serve.stopped"] == [line["event"] for line in process.log.events()]


def test_serve_on_a_taken_port_ends_with_1(tmp_path):
    """Outside Lambda, a supervisor starts it again."""
    with socket.create_server(("127.0.0.1", 0)) as other, serve(tmp_path, "", port=other.getsockname()[1]) as process:
        assert 1 == process.exit_code()
        assert "Address already in use" == process.event("server.not_listening")["reason"]


def test_a_taken_port_can_be_changed_on_the_command_line(upstream, tmp_path):
    """The log names all that sets a port; the option beats the variable and the file."""
    upstream.put("db", CANARY)
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken, free = other.getsockname()[1], free_port()
        with serve(tmp_path, "secrets: [db]", port=taken) as process:
            advice = "choose another port: --port, SECRETS_CACHE_PORT or server.port"
            assert advice == process.event("server.not_listening")["advice"]
        with serve(tmp_path, "secrets: [db]", "--port", str(free), port=taken) as process:
            assert free == process.event("serve.ready")["port"]
            assert (200, CANARY) == get(f"http://localhost:{free}/cache/db")


def test_a_file_that_was_named_must_be_there(tmp_path):
    """Else it would serve nothing, for ever."""
    with processes.serve(tmp_path / "nope.yaml") as process:
        assert 1 == process.exit_code()
        process.log.join()

        assert f"secrets-cache: --config {tmp_path}/nope.yaml: no such file" == process.log.text


def test_on_a_terminal_it_says_in_words_what_it_serves_and_where(upstream, tmp_path):
    """And everything that would be logged, with what to do; no line is JSON."""
    upstream.put("prod/db", CANARY)
    file = config(tmp_path, 'secrets: [missing, prod/db]\nallow: ["other/*"]\ntll: 1m')["SECRETS_CACHE_CONFIG"]
    port = free_port()
    with AtTerminal("serve", "--config", file, "--port", str(port), columns=200) as terminal:
        terminal.wait_for("Press Ctrl-C to stop.")
        assert (200, CANARY) == get(f"http://localhost:{port}/cache/prod/db")
        terminal.process.send_signal(signal.SIGINT)
        assert 0 == terminal.end()

    shown = terminal.shown
    assert f"Fetching 2 secrets and parameters listed in {file}" in shown
    assert re.search(r"^prod/db +secret +fresh ", shown, re.MULTILINE)
    assert re.search(r"^missing +secret +failed +ResourceNotFoundException", shown, re.MULTILINE)
    assert f"Serving at http://localhost:{port}/cache/prod/db" in shown
    assert "On demand, at /cache/NAME: other/*" in shown
    assert re.search(r"^error: config.invalid: .*:3: tll: found .* CacheManager$", shown, re.MULTILINE)
    assert "error: secret.fetch_failed: secret 'missing' was not found" in shown
    assert "info: serve.stopped (hits: 1" in shown
    assert "serve.ready" not in shown
    assert not [line for line in shown.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_on_a_terminal_what_goes_on_failing_is_told_in_few_words(tmp_path, monkeypatch, level):
    """As on a laptop without credentials; what calls AWS is no news there, unless details are wanted."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    file = config(tmp_path, "secrets: [prod/db]")["SECRETS_CACHE_CONFIG"]
    arguments = ("serve", "--config", file, "--port", str(free_port()))
    variables = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": "eu-west-1", "SECRETS_CACHE_LOG_LEVEL": level}
    with AtTerminal(*arguments, columns=200, **variables) as terminal:
        terminal.wait_for("error: prod/db: still failing, next try in ")

    assert 1 == terminal.shown.count("no AWS credentials were found")
    assert (level == "DEBUG") == ("engine.loaded" in terminal.shown)


def test_on_a_terminal_it_says_that_it_serves_nothing_and_why_a_port_is_not_free(tmp_path):
    """In one line each."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = str(other.getsockname()[1])
        with AtTerminal("serve", "--port", taken, columns=200, LAMBDA_TASK_ROOT=str(tmp_path)) as terminal:
            assert 1 == terminal.end()
    reason, advice = "Address already in use", "choose another port: --port, SECRETS_CACHE_PORT or server.port"
    assert f"error: server.not_listening: {reason} (port: {taken}); {advice}\n" == terminal.shown
    with AtTerminal("serve", "--port", str(free_port()), columns=200, LAMBDA_TASK_ROOT=str(tmp_path)) as terminal:
        terminal.wait_for("Press Ctrl-C")
    assert f"is listed: there is no {tmp_path}/config.yaml; --config names one\n" in terminal.shown
    assert "config.missing" not in terminal.shown
    assert re.search(r"^Serving at http://localhost:\d+$", terminal.shown, re.MULTILINE)


def test_on_a_terminal_what_is_fetched_on_demand_is_no_fault(upstream, tmp_path):
    """Nothing is listed, and everything that `allow` covers is served."""
    upstream.put("db", CANARY)
    file = tmp_path / "config.yaml"
    file.write_text("allow: [d*]", encoding="utf-8")
    options = ("serve", "--config", str(file), "--port", str(port := free_port()))
    with AtTerminal(*options, columns=200, AWS_ENDPOINT_URL=upstream.url) as terminal:
        terminal.wait_for("Press Ctrl-C")
        assert (200, CANARY) == get(f"http://localhost:{port}/cache/db")

    assert "is listed" not in terminal.shown
    assert f"Serving at http://localhost:{port}/cache/NAME\n" in terminal.shown


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (CANARY, "Callers must send the token in X-Aws-Parameters-Secrets-Token"),
        (f"{CANARY} x", "Every caller gets 401: the configured token cannot be used"),
    ],
)
def test_on_a_terminal_it_says_that_callers_need_the_token(token, said):
    """Else the address that it shows would give 401; the token itself is not shown."""
    with AtTerminal("serve", "--port", str(free_port()), columns=200, SECRETS_CACHE_TOKEN=token) as terminal:
        terminal.wait_for("Press Ctrl-C")

    assert said in terminal.shown
    assert CANARY not in terminal.shown


def test_it_ends_with_its_terminal(tmp_path):
    """Nobody sees it any more. The signal alone, which the kernel sends then too, only reads the configuration."""
    with AtTerminal("serve", "--port", str(free_port()), LAMBDA_TASK_ROOT=str(tmp_path)) as terminal:
        terminal.wait_for("Press Ctrl-C")
        terminal.process.send_signal(signal.SIGHUP)
        terminal.wait_for("info: config.reloaded")

        assert 0 == terminal.hang_up()


def test_on_a_terminal_a_reload_shows_what_is_in_force(tmp_path):
    """Not a port where nothing listens, nor a token that nobody must send: those need a new process."""
    (tmp_path / "config.yaml").write_text("ttl: 5m")
    port = free_port()
    with AtTerminal("serve", "--port", str(port), columns=200, LAMBDA_TASK_ROOT=str(tmp_path)) as terminal:
        terminal.wait_for("Press Ctrl-C")
        (tmp_path / "config.yaml").write_text(f"allow: ['x/*']\nserver: {{token: {CANARY}}}")
        terminal.process.send_signal(signal.SIGHUP)
        terminal.wait_for("On demand, at /cache/NAME: x/*")

    assert "config.restart_needed (settings: ['server.token'])" in terminal.shown
    assert f"Serving at http://localhost:{port}/cache/NAME" in terminal.shown
    assert "Callers must send the token" not in terminal.shown


def test_serve_speaks_the_protocol_of_awss_own_layer_too(upstream, tmp_path):
    """On the other port, with its token. If that port is taken, it ends with 1, though the first port is free."""
    upstream.put("db", CANARY)
    port = free_port()
    text = f"secrets: [db]\nserver: {{aws_port: {port}, token: t}}"
    with serve(tmp_path, text) as process:
        process.event("serve.ready")
        request = urllib.request.Request(
            f"http://localhost:{port}/secretsmanager/get?secretId=db", headers={"X-Aws-Parameters-Secrets-Token": "t"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:
            assert CANARY == json.load(response)["SecretString"]
        process.process.send_signal(signal.SIGTERM)
        assert 0 == process.exit_code()
    with socket.create_server(("127.0.0.1", port)), serve(tmp_path, text) as process:
        assert 1 == process.exit_code()
        assert port == process.event("server.not_listening")["port"]


def test_what_awss_layer_allows_and_we_do_not_is_one_warning_and_no_problem(upstream, tmp_path):
    """Even a strict process goes on, as AWS's layer does, and /health is good."""
    upstream.put("db", CANARY)
    expected = {
        "SECRETS_MANAGER_TTL": (3600, 300),
        "SECRETS_MANAGER_TIMEOUT_MILLIS": (3600000, 900000),
        "PARAMETERS_SECRETS_EXTENSION_MAX_CONNECTIONS": (5000, 20),
    }
    file = config(tmp_path, f"secrets: [db]\nserver: {{aws_port: {free_port()}}}")["SECRETS_CACHE_CONFIG"]
    variables = {variable: str(found) for variable, (found, _) in expected.items()}
    environ = {"SECRETS_CACHE_STRICT": "1", "AWS_TOKEN": "t", **variables}
    with Process(("-m", "secrets_cache", "serve", "--config", file), environ) as process:
        process.event("serve.ready")
        assert 200 == get(f"{process.url}/health")[0]
        logged = [line for line in process.log.events() if str(line["event"]).startswith("config.")]

    assert {"WARNING"} == {line["level"] for line in logged}
    assert expected == {line["key"]: (line["found"], line["used"]) for line in logged}


# Stopping with requests under way.


class Asking(threading.Thread):
    """A caller, who waits for an answer; `got` is its status and body, or why there is none."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self.got: tuple[int, str] | str = ""
        self.start()

    def run(self) -> None:
        try:
            self.got = get(self._url)
        except (OSError, urllib.error.URLError) as error:
            self.got = type(error).__name__


@contextlib.contextmanager
def stopping(upstream, tmp_path, *options: str, delay: float) -> Iterator[tuple[Process, Asking]]:
    """Give a server that has been told to stop, and a caller whose answer is still on its way from AWS."""
    upstream.put("db", CANARY)
    with serve(tmp_path, "secrets: [db]\nfetch_timeout: 60s", *options) as process:
        process.event("serve.ready")
        upstream.arrived.clear()
        upstream.delay = delay
        asking = Asking(process.url + OLD)
        assert upstream.arrived.wait(PATIENCE_SECONDS)
        process.process.send_signal(signal.SIGTERM)
        yield process, asking
        asking.join()


def test_after_the_signal_open_requests_are_answered_and_no_connection_is_accepted(upstream, tmp_path):
    """The server ends with 0 once the answer is sent, long before the grace period has passed."""
    with stopping(upstream, tmp_path, "--grace", "3600", delay=1.5) as (process, asking):
        wait_until_refused(process.port)
        assert process.process.poll() is None
        assert 0 == process.exit_code()
    assert (200, CANARY) == asking.got


def test_a_caller_that_keeps_its_connection_loses_no_request(upstream, tmp_path):
    """After the signal its next request is answered, and the answer says that the connection ends."""
    upstream.put("db", CANARY)
    with serve(tmp_path, "secrets: [db]", "--grace", "3600") as process:
        process.event("serve.ready")
        connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=PATIENCE_SECONDS)

        def ask() -> tuple[int, str | None]:
            connection.request("GET", "/cache/db")
            with connection.getresponse() as response:
                assert CANARY == response.read().decode()
                return response.status, response.headers["Connection"]

        assert [(200, None)] * 3 == [ask() for _ in range(3)]
        process.process.send_signal(signal.SIGTERM)
        wait_until_refused(process.port)
        assert (200, "close") == ask()
        connection.close()
        assert 0 == process.exit_code()


def wait_until_refused(port: int) -> None:
    """Return once nobody listens on a port."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        # Not as fast as can be: thousands of connections at once would make the server end one that reads slowly.
        time.sleep(0.01)
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:
            # It was in the backlog of the socket that was just closed.
            continue
    pytest.fail("it still lets callers in")


def test_an_answer_that_is_being_sent_is_sent_whole(upstream, tmp_path):
    """A caller that reads slowly gets the whole answer, which is larger than the buffers of the kernel."""
    upstream.parameters.update({f"/big/{number}": CANARY.ljust(65536, "x") for number in range(120)})
    with serve(tmp_path, "parameters: [/big/]", "--grace", "3600") as process:
        process.event("serve.ready")
        with socket.socket() as caller:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            caller.settimeout(PATIENCE_SECONDS)
            caller.connect(("127.0.0.1", process.port))
            caller.sendall(b"GET /cache/big/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
            first = caller.recv(1000)
            process.process.send_signal(signal.SIGTERM)
            wait_until_refused(process.port)
            answer = first + b"".join(iter(functools.partial(caller.recv, 1 << 16), b""))
        assert 0 == process.exit_code()

    assert upstream.parameters == {
        f"/big/{name}": value for name, value in json.loads(answer.partition(b"\r\n\r\n")[2]).items()
    }


@pytest.mark.parametrize("how", ["grace", "signal"])
def test_the_wait_has_an_end(upstream, tmp_path, how):
    """When the grace has passed, or at the second signal; with 0, and the caller's connection is ended."""
    options = ("--grace", "0.2" if how == "grace" else "3600")
    with stopping(upstream, tmp_path, *options, delay=3600) as (process, asking):
        if how == "signal":
            wait_until_refused(process.port)
            process.process.send_signal(signal.SIGINT)
        assert 0 == process.exit_code()
    assert isinstance(asking.got, str)


# systemd.


@pytest.fixture(name="supervisor", params=["file", "abstract"])
def _supervisor(request, tmp_path) -> Iterator[tuple[socket.socket, str]]:
    """Give the socket on which systemd listens for what a service tells, and its address."""
    address = str(tmp_path / "notify") if request.param == "file" else f"@secrets-cache-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address.replace("@", "\0", 1))
        listener.settimeout(PATIENCE_SECONDS)
        yield listener, address


def test_systemd_is_notified_when_it_is_ready_and_when_it_stops(upstream, tmp_path, supervisor):
    """Ready is when every secret has been tried, and not before."""
    listener, address = supervisor
    upstream.put("db", CANARY)
    with serve(tmp_path, "secrets: [db, missing]", NOTIFY_SOCKET=address) as process:
        told = listener.recv(1000).decode()
        assert upstream.count("missing")
        process.process.send_signal(signal.SIGTERM)
        assert b"STOPPING=1" == listener.recv(1000)
        assert 0 == process.exit_code()

    assert "READY=1\nSTATUS=2 secrets, 1 of them failed" == told


def test_a_supervisor_that_cannot_be_notified_is_no_reason_to_end(upstream, tmp_path):
    """The log has the reason."""
    with serve(tmp_path, "", NOTIFY_SOCKET=str(Path(tmp_path, "nobody"))) as process:
        assert "No such file or directory" == process.event("serve.not_notified")["reason"]
        assert 200 == get(f"{process.url}/health")[0]
