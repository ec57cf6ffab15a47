"""The extension's process up to the registration: ports, registration, what is not imported yet."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PATIENCE_SECONDS
from tests.support.container import Container
from tests.support.extension import get, next_is_open, shut_down
from tests.support.fakes import CANARY
from tools.emulator import ROOT, free_port


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
        "enum",
        "socket",
    }
    assert set() == heavy & set(loaded)


ROLE = "arn:aws:iam::123456789012:role/reader"
# What only a request that is refused needs.
LATER = ("difflib", "secrets_cache.server.aws_layer_request", "secrets_cache.server.refusals")
# In the process: the file gets the name of each library that is imported.
LIBRARIES = ("aiobotocore", "aiohttp", "botocore", "xml", "yaml")
# What the standard library drags along, unless it is asked not to; the first stands for the whole package asyncio.
DRAGGED = ("asyncio.streams", "dataclasses", "encodings.idna", "inspect", "subprocess")
RECORD = """
import sys
def record(event, arguments):
    if event == "import" and arguments[0] in {!r}:
        with open({!r}, "a") as file:
            file.write(arguments[0] + " ")
sys.addaudithook(record)
"""


@pytest.mark.parametrize(
    "setup",
    [
        ("secrets: [db]", "db", {"GetSecretValue"}),
        ("secrets: [{id: db, region: us-gov-west-1}]", "db", {"GetSecretValue"}),
        (f"secrets: [{{id: db, role_arn: {ROLE}}}]", "db", {"AssumeRole", "GetSecretValue"}),
        ("parameters: [/x]", "x", {"GetParameter"}),
        ("parameters: [/x, /y]", "x", {"GetParameters"}),
        ("parameters: [/app/]", "app/z", {"GetParametersByPath"}),
        (f"parameters: [{{id: /x, role_arn: {ROLE}}}]", "x", {"AssumeRole", "GetParameter"}),
    ],
)
@pytest.mark.parametrize("source", ["environment", "container"])
def test_an_ordinary_set_up_imports_no_library(api, start, upstream, tmp_path, source, setup):
    """From the start to SHUTDOWN: their import takes longer than all the rest, and most of the memory."""
    text, name, operations = setup
    upstream.parameters = {"/x": CANARY, "/y": CANARY, "/app/z": CANARY}
    record = tmp_path / "imported"
    with Container() as container:
        named = upstream.url.replace("127.0.0.1", "localhost")
        environ = {"SECRETS_CACHE_LOG_LEVEL": "DEBUG", "HOME": "/nonexistent", "AWS_ENDPOINT_URL": named}
        if source == "container":
            environ |= {
                "AWS_ACCESS_KEY_ID": "",
                "AWS_SECRET_ACCESS_KEY": "",
                "AWS_SESSION_TOKEN": "",
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{container.url}/credentials",
            }
        with start(text, before=RECORD.format((*LIBRARIES, *DRAGGED, *LATER), str(record)), **environ) as extension:
            assert next_is_open(api)
            assert (200, CANARY) == get(f"{extension.url}/cache/{name}")
            shut_down(api, extension)
        keys = {call.access_key for call in upstream.calls}

    assert operations == {call.operation for call in upstream.calls}
    assert source == "environment" or "ASIAEXAMPLE" in keys
    assert not record.exists(), record.read_text()
    assert {"direct"} == {line["client"] for line in extension.log.events() if line["event"] == "client.chosen"}


def test_a_taken_port_is_logged_and_the_process_stays(api, start):
    """Its exit would fail the function, which may not need the cache at all."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with start(port=port) as extension:
            line = extension.event("server.not_listening")
            assert next_is_open(api)
            shut_down(api, extension)

    assert (port, "Address already in use", "ERROR") == (line["port"], line["reason"], line["level"])
    assert "choose another port with SECRETS_CACHE_PORT, and change the URL in the function" == line["advice"]


def test_a_port_that_could_not_be_bound_is_not_among_those_of_the_ready_line(api, start):
    """Each port's failure has its own advice: AWS's layer, forgotten on the function, takes the second port."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with start(PARAMETERS_SECRETS_EXTENSION_HTTP_PORT=str(taken)) as extension:
            failed, ready = extension.event("server.not_listening"), extension.event("extension.ready")
            assert (200, CANARY) == get(f"{extension.url}/cache/db")
            assert next_is_open(api)
            shut_down(api, extension)

    advice = "is AWS's own layer still on the function? Remove it, or choose another port"
    assert (taken, advice) == (failed["port"], failed["advice"])
    assert (extension.port, False) == (ready["port"], "aws_port" in ready)


def test_the_port_may_come_from_the_file(api, start, tmp_path):
    """Then the file is parsed before the ports are bound."""
    port = free_port()
    with start(f"secrets: [db]\nserver: {{port: {port}}}", port=port, SECRETS_CACHE_PORT="") as extension:
        assert next_is_open(api)
        assert (200, CANARY) == get(f"http://127.0.0.1:{port}/cache/db")
        shut_down(api, extension)


def test_a_registration_that_fails_is_logged_and_repeated(api, start):
    """Meanwhile the cache is served."""
    api.answers["/register"] = [(403, {}, b'{"errorType":"Extension.InvalidExtensionName"}')]
    with start() as extension:
        line = extension.event("extensions_api.failed")
        assert next_is_open(api)
        assert (200, CANARY) == get(f"{extension.url}/cache/db")
        shut_down(api, extension)

    assert "Extension.InvalidExtensionName" in line["reason"]
    assert "registered_ms" not in extension.event("extension.ready")
    assert ["/register", "/register", "/event/next"] == api.paths()


def test_sigterm_ends_the_imports(start):
    """From the registration on, SIGTERM ends the process with 0, also before there is an event loop."""
    with start() as extension:
        status = Path(f"/proc/{extension.process.pid}/status")
        bit = 1 << (signal.SIGTERM - 1)
        while not bit & int(status.read_text().partition("SigCgt:")[2].split()[0], 16):
            assert extension.process.poll() is None
        extension.process.send_signal(signal.SIGTERM)
        assert 0 == extension.exit_code()


def test_without_standard_output_no_socket_takes_its_place(api, start):
    """Else the log would go to a connected caller."""
    with start(before="import os; os.close(0); os.close(1); os.close(2)") as extension:
        assert next_is_open(api)
        opened = [str(Path(f"/proc/{extension.process.pid}/fd/{number}").readlink()) for number in (0, 1, 2)]
        assert (200, CANARY) == get(f"{extension.url}/cache/db")
        shut_down(api, extension)

    assert ["/dev/null"] * 3 == opened
