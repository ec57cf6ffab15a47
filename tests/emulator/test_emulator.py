"""The whole under AWS's own Runtime Interface Emulator: real init, real Extensions API, real runtime client."""

import os
import shutil
import socket
import sys

import boto3
import pytest

from tests.conftest import PATIENCE_SECONDS
from tests.support import upstream as stub
from tests.support.extension import asking_function, end_well, invoke_until
from tests.support.fakes import CANARY
from tests.support.processes import run
from tools.emulator import ROOT, Emulator, free_port, moto_server

FUNCTIONS = ROOT / "tests" / "functions"
PYTHON = [sys.executable, "-m", "awslambdaric"]


@pytest.fixture(name="function")
def _function(opt, upstream, tmp_path):
    """Give a function that puts a handler beside the extension."""
    upstream.put("db", CANARY)

    def function(text: str = "secrets: [db]", **environ: str) -> Emulator:
        return asking_function(opt, upstream, tmp_path, text, **environ)

    return function


def test_a_secret_from_a_real_secrets_manager(opt, tmp_path):
    """Moto's server, the extension, AWS's emulator and runtime client: at import and in the handler."""
    (tmp_path / "config.yaml").write_text("secrets: [secret_now]")
    shutil.copy(FUNCTIONS / "asking.py", tmp_path)
    with moto_server() as url:
        client = boto3.client("secretsmanager", endpoint_url=url, region_name="eu-west-1")
        created = client.create_secret(Name="secret_now", SecretString=f'{{"password":"{CANARY}"}}')
        emulator = Emulator(
            opt=opt,
            task=tmp_path,
            runtime=[*PYTHON, "asking.handler"],
            environ={
                "AWS_ENDPOINT_URL": url,
                "SECRETS_CACHE_PORT": str(free_port()),
                "ASK_AT_IMPORT": "/cache/secret_now",
            },
        )
        with emulator:
            result = emulator.invoke({"path": "/cache/secret_now?key=password"})
            end_well(emulator)

    assert f'{{"password":"{CANARY}"}}' == result["at_import"]["body"]
    assert (200, CANARY) == (result["now"]["status"], result["now"]["body"])
    assert f'"{created["VersionId"]}"' == result["now"]["headers"]["ETag"]


def test_asking_at_import_waits_for_the_first_fetch(function, upstream):
    """Never refused, never told to come back later; one upstream call for everybody."""
    upstream.delay = 1.0
    with function() as emulator:
        result = emulator.invoke()
        again = emulator.invoke()
        end_well(emulator)

    assert (200, CANARY) == (result["at_import"]["status"], result["at_import"]["body"])
    assert "secrets-cache; fwd=miss" == result["at_import"]["headers"]["Cache-Status"]
    assert ["secrets-cache; hit"] * 2 == [answer["now"]["headers"]["Cache-Status"] for answer in (result, again)]
    assert 1 == upstream.count()


def test_it_registers_for_shutdown_only(function):
    """So no invocation ever waits for it."""
    with function() as emulator:
        emulator.invoke()
        end_well(emulator)

    assert "External agent secrets-cache" in emulator.log.text
    assert "subscribed to [SHUTDOWN]" in emulator.log.text


def test_cache_timeout_refreshes(function, upstream):
    """Minutes, decimals allowed: after 1.2 s the new value comes without anybody asking AWS by hand."""
    with function(CACHE_TIMEOUT="0.02") as emulator:
        emulator.invoke()
        upstream.put("db", f"{CANARY} rotated")
        answer = invoke_until(emulator, lambda answer: answer["now"]["body"] != CANARY)
        refreshed = [line for line in end_well(emulator) if line["event"] == "secret.refreshed"]

    assert f"{CANARY} rotated" == answer["now"]["body"]
    assert [True] == [line["changed"] for line in refreshed]


def test_a_rotation_is_fetched_on_demand(function, upstream):
    """What a handler does when the database refuses the old password."""
    with function() as emulator:
        emulator.invoke()
        upstream.put("db", f"{CANARY} rotated")
        assert CANARY == emulator.invoke()["now"]["body"]
        assert f"{CANARY} rotated" == emulator.invoke({"path": "/cache/db?refresh=true"})["now"]["body"]
        assert f"{CANARY} rotated" == emulator.invoke()["now"]["body"]
        end_well(emulator)


def test_a_broken_configuration_serves_what_is_valid(function):
    """The function runs; /health says what is wrong."""
    with function("secrets:\n  - db\n  - no name\nttl: soon") as emulator:
        result = emulator.invoke({"path": "/health"})
        end_well(emulator)

    assert (200, CANARY) == (result["at_import"]["status"], result["at_import"]["body"])
    assert 503 == result["now"]["status"]
    assert "config.yaml:4: ttl: found 'soon'" in result["now"]["body"]


def test_a_strict_configuration_fails_the_init(function):
    """The invocation's error is the extension's."""
    with function("ttl: soon", SECRETS_CACHE_STRICT="1") as emulator:
        emulator.invoke()
        emulator.shut_down()

    assert ["config.invalid"] == [line["event"] for line in emulator.log.events()]
    assert "fatal error stored in appctx: Extension.InitError" in emulator.log.text
    assert "Init failed" in emulator.log.text


def test_no_credentials(function):
    """The function runs and is told; the process stays."""
    nothing = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"}
    with function(**nothing) as emulator:
        result = emulator.invoke()
        emulator.log.wait_for('"code": "no-credentials"')
        end_well(emulator)

    assert (503, 503) == (result["at_import"]["status"], result["now"]["status"])


def test_a_taken_port_does_not_fail_the_function(function):
    """It cannot be served, but it runs."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        with function(SECRETS_CACHE_PORT=str(other.getsockname()[1])) as emulator:
            result = emulator.invoke()
            emulator.shut_down()

    assert (0, 0) == (result["at_import"]["status"], result["now"]["status"])
    assert ["server.not_listening"] == [line["event"] for line in emulator.log.events() if line["level"] != "INFO"]
    assert "Extension.Crash" not in emulator.log.text


@pytest.mark.parametrize(
    ("fault", "status"), [(stub.HANG, 504), (stub.ACCESS_DENIED, 502), (stub.INTERNAL, 503)], ids=["hang", "no", "500"]
)
def test_an_upstream_that_fails_does_not_fail_the_function(function, upstream, fault, status):
    """Callers get their answer within fetch_timeout; later invocations get a good one when AWS is well again."""
    upstream.fault = fault
    with function("secrets: [db]\nfetch_timeout: 1s") as emulator:
        result = emulator.invoke()
        upstream.fault = None
        answer = invoke_until(emulator, lambda answer: answer["now"]["status"] == 200)
        end_well(emulator)

    assert status == result["at_import"]["status"]
    assert 1000 * PATIENCE_SECONDS / 4 > result["at_import"]["ms"]
    assert (200, CANARY) == (answer["now"]["status"], answer["now"]["body"])


def test_an_environment_that_is_reset_starts_again(function):
    """After a function's time-out the extension is told to stop, and its next life begins on the same port."""
    seconds = round(PATIENCE_SECONDS / 7.5)
    with function(AWS_LAMBDA_FUNCTION_TIMEOUT=str(seconds)) as emulator:
        assert f"timed out after {seconds}.00 seconds" in str(emulator.invoke({"sleep": 60}))
        result = emulator.invoke()
        end_well(emulator)

    assert (200, CANARY) == (result["now"]["status"], result["now"]["body"])
    assert ["extension.ready", "extension.stopped"] * 2 == [line["event"] for line in emulator.log.events()]


def demo(path: str) -> str:
    """Run the demo; return what it prints."""
    found = run(sys.executable, "-m", "tools.demo", PATH=path)
    assert 0 == found.returncode, found.stdout + found.stderr
    return found.stdout


ROTATED = [
    "GET /cache/secret_now?key=password                aDM4N3*!8TT  Cache-Status: secrets-cache; hit",
    "GET /cache/secret_now?key=password&refresh=true   rotated-1    Cache-Status: secrets-cache; fwd=request",
    "GET /cache/secret_now?key=password                rotated-1    Cache-Status: secrets-cache; hit; detail=stale",
    "GET /cache/secret_now?key=password                rotated-2    Cache-Status: secrets-cache; hit",
]


def shown_requests(found: str) -> list[str]:
    """Return the requests that the demo shows, with their answers."""
    return [line.strip() for line in found.splitlines() if line.startswith("  GET ")]


@pytest.mark.shows_secrets("the demo's handler prints what it got, as its README says")
def test_make_demo():
    """The first thing a newcomer sees: a secret, a rotation, an outage, its end, variables, and what comes next."""
    found = demo(os.environ["PATH"])

    assert 2 == found.count('  Response from cache: {"username":"anika","password":"aDM4N3*!8TT"}\n')
    assert "first invocation, cold start and all" in found
    assert ROTATED == shown_requests(found)
    assert "extension.stopped" in found
    for variable in ("EXAMPLE_AUTH_TOKEN=rotated-2", "EXAMPLE_TENANT=anika", "SECOND_LAYER_EXECUTE=true"):
        assert f"    {variable}\n" in found
    assert "\nIt works.\n\nWhat next:\n" in found
    assert "\033" not in found
    assert "Warning" not in found


@pytest.mark.shows_secrets("the example's handler prints what it got")
def test_make_demo_where_there_can_be_no_namespace(tmp_path):
    """It says so, and shows server, handler and variables without Lambda, through the same rotation and outage."""
    (tmp_path / "unshare").write_text("#!/bin/sh\necho 'unshare: Operation not permitted' >&2\nexit 1\n")
    (tmp_path / "unshare").chmod(0o755)
    found = demo(f"{tmp_path}:{os.environ['PATH']}")

    assert "The emulator cannot run here: unshare: Operation not permitted" in found
    assert 2 == found.count("Response from cache: ")
    assert ROTATED == shown_requests(found)
    assert "    EXAMPLE_AUTH_TOKEN=rotated-2\n    EXAMPLE_TENANT=anika\n" in found


@pytest.mark.shows_secrets("the demo's handler prints what it got")
def test_make_demo_has_colours_on_a_terminal():
    """And nowhere else."""
    found = run(
        "script", "--quiet", "--return", "--command", f"{sys.executable} -m tools.demo", "/dev/null", TERM="xterm"
    )

    assert 0 == found.returncode, found.stdout
    assert "\033[32mCache-Status: secrets-cache; hit\033[0m" in found.stdout
    assert "\033[33mCache-Status: secrets-cache; hit; detail=stale\033[0m" in found.stdout
