"""Clients of AWS's own layer and of its agent, who do not know that it is us."""

import subprocess
import sys

import pytest

from tests.emulator.test_runtimes import every_python
from tests.support.aws_layer_clients import CLIENTS, Client
from tests.support.aws_layer_table import TOKEN, parameter_store
from tests.support.aws_listener import listeners, send
from tests.support.extension import broken, get, next_is_open, shut_down
from tests.support.fakes import CANARY
from tests.support.processes import Process, config
from tests.support.runtimes import CLIENTS as PROGRAMS
from tests.support.runtimes import RUNTIMES, Runtime
from tools.emulator import ROOT, Emulator, free_port

# Those that a program for AWS's layer is there for.
LANGUAGES = [runtime for runtime in RUNTIMES if runtime.name in {"python", "node", "go", "java"}]


@pytest.fixture(name="aws")
def _aws(upstream):
    """Give a stub that holds what is asked for."""
    upstream.put("prod/api", CANARY)
    upstream.fault = parameter_store
    return upstream


@pytest.mark.usefixtures("fast_paths", "aws")
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
async def test_what_published_code_sends_gets_what_it_reads(client: Client):
    """Its very bytes, and its own checks; twice on its connection, if it keeps that, and then on another one."""
    request = client.sent(TOKEN)
    again = [] if b"Connection: close" in request else [request] * 2
    async with listeners("secrets: [prod/api]") as running:
        answers = [*await send(running.port, request, *again), *await send(running.port, request)]

    assert [CANARY] * len(answers) == [client.reads(received.status, received.body) for received in answers]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("runtime", LANGUAGES, ids=lambda runtime: runtime.name)
def test_asked_at_import_the_listener_answers(opt, aws, tmp_path, runtime: Runtime):
    """A function of AWS's layer, in any language, under AWS's emulator: only layer and variable were changed."""
    runtime.require()
    port = free_port()
    emulator = Emulator(
        opt=opt,
        task=tmp_path,
        runtime=runtime.lay_out(tmp_path, port, PROGRAMS / "aws_layer", "localhost:2773"),
        environ={
            "AWS_ENDPOINT_URL": aws.url,
            "SECRETS_CACHE_PORT": str(free_port()),
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(port),
        },
        hidden=() if runtime.needs_python else every_python(),
    )
    with emulator:
        found = [emulator.invoke({}) for _ in range(2)]
        emulator.shut_down()

    assert [{"secret": CANARY, "parameter": CANARY}] * 2 == found
    assert [1, 1] == [aws.count(), aws.count("", "GetParameter")]
    assert CANARY not in emulator.log.text


def test_serve_speaks_it_too(aws, tmp_path):
    """Where the file says; it does not start where that port is taken."""
    port = free_port()
    environ = config(tmp_path, f"server: {{aws_port: {port}}}")
    with Process(("-m", "secrets_cache", "serve"), environ) as process:
        process.event("serve.ready")
        url = f"http://127.0.0.1:{port}/secretsmanager/get?secretId=prod/api"
        status, body = get(url, **{"X-Aws-Parameters-Secrets-Token": TOKEN})
        assert (200, True) == (status, f'"SecretString":"{CANARY}"' in body)
        assert 403 == get(url)[0]
        with Process(("-m", "secrets_cache", "serve"), environ) as second:
            assert 1 == second.exit_code()
            assert port == second.event("server.not_listening")["port"]


def extension(api, tmp_path, text: str = "", **environ: str) -> Process:
    """Return the extension's process."""
    return Process(
        ("-c", "from secrets_cache.extension.start import main; main()", "secrets-cache"),
        {"AWS_LAMBDA_RUNTIME_API": api.address, **config(tmp_path, text), **environ},
    )


@pytest.mark.parametrize("how", ["variable", "file"])
def test_the_extension_listens_where_it_is_told_before_it_registers(api, aws, tmp_path, how):
    """By the variable without reading YAML, or by the file."""
    port = free_port()
    text = f"server: {{aws_port: {port}}}" if how == "file" else ""
    environ = {"PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(port)} if how == "variable" else {}
    with extension(api, tmp_path, text, **environ) as process:
        assert next_is_open(api)
        headers = {"X-Aws-Parameters-Secrets-Token": TOKEN}
        assert 200 == get(f"http://127.0.0.1:{port}/secretsmanager/get?secretId=prod/api", **headers)[0]
        assert 404 == get(f"{process.url}/cache/prod/api")[0]
        shut_down(api, process)


def test_one_port_for_both_speaks_both(api, aws, tmp_path):
    """In the extension and in serve; each says where it listens."""
    port = free_port()
    both = {"PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(port), "SECRETS_CACHE_PORT": str(port)}
    url, headers = f"http://127.0.0.1:{port}", {"X-Aws-Parameters-Secrets-Token": TOKEN}

    def check(process: Process, event: str) -> None:
        ready = process.event(event)
        assert [port, port] == [ready["port"], ready["aws_port"]]
        assert (200, CANARY) == get(f"{url}/cache/prod/api")
        assert 200 == get(f"{url}/secretsmanager/get?secretId=prod/api", **headers)[0]
        assert 403 == get(f"{url}/secretsmanager/get?secretId=prod/api")[0]
        assert "server.not_listening" not in {line["event"] for line in process.log.events()}

    with extension(api, tmp_path, "secrets: [prod/api]", **both) as process:
        assert next_is_open(api)
        check(process, "extension.ready")
        shut_down(api, process)
    with Process(("-m", "secrets_cache", "serve"), {**config(tmp_path, "secrets: [prod/api]"), **both}) as process:
        check(process, "serve.ready")


def test_the_last_resort_answers_there_too(api, aws, tmp_path):
    """Nobody waits for an answer that never comes."""
    port = free_port()
    unusable = {"SECRETS_CACHE_LANES": "0", **broken(tmp_path, "aiohttp", "MemoryError")}
    process = extension(api, tmp_path, PARAMETERS_SECRETS_EXTENSION_HTTP_PORT=str(port), **unusable)
    with process:
        assert next_is_open(api)
        assert 503 == get(f"http://127.0.0.1:{port}/secretsmanager/get?secretId=prod/api")[0]
        shut_down(api, process)


def test_without_the_listener_nothing_of_it_is_imported(tmp_path):
    """Who does not use it does not pay for it."""
    code = (
        "import sys, secrets_cache.extension.lifecycle; print('secrets_cache.server.aws_layer_handler' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)

    assert "False\n" == done.stdout
