"""Parameter Store: against moto's server for what it can do, and against a stub for what it cannot."""

import boto3
import pytest

from secrets_cache.clock import SystemClock
from secrets_cache.errors import SecretNotFound, SecretRefused, SecretTimeout, SecretUnavailable
from secrets_cache.parameterstore import ParameterStore
from tests import upstream as stub
from tests.fakes import CANARY
from tools.emulator import moto_server


def store(budget_seconds=5.0):
    """Return the parameters of eu-west-1."""
    return ParameterStore(region="eu-west-1", budget_seconds=budget_seconds, credentials=None, clock=SystemClock())


async def test_a_parameter_arrives_decrypted(monkeypatch):
    """By name or by ARN."""
    with moto_server() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        client = boto3.client("ssm", region_name="eu-west-1")
        client.put_parameter(Name="/prod/app/key", Value=f"{CANARY} \u00e9\n", Type="SecureString")
        async with store() as parameters:
            assert f"{CANARY} \u00e9\n".encode() == await parameters.fetch("/prod/app/key")
            with pytest.raises(SecretNotFound) as caught:
                await parameters.fetch("/prod/app/nope")

    assert "parameter '/prod/app/nope' was not found in Parameter Store in this region and account" == str(caught.value)


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        (stub.ACCESS_DENIED, SecretRefused, "AWS refused parameter 'p' with AccessDeniedException"),
        (stub.HANG, SecretTimeout, "parameter 'p' is unavailable: AWS did not answer within 0.5 s"),
        (stub.Answer(body=b'{"Parameter": {"Value": 1}}'), SecretUnavailable, "parameter 'p' is unavailable"),
        (stub.Answer(body=b'{"Parameter": {"Value": "\\ud800"}}'), SecretUnavailable, "parameter 'p' is unavailable"),
    ],
)
async def test_a_failure_is_a_parameters(upstream, fault, error, said):
    """The same errors as a secret's, in words of their own."""
    upstream.fault = fault
    async with store(0.5) as parameters:
        with pytest.raises(error) as caught:
            await parameters.fetch("p")

    assert said in str(caught.value)
