"""
The layer for arm64 beside a function of this machine's kind, under emulation: for right or wrong, never for speed.

The kernel hands arm64 programs to qemu, about 30 times slower than the machine. So this is what matters most, once
each; on a machine of that kind everything runs on it.
"""

import json
import os
import shutil
import urllib.request
from typing import Any

import pytest

from tests.conftest import PATIENCE_SECONDS
from tests.emulator.test_emulator import FUNCTIONS, PYTHON, _function  # noqa: F401 - a fixture, which takes the `opt` of here
from tests.support.extension import end_well, invoke_until, link_layer
from tests.support.fakes import CANARY
from tools import sandbox
from tools.emulator import Emulator, built_layer, free_port, unpack
from tools.layer.check import can_run
from tools.layer.interpreter import HOST

# Six starts of the interpreter, at 30 times what one takes.
pytestmark = pytest.mark.timeout(300)


def why_not() -> str | None:
    """Return why the layer for arm64 cannot be emulated here, None if it can."""
    if not built_layer("arm64").exists():
        return (built_layer().parent / "arm64").read_text("utf-8")
    if not can_run(built_layer().parent / "layer-arm64" / "secrets-cache" / "bin" / "python3"):
        return "this machine does not emulate arm64"
    return sandbox.why_impossible()


@pytest.fixture(name="opt", scope="module")
def _opt(tmp_path_factory):
    if HOST == "arm64":
        pytest.skip("this machine is arm64 itself: all tests of the layer run on it")
    reason = why_not()
    if reason and not os.environ.get("SECRETS_CACHE_TEST_ARM64"):
        pytest.skip(reason)
    assert reason is None
    opt = tmp_path_factory.mktemp("layer") / "opt"
    unpack(built_layer("arm64"), opt)
    return opt


def test_the_main_job_and_the_end(function, upstream):
    """A secret at import and in the handler, from one fetch; and SHUTDOWN ends it."""
    with function() as emulator:
        result = emulator.invoke()
        end_well(emulator)

    assert (200, CANARY) == (result["at_import"]["status"], result["at_import"]["body"])
    assert (200, CANARY) == (result["now"]["status"], result["now"]["body"])
    assert "subscribed to [SHUTDOWN]" in emulator.log.text
    assert 1 == upstream.count()


def test_a_refresh_by_age_and_one_on_demand(function, upstream):
    """The timer fetches a rotated value by itself; `?refresh=true` fetches it at once."""
    with function(CACHE_TIMEOUT="0.02") as emulator:
        emulator.invoke()
        upstream.put("db", f"{CANARY} rotated")
        answer = invoke_until(emulator, lambda answer: answer["now"]["body"] != CANARY, {"sleep": 0.2})
        upstream.put("db", f"{CANARY} again")
        forced = emulator.invoke({"path": "/cache/db?refresh=true"})
        end_well(emulator)

    assert f"{CANARY} rotated" == answer["now"]["body"]
    assert f"{CANARY} again" == forced["now"]["body"]


@pytest.mark.parametrize("beside", [True, False], ids=["beside the extension", "alone"])
def test_the_wrapper(opt, upstream, tmp_path, beside):
    """Variables arrive exactly, and the function's own runtime is what runs afterwards."""
    value = "one\ntwo '\"`$HOME |& \u00e9 \U0001f511"
    upstream.put("db", json.dumps({"X_VALUE": value, "X_CANARY": CANARY}))
    (tmp_path / "config.yaml").write_text("secrets: [db]")
    shutil.copy(FUNCTIONS / "environment" / "lambda_function.py", tmp_path)
    if not beside:
        opt = link_layer(opt, tmp_path / "opt")
        (opt / "extensions" / "secrets-cache").unlink()
    wrapper = "/opt/get-secrets-layer"
    emulator = Emulator(
        opt=opt,
        task=tmp_path,
        runtime=[wrapper, *PYTHON, "lambda_function.lambda_handler"],
        environ={
            "AWS_ENDPOINT_URL": upstream.url,
            "SECRETS_CACHE_PORT": str(free_port()),
            "AWS_LAMBDA_EXEC_WRAPPER": wrapper,
            "SECRET_ARN": "db",
            "X_REFERENCE": "secretsmanager://db#X_VALUE",
            "API_TIMEOUT": "60000",
        },
    )
    with emulator:
        found = emulator.invoke({})
        emulator.shut_down()

    assert {"X_VALUE": value, "X_REFERENCE": value, "X_CANARY": CANARY} == found


def test_the_protocol_of_aws_own_layer(function, upstream):
    """A secret by `/secretsmanager/get` and a parameter by `/systemsmanager/parameters/get`, with the token."""
    upstream.parameters["/app/limit"] = CANARY
    port = free_port()

    def get(path: str) -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
        request.add_header("X-Aws-Parameters-Secrets-Token", "of-the-emulator")
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:
            return json.loads(response.read())

    with function(PARAMETERS_SECRETS_EXTENSION_HTTP_PORT=str(port)) as emulator:
        emulator.invoke()
        secret = get("/secretsmanager/get?secretId=db")
        parameter = get("/systemsmanager/parameters/get?name=%2Fapp%2Flimit")
        end_well(emulator)

    assert CANARY == secret["SecretString"]
    assert {"Name": "/app/limit", "Value": CANARY} == {
        key: value for key, value in parameter["Parameter"].items() if key in {"Name", "Value"}
    }
