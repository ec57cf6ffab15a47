"""Which client makes the calls, and what the log says of it."""

import logging
import sys

import pytest

from secrets_cache.aws.choice import Clients
from secrets_cache.aws.direct import DirectClient
from secrets_cache.aws.lazy_client import LazyClient
from secrets_cache.aws.sts import Role
from secrets_cache.core.retry import RetryableError
from secrets_cache.core.secret import AwsContext
from secrets_cache.system.clock import SystemClock
from tests.support import upstream as stub
from tests.support.fakes import CANARY
from tests.unit.aws.test_direct import COMMON

CONTAINER = {"AWS_ACCESS_KEY_ID": "", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9/x"}
UNKNOWN = "botocore must find the credentials"


def clients(**change: str) -> Clients:
    """Return what creates the clients of an environment."""
    return Clients({**COMMON, **change}, timeout_seconds=5, clock=SystemClock())


@pytest.mark.parametrize(
    ("change", "client", "reason"),
    [
        ({}, "direct", "the settings are common ones"),
        (CONTAINER, "direct", "the settings are common ones"),
        ({"SECRETS_CACHE_LANES": "0"}, "aiobotocore", "SECRETS_CACHE_LANES=0"),
        ({"AWS_REGION": "nowhere"}, "aiobotocore", "the region or the endpoint's URL is not a common one"),
        ({"AWS_REGION": "cn-north-1", "AWS_USE_FIPS_ENDPOINT": "true"}, "direct", "the settings are common ones"),
        ({"AWS_PROFILE": "dev"}, "aiobotocore", "AWS_PROFILE is set"),
        ({"HTTPS_PROXY": "http://user:secret@proxy"}, "aiobotocore", "HTTPS_PROXY is set"),
        ({"AWS_SESSION_TOKEN": "line\nbreak"}, "aiobotocore", UNKNOWN),
        ({"AWS_ACCESS_KEY_ID": ""}, "aiobotocore", UNKNOWN),
        ({**CONTAINER, "AWS_CONTAINER_CREDENTIALS_FULL_URI": "https://elsewhere/x"}, "aiobotocore", UNKNOWN),
    ],
)
@pytest.mark.parametrize("service", ["secretsmanager", "ssm", "sts"])
def test_the_direct_client_makes_the_calls_where_the_settings_are_common(caplog, change, client, reason, service):
    """Of every service; the log says which, and why not, and no value."""
    caplog.set_level(logging.DEBUG)

    found = clients(**change).create(service)

    assert client == ("direct" if isinstance(found, DirectClient) else "aiobotocore")
    (line,) = [record for record in caplog.records if record.msg == "client.chosen"]
    region = change.get("AWS_REGION", "eu-west-1")
    assert {"service": service, "region": region, "client": client, "reason": reason} == line.args


def test_a_file_of_the_sdk_is_named(caplog, tmp_path):
    """Its settings are botocore's to read."""
    caplog.set_level(logging.DEBUG)
    folder = tmp_path / ".aws"
    folder.mkdir()
    (folder / "config").touch()

    assert isinstance(clients(HOME=str(tmp_path)).create("ssm"), LazyClient)

    assert ["~/.aws/config exists"] == [record.args["reason"] for record in caplog.records]


async def test_a_role_signs_the_calls_of_the_direct_client(upstream):
    """In its region."""
    upstream.put("db", CANARY)
    all_clients = clients(AWS_ENDPOINT_URL=upstream.url)
    context = AwsContext(role_arn="arn:aws:iam::123456789012:role/reader")
    role = Role(context, all_clients.create("sts"), function="", clock=SystemClock())
    client = all_clients.create("secretsmanager", "us-east-1", role)
    await client.call("get_secret_value", "db", {"SecretId": "db"})
    await client.aclose()
    await role.aclose()

    assert ["AssumeRole", "GetSecretValue"] == [call.operation for call in upstream.calls]
    assert "ASIAROLE1" == upstream.calls[1].access_key
    assert "/us-east-1/secretsmanager/" in upstream.calls[1].headers["authorization"]


async def test_the_log_says_once_why_aiobotocore_was_imported(monkeypatch, caplog, upstream):
    """It costs memory and time: with an answer that only botocore may understand, that may be a surprise."""
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("AWS_ENDPOINT_URL", upstream.url)
    upstream.fault = stub.Answer(body=b'{"SecretBinary": 5}')
    all_clients = clients(AWS_ENDPOINT_URL=upstream.url)
    for service in ("secretsmanager", "secretsmanager"):
        monkeypatch.delitem(sys.modules, "secrets_cache.aws.aiobotocore", raising=False)
        client = all_clients.create(service)
        with pytest.raises(RetryableError):
            await client.call("get_secret_value", "db", {"SecretId": "db"})
        await client.aclose()

    lines = [record.args for record in caplog.records if record.msg == "engine.loaded"]
    assert [{"engine": "aiobotocore", "reason": "an unexpected answer of secretsmanager"}] == lines
