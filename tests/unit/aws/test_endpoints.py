"""Which settings are the common ones, and where calls go under them."""

import os
from unittest import mock

import boto3
import pytest

from secrets_cache.aws.endpoints import BOTOCORE_VARIABLES, find_endpoint, read_region

COMMON = {"AWS_REGION": "eu-west-1", "HOME": "/nonexistent"}


def test_it_is_the_regional_endpoint_by_tls():
    """As a Lambda function comes."""
    endpoint = find_endpoint(COMMON)

    assert endpoint is not None
    assert ("secretsmanager.eu-west-1.amazonaws.com", 443, True) == (endpoint.host, endpoint.port, endpoint.is_secure)
    assert "secretsmanager.eu-west-1.amazonaws.com" == endpoint.authority


@pytest.mark.parametrize(
    "change",
    [
        {"AWS_REGION": ""},
        {"AWS_REGION": "cn-north-1"},
        {"AWS_REGION": "us-gov-west-1"},
        {"AWS_REGION": "us-iso-east-1"},
        {"AWS_ENDPOINT_URL": "https://user@host"},
        {"AWS_ENDPOINT_URL": "https://host/path"},
        {"AWS_ENDPOINT_URL": "https://host:99999"},
        {"AWS_ENDPOINT_URL": "https://host:0"},
        {"AWS_ENDPOINT_URL": "host"},
        *({name: "x"} for name in BOTOCORE_VARIABLES),
    ],
    ids=str,
)
def test_anything_else_is_botocores(change):
    """A setting that is not known to have its common meaning."""
    assert find_endpoint({**COMMON, **change}) is None


@pytest.mark.parametrize("file", ["config", "credentials"])
def test_a_file_of_the_sdk_is_botocores(tmp_path, file):
    """It may hold a region, an endpoint or other credentials."""
    environ = {**COMMON, "HOME": str(tmp_path)}
    assert find_endpoint(environ) is not None
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / file).touch()
    assert find_endpoint(environ) is None


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("http://localhost:5000", "localhost:5000"),
        ("https://vpce-1.secretsmanager.eu-west-1.vpce.amazonaws.com/", None),
        ("http://[::1]:80/", "[::1]"),
        ("https://host:443", "host"),
    ],
)
def test_plain_urls_are_taken(url, authority):
    """From the service's own variable before the general one."""
    endpoint = find_endpoint({**COMMON, "AWS_ENDPOINT_URL": "http://other", "AWS_ENDPOINT_URL_SECRETS_MANAGER": url})

    assert endpoint is not None
    assert (authority or url.removeprefix("https://").rstrip("/")) == endpoint.authority


@pytest.mark.parametrize(
    "region", ["us-east-1", "eu-central-2", "ap-southeast-7", "mx-central-1", "il-central-1", "ca-west-1"]
)
def test_the_endpoint_is_the_one_that_botocore_chooses(region):
    """For every region whose name is known here."""
    endpoint = find_endpoint({**COMMON, "AWS_REGION": region})
    with mock.patch.dict(os.environ, {"AWS_ENDPOINT_URL": ""}):
        client = boto3.client("secretsmanager", region_name=region)

    assert endpoint is not None
    assert client.meta.endpoint_url == f"https://{endpoint.host}"


def test_the_region_is_lambdas_before_the_sdks():
    """Empty if there is neither."""
    assert "a" == read_region({"AWS_REGION": "a", "AWS_DEFAULT_REGION": "b"})
    assert "b" == read_region({"AWS_DEFAULT_REGION": "b"})
    assert "" == read_region({})
