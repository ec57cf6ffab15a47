"""Roles: against moto's server for what it can do, and against a stub for what it cannot."""

import os

import pytest

from secrets_cache.aws.choice import Clients
from secrets_cache.aws.sts import Role
from secrets_cache.core.retry import RetryableError
from secrets_cache.core.secret import AwsContext
from secrets_cache.errors import SecretRefused, SecretsCacheError
from secrets_cache.system.clock import SystemClock
from tests.support import upstream as stub
from tests.support.fakes import CANARY

ROLE = "arn:aws:iam::123456789012:role/reader"
DENIED = b"""<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>AccessDenied</Code><Message>not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>"""

pytestmark = pytest.mark.usefixtures("fast_paths")


class Session:
    """A role, closed in the end."""

    def __init__(self, function: str = "", **context: str) -> None:
        clock = SystemClock()
        client = Clients(os.environ, timeout_seconds=1, clock=clock).create("sts", "eu-west-1")
        self.role = Role(AwsContext("eu-west-1", ROLE)._replace(**context), client, function=function, clock=clock)

    async def __aenter__(self) -> Role:
        return self.role

    async def __aexit__(self, *_: object) -> None:
        await self.role.aclose()


async def test_a_roles_credentials_are_another_session(moto, monkeypatch):
    """With a token of their own."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    async with Session() as role:
        found = await role.get("db")

    assert found.access_key.startswith("ASIA")
    assert found.secret_key
    assert found.token
    assert CANARY not in found.token


async def test_a_role_is_assumed_once_while_its_credentials_are_good(upstream):
    """However many ask; and again when their end is near, without anybody's asking for it."""
    async with Session() as role:
        keys = [(await role.get("db")).access_key for _ in range(3)]
        upstream.role_seconds = 60
        role.reject(await role.get("db"))
        keys += [(await role.get("db")).access_key for _ in range(2)]

    assert ["ASIAROLE1"] * 3 + ["ASIAROLE2", "ASIAROLE3"] == keys


@pytest.mark.parametrize(
    ("function", "context", "name", "external"),
    [
        ("", {}, "secrets-cache", None),
        ("my function", {}, "secrets-cache-my-function", None),
        ("f" * 64, {}, "secrets-cache-" + "f" * 50, None),
        ("f", {"session_name": "of-mine"}, "of-mine", None),
        ("f", {"external_id": "123"}, "secrets-cache-f", "123"),
    ],
)
async def test_how_a_role_is_assumed(upstream, function, context, name, external):
    """The session is named after the function, or as it is set; the external id is told where there is one."""
    async with Session(function, **context) as role:
        await role.get("db")
    (call,) = upstream.calls

    assert (ROLE, name, external) == tuple(
        call.arguments.get(key) for key in ("RoleArn", "RoleSessionName", "ExternalId")
    )


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        (stub.Answer(status=403, body=DENIED), SecretRefused, f"AWS refused role '{ROLE}' with AccessDenied: not auth"),
        (stub.Answer(status=500), RetryableError, f"role '{ROLE}' is unavailable: AWS answered with status 500"),
        (stub.Answer(body=b"<AssumeRoleResponse/>"), RetryableError, f"role '{ROLE}' is unavailable"),
    ],
)
async def test_a_failure_is_a_roles(upstream, fault, error, said):
    """The same errors as a secret's, in words of their own."""
    upstream.fault = fault
    async with Session() as role:
        with pytest.raises((SecretsCacheError, RetryableError)) as caught:
            await role.get("db")

    assert isinstance(caught.value, error)
    assert said in str(getattr(caught.value, "error", caught.value))
    assert not role.was_given_up


async def test_a_role_never_shows_its_credentials(upstream):
    """Its repr names the role."""
    async with Session() as role:
        credentials = await role.get("db")

        assert f"Role('{ROLE}')" == repr(role)
        assert credentials.secret_key not in repr(credentials)
