"""Which settings are the common ones, and where calls go under them."""

import itertools
import os
from collections.abc import Mapping
from unittest import mock

import pytest

from secrets_cache.aws.client import Service
from secrets_cache.aws.endpoints import BOTOCORE_VARIABLES, SignedEndpoint, find_endpoint, find_partition, read_region
from tools import endpoints

COMMON = {"AWS_REGION": "eu-west-1", "HOME": "/nonexistent"}
SERVICES: tuple[Service, ...] = ("secretsmanager", "ssm", "sts")
FIPS, DUAL_STACK = {"AWS_USE_FIPS_ENDPOINT": "true"}, {"AWS_USE_DUALSTACK_ENDPOINT": "true"}
UNLISTED = [
    "us-moon-9",
    "eu-south-17",
    "cn-east-3",
    "us-iso-north-2",
    "us-isob-south-1",
    "eu-isoe-north-3",
    "us-isof-west-4",
    "us-gov-central-1",
    "eusc-de-west-2",
    "mx-1-0",
    "fips-us-east-1",
    "us-east-1-fips",
    "fips-us-gov-west-1",
    "us-iso-east-1-fips",
]
ODD = [
    "us",
    "eu",
    "us-gov",
    "us-",
    "-us-east-1",
    "us--1",
    "us--east-1",
    "us-east-",
    "us-east--1",
    "us-east-1a",
    "us-east-1-1",
    "us-gov-east-1-1",
    "US-EAST-1",
    "us-East-1",
    "us-ea_st-1",
    "us-east-1.host",
    "us-east-1/",
    "us-east-1:",
    "us-east-\uff11",
    "us-\xe9ast-1",
    "eusc-fr-east-1",
    "us-isox-east-1",
    "moon-1",
    "x",
    "12345",
    "aws",
    "global",
    "aws-global-1",
    "us-{}-1",
    "{}",
    "us-*-1",
    "*",
    "fips",
    "fips-",
    "-fips",
    "fips-us",
    "fips-aws-global",
    "aws-global-fips",
    "fips-fips-us-east-1",
    "us-fips-1",
    "us-fips-east-1",
    "us-fips1-1",
    "us-fipseast-1",
    "us-east-fips-1",
    "-fipsus-east-1",
    "us-east-1fips-",
    "us-east-1\n",
    f"us-{'a' * 70}-1",
    f"us-east-{'1' * 70}",
    f"us-{'fips-' * 20}east-1",
]


@pytest.fixture(autouse=True)
def _environ():
    """Let botocore see no more than `COMMON` but for a region, which the tests give it as a client is given it."""
    with mock.patch.dict(os.environ, {"HOME": "/nonexistent"}, clear=True):
        yield


def read(found: SignedEndpoint | None) -> endpoints.Place | None:
    """Give an endpoint as the tool gives it."""
    if found is None:
        return None
    return endpoints.Place(f"http{'s' * found.endpoint.is_secure}://{found.endpoint.authority}/", found.region)


def list_variants(region: str):
    """Give each service and variant with what is found here, and what botocore finds."""
    for service, (variant, change) in itertools.product(SERVICES, enumerate(({}, FIPS, DUAL_STACK, FIPS | DUAL_STACK))):
        found = read(find_endpoint(service, {**COMMON, "AWS_REGION": region, **change}))
        yield found, endpoints.find_place(service, region, variant), (service, region, variant)


def test_the_table_is_what_botocore_answers_today():
    """After an update of botocore: `make endpoints`."""
    assert endpoints.write_table() == endpoints.TABLE.read_text(encoding="utf-8")


def test_a_new_form_of_regions_is_not_guessed():
    """The tool ends where it cannot say what a partition's regions look like."""
    assert ["us-iso", "eu-iso"] == endpoints.list_prefixes(r"^(us|eu)\-iso\-\w+\-\d+$")
    with pytest.raises(SystemExit, match="new form"):
        endpoints.list_prefixes(r"^moon\-\d+$")


@pytest.mark.parametrize("partition", endpoints.read_partitions(), ids=lambda partition: partition["id"])
def test_each_region_is_where_botocore_finds_it(partition):
    """Every service and variant; where botocore finds none, the error is its own."""
    for region in partition["regions"]:
        for found, expected, case in list_variants(region):
            assert found == expected or (found is None and region.endswith("-global")), case


@pytest.mark.parametrize("partition", endpoints.read_partitions(), ids=lambda partition: partition["id"])
def test_each_region_is_in_the_partition_where_botocore_has_it(partition):
    """ARNs in that region begin with it."""
    assert {partition["id"]} == {find_partition(region) for region in partition["regions"]}


@pytest.mark.parametrize("region", UNLISTED)
def test_a_region_that_is_not_listed_is_known_by_its_form(region):
    """As in botocore: by its partition's form, and FIPS by its name."""
    for found, expected, case in list_variants(region):
        assert expected == found, case


@pytest.mark.parametrize("region", ODD)
def test_an_odd_region_is_left_to_botocore(region):
    """It is never sent elsewhere than botocore would send it."""
    for found, expected, case in list_variants(region):
        assert found in {None, expected}, case


def test_global_names_are_known():
    """STS has a host of its own for one of them, which is signed for another region."""
    environ = {**COMMON, "AWS_REGION": "aws-global"}
    assert endpoints.Place("https://sts.amazonaws.com/", "us-east-1") == read(find_endpoint("sts", environ))
    assert endpoints.Place("https://ssm.aws-global.amazonaws.com/", "aws-global") == read(find_endpoint("ssm", environ))


URLS: list[Mapping[str, str]] = [
    {"AWS_ENDPOINT_URL": "http://localhost:5000"},
    {"AWS_ENDPOINT_URL": "http://all", "AWS_ENDPOINT_URL_SECRETS_MANAGER": "https://one:8443/"},
    {"AWS_ENDPOINT_URL": "http://all", "AWS_ENDPOINT_URL_SSM": "https://vpce-1.ssm.eu-west-1.vpce.amazonaws.com"},
    {"AWS_ENDPOINT_URL": "http://all", "AWS_ENDPOINT_URL_STS": "http://[::1]:80/"},
    {"AWS_ENDPOINT_URL": "http://all", "AWS_ENDPOINT_URL_STS": ""},
    {"AWS_ENDPOINT_URL_SSM": "http://one"},
    {"AWS_ENDPOINT_URL": f"http://{'a' * 63}.b-1.c."},
]
VALUES = ("true", "True", "TRUE", "false", "1", "yes", "", " true")


@pytest.mark.parametrize("region", ["eu-west-1", "eu-isoe-west-1", "aws-global", "us-east-1-fips"])
@pytest.mark.parametrize("urls", URLS, ids=str)
def test_urls_are_those_that_botocore_takes(urls, region):
    """They go before FIPS and dual-stack, unless botocore refuses these; or are ignored, if it is told to."""
    for service, change in itertools.product(
        SERVICES, [{}, FIPS, DUAL_STACK, {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}]
    ):
        with mock.patch.dict(os.environ, {**urls, **change}):
            expected = endpoints.ask_botocore(service, region)
        found = read(find_endpoint(service, {**COMMON, "AWS_REGION": region, **urls, **change}))
        if expected is not None:
            expected = expected._replace(url=expected.url.replace(":80/", "/"))
        assert expected == found, (service, change)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(
    "name", ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"]
)
def test_true_is_what_botocore_takes_for_it(name, value):
    """One word, in any case."""
    changes = {name: value, **({"AWS_ENDPOINT_URL": "http://all"} if "URL" in name else {})}
    with mock.patch.dict(os.environ, changes):
        expected = endpoints.ask_botocore("ssm", "eu-west-1")

    assert expected == read(find_endpoint("ssm", {**COMMON, **changes}))


@pytest.mark.parametrize("mode", ["", "regional", "legacy", "Regional", "x"])
def test_the_global_endpoint_of_sts_is_botocores(mode):
    """So is a mode that it does not know, which it refuses for every service."""
    for service in SERVICES:
        with mock.patch.dict(os.environ, {"AWS_STS_REGIONAL_ENDPOINTS": mode}):
            expected = endpoints.ask_botocore(service, "eu-west-1")
        found = read(find_endpoint(service, {**COMMON, "AWS_STS_REGIONAL_ENDPOINTS": mode}))
        assert (None if (service, mode) == ("sts", "legacy") else expected) == found


@pytest.mark.parametrize(
    "change",
    [
        {"AWS_REGION": ""},
        {"AWS_ENDPOINT_URL": "https://user@host"},
        {"AWS_ENDPOINT_URL": "https://host/path"},
        {"AWS_ENDPOINT_URL": "https://host:99999"},
        {"AWS_ENDPOINT_URL": "https://host:0"},
        {"AWS_ENDPOINT_URL": "host"},
        {"AWS_ENDPOINT_URL": "http://a..b"},
        {"AWS_ENDPOINT_URL": "http://.host"},
        {"AWS_ENDPOINT_URL": "http://-host"},
        {"AWS_ENDPOINT_URL": f"http://{'a' * 64}.b"},
        *({name: "x"} for name in BOTOCORE_VARIABLES),
    ],
    ids=str,
)
def test_anything_else_is_botocores(change):
    """A setting that is not known to have its common meaning."""
    assert find_endpoint("secretsmanager", {**COMMON, **change}) is None


@pytest.mark.parametrize("file", ["config", "credentials", "models"])
def test_a_file_of_the_sdk_is_botocores(tmp_path, file):
    """It may hold a region, endpoints or other credentials."""
    environ = {**COMMON, "HOME": str(tmp_path)}
    assert find_endpoint("sts", environ) is not None
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / file).touch()
    assert find_endpoint("sts", environ) is None


def test_the_region_is_lambdas_before_the_sdks():
    """Empty if there is neither."""
    assert "a" == read_region({"AWS_REGION": "a", "AWS_DEFAULT_REGION": "b"})
    assert "b" == read_region({"AWS_DEFAULT_REGION": "b"})
    assert "" == read_region({})
