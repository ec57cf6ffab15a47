"""Functions of every language beside the built layer, on a machine where the extension finds no other Python."""

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.extension import invoke_until
from tests.support.fakes import CANARY
from tests.support.processes import wait_until
from tests.support.runtimes import RUNTIMES, Runtime
from tools import sandbox
from tools.emulator import ROOT, Emulator, free_port


def every_python() -> list[str]:
    """Return what to hide so that there is no Python but the layer's: programs, and this project's environment."""
    found = {str(ROOT / ".venv")}
    for folder in os.environ["PATH"].split(":"):
        for program in Path(folder).glob("python*"):
            found.add(str(program.resolve()))
    base = Path(sysconfig.get_path("stdlib"))
    found.update({str(base), str(Path(sys.executable).resolve())})
    return sorted(path for path in found if Path(path).exists())


def behind_a_proxy(proxy: str, command: Sequence[str]) -> list[str]:
    """Return the command of a function that has a proxy in its variables, and no exception for localhost."""
    names = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
    # Java knows no such variables.
    host, port = proxy.removeprefix("http://").split(":")
    java = f"JAVA_TOOL_OPTIONS=-Dhttp.proxyHost={host} -Dhttp.proxyPort={port} -Dhttp.nonProxyHosts=none"
    variables = [*(f"{name}={proxy}" for name in names), "no_proxy=aws.example", "NO_PROXY=aws.example"]
    return ["env", java, *variables, *command]


@pytest.fixture(name="proxy")
def _proxy() -> Iterator[str]:
    """Give the URL of a proxy that nobody may ask."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


# The extension's log has the same sentence, but not as the detail of a problem.
REASON = r"detail\W+secret 'secret_now' was not found"


# Node.js's client is compiled when it is installed for the first time.
@pytest.mark.timeout(600)
@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda runtime: runtime.name)
def test_a_function_of_any_language_gets_its_secret(opt, upstream, tmp_path, proxy, runtime: Runtime):
    """At start, in the handler, and anew after a rotation: from the layer alone, past the proxy of its variables."""
    runtime.require()
    upstream.put("secret_now", json.dumps({"username": "anika", "password": CANARY}))
    shutil.copy(ROOT / "example_function" / "config.yaml", tmp_path)
    port = free_port()
    emulator = Emulator(
        opt=opt,
        task=tmp_path,
        runtime=behind_a_proxy(proxy, runtime.lay_out(tmp_path, port)),
        environ={"AWS_ENDPOINT_URL": upstream.url, "SECRETS_CACHE_PORT": str(port)},
        hidden=() if runtime.needs_python else every_python(),
    )
    with emulator:
        first = emulator.invoke({})
        upstream.put("secret_now", json.dumps({"username": "anika", "password": CANARY * 2}))
        second = emulator.invoke({})
        third = emulator.invoke({"refused": True})
        fourth = emulator.invoke({})
        emulator.shut_down()

    length = len(CANARY)
    assert [length, length, 2 * length, 2 * length] == [
        answer["passwordLength"] for answer in (first, second, third, fourth)
    ]
    said = [line for line in emulator.log.text.splitlines() if "Response from cache: " in line]
    assert [1, 1, 1, 2] == [line.count(CANARY) for line in said]
    assert 2 == upstream.count()
    assert ["extension.ready", "secret.refreshed", "extension.stopped"] == [
        line["event"] for line in emulator.log.events()
    ]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda runtime: runtime.name)
def test_a_function_of_any_language_says_why_it_got_no_secret(opt, upstream, tmp_path, runtime: Runtime):
    """The sentence of the answer is in the error that Lambda reports or in the log: at start, and in the handler."""
    runtime.require()
    (tmp_path / "config.yaml").write_text("secrets: [secret_now]\nttl: 1s\nstale_if_error: 0s")
    port = free_port()
    emulator = Emulator(
        opt=opt,
        task=tmp_path,
        runtime=runtime.lay_out(tmp_path, port),
        environ={"AWS_ENDPOINT_URL": upstream.url, "SECRETS_CACHE_PORT": str(port)},
    )
    with emulator:
        at_start = json.dumps(emulator.invoke({}))
        wait_until(lambda: re.search(REASON, at_start + emulator.log.text))
        told = len(emulator.log.text)
        upstream.put("secret_now", json.dumps({"password": CANARY}))
        invoke_until(emulator, lambda answer: "passwordLength" in answer)
        del upstream.secrets["secret_now"]
        answer = json.dumps(invoke_until(emulator, lambda answer: "passwordLength" not in answer))
        emulator.shut_down()

    assert re.search(REASON, answer + emulator.log.text[told:])


VALUES = {
    "X_LINES": "one\ntwo\r\n\n",
    "X_QUOTES": "'\"`$HOME$(id)\\n|&;",
    "X_BLANKS": "  in front and behind \t ",
    "X_EQUALS": "=a=b=",
    "X_UNICODE": "\u00e9 \u4e2d \U0001f511 \u200fright to left\u200e \U00020000",
    "X_EMPTY": "",
    "X_LONG": "x" * 100_000,
}
TYPED = '"X_NUMBER": 1.50, "X_BIG": 12345678901234567890, "X_TRUE": true, "X_NULL": null, "X_LIST": [1, {"a": null}]'


@pytest.mark.timeout(600)
@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda runtime: runtime.name)
def test_a_function_of_any_language_gets_its_variables(opt, upstream, tmp_path, runtime: Runtime):
    """Exactly, through the real chain, from the one fetch that the cache has made too."""
    runtime.require()
    upstream.put("db", json.dumps(VALUES)[:-1] + f", {TYPED}}}")
    (tmp_path / "config.yaml").write_text("secrets: [db]")
    wrapper = "/opt/get-secrets-layer"
    emulator = Emulator(
        opt=opt,
        task=tmp_path,
        runtime=[wrapper, *runtime.lay_out(tmp_path, free_port(), ROOT / "tests" / "functions" / "environment")],
        environ={
            "AWS_ENDPOINT_URL": upstream.url,
            "SECRETS_CACHE_PORT": str(free_port()),
            "AWS_LAMBDA_EXEC_WRAPPER": wrapper,
            "SECRET_ARN": "db",
            "X_REFERENCE": "secretsmanager://db#/X_LIST/1",
            "LC_ALL": "C.UTF-8",
        },
        hidden=() if runtime.needs_python else every_python(),
    )
    with emulator:
        found = emulator.invoke({})
        emulator.shut_down()

    if isinstance(found, str):
        entries = (entry.partition(b"=") for entry in base64.b64decode(found).split(b"\0"))
        found = {name.decode(): value.decode() for name, _, value in entries if name.startswith(b"X_")}
    typed = {"X_NUMBER": "1.50", "X_BIG": "12345678901234567890", "X_TRUE": "true", "X_LIST": '[1,{"a":null}]'}
    assert {**VALUES, **typed, "X_REFERENCE": '{"a":null}'} == found
    assert 1 == upstream.count()


def test_the_hiding_hides(tmp_path):
    """With every Python hidden there is none to be started: what runs beside the functions above is the layer's."""
    (tmp_path / "opt").mkdir()
    script = 'for p in $(command -v -a python3 python); do "$p" -c "print(1)" 2>/dev/null; done; echo end'
    command = sandbox.command(str(tmp_path / "opt"), ["sh", "-c", script], own_network=False, hidden=every_python())
    found = subprocess.run(command, capture_output=True, text=True, check=False)

    assert "end\n" == found.stdout
