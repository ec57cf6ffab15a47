"""Roles: against moto's server for what it can do, and against a stub for what it cannot."""

import pytest

from secrets_cache.clock import SystemClock
from secrets_cache.errors import SecretRefused, SecretTimeout, SecretUnavailable
from secrets_cache.roles import assumed
from tests import upstream as stub
from tests.fakes import CANARY
from tools.emulator import moto_server

ROLE = "arn:aws:iam::123456789012:role/reader"
DENIED = b"""<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>AccessDenied</Code><Message>not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>"""


async def credentials(budget_seconds=5.0):
    """Return the role's."""
    return await assumed(
        ROLE, region="eu-west-1", session_name="secrets-cache", budget_seconds=budget_seconds, clock=SystemClock()
    )


async def test_a_roles_credentials_are_another_session(monkeypatch):
    """With a token of their own."""
    with moto_server() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        found = await credentials()

    assert found.access_key.startswith("ASIA")
    assert found.secret_key
    assert found.token
    assert CANARY not in found.token


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        (stub.Answer(status=403, body=DENIED), SecretRefused, f"AWS refused role '{ROLE}' with AccessDenied: not auth"),
        (stub.HANG, SecretTimeout, f"role '{ROLE}' is unavailable: AWS did not answer within 0.5 s"),
        (stub.Answer(body=b"<AssumeRoleResponse/>"), SecretUnavailable, f"role '{ROLE}' is unavailable"),
    ],
)
async def test_a_failure_is_a_roles(upstream, fault, error, said):
    """The same errors as a secret's, in words of their own."""
    upstream.fault = fault
    with pytest.raises(error) as caught:
        await credentials(0.5)

    assert said in str(caught.value)
