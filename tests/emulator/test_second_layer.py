"""The example of the environment: variables of a secret, and those of a second layer whose wrapper runs afterwards."""

import json
import shutil
import sys

import pytest

from tests.support.extension import end_well, link_layer
from tests.support.fakes import CANARY
from tools.emulator import ROOT, Emulator, free_port

EXAMPLE = ROOT / "example_function" / "environment"
FIRST, SECOND = "/opt/get-secrets-layer", "/opt/second-example-layer"
SECRET = {
    "EXAMPLE_AUTH_TOKEN": f'{CANARY} $(id) "it\'s"',
    "EXAMPLE_CLUSTER_ID": "cluster|1",
    "EXAMPLE_CONNECTION_URL": "https://db.example.com/?a=b&c=d",
    "EXAMPLE_TENANT": "tenant\nof two lines",
}


@pytest.mark.parametrize("is_named_by_the_secret", [False, True], ids=["variable", "secret"])
def test_the_second_layers_wrapper_runs_after_ours(opt, upstream, tmp_path, is_named_by_the_secret):
    """The function has both layers' variables, whether its own variable or the secret names the second wrapper."""
    layers = link_layer(opt, tmp_path / "opt")
    shutil.copy(EXAMPLE / "second_layer" / "second-example-layer", layers)
    named = {"AWS_LAMBDA_EXEC_WRAPPER": SECOND}
    upstream.put("example_secret", json.dumps({**SECRET, **(named if is_named_by_the_secret else {})}))
    emulator = Emulator(
        opt=layers,
        task=EXAMPLE,
        runtime=[FIRST, sys.executable, "-m", "awslambdaric", "lambda_function.lambda_handler"],
        environ={
            "AWS_ENDPOINT_URL": upstream.url,
            "SECRETS_CACHE_PORT": str(free_port()),
            "AWS_LAMBDA_EXEC_WRAPPER": FIRST,
            "SECRET_ARN": "example_secret",
            **({} if is_named_by_the_secret else {"SECRETS_CACHE_NEXT_WRAPPER": SECOND}),
        },
    )
    with emulator:
        result = emulator.invoke({})
        end_well(emulator)

    assert {
        "statusCode": 200,
        "layer": {**SECRET, "AWS_LAMBDA_EXEC_WRAPPER": SECOND},
        "secondLayer": {"SECOND_LAYER_EXECUTE": "true"},
    } == result
    assert 1 == upstream.count()
