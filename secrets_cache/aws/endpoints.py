"""
Which settings are the common ones, and where calls go under them.

Rules
-----
1. Any setting that botocore reads, and that is not known here, is botocore's: nothing is guessed.
2. The endpoint is the one that botocore would choose. `endpoint_table` is made of its answers, and the tests compare
   the two. Where botocore would refuse, it does so itself.
"""

import os
import re
from collections.abc import Mapping

from secrets_cache.aws.client import Service
from secrets_cache.aws.endpoint_table import EXCEPTIONS, PARTITIONS, PREFIXES, REGIONS
from secrets_cache.config.values import MAX_PORT
from secrets_cache.core.named_tuple import NamedTuple
from secrets_cache.http1.connections import Endpoint

# If one of these is set, the call is botocore's.
BOTOCORE_VARIABLES = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_DATA_PATH",
    "BOTO_CONFIG",
    "REQUESTS_CA_BUNDLE",
    *(name for scheme in ("HTTP", "HTTPS", "ALL") for name in (f"{scheme}_PROXY", f"{scheme.lower()}_proxy")),
)
_FILES = ("config", "credentials", "models")
_URL_VARIABLES = {
    "secretsmanager": "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    "ssm": "AWS_ENDPOINT_URL_SSM",
    "sts": "AWS_ENDPOINT_URL_STS",
}
# As all partitions form them: a prefix of the partition, a direction, a number. Together shorter than a host's label.
_REGION = r"([a-z-]{1,20})-[a-z0-9]{1,20}-[0-9]{1,20}"
# As botocore takes names: other ones it refuses, and names the setting.
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_URL = rf"(https?)://({_LABEL}(?:\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]+\])(?::([0-9]{{1,5}}))?/?"


class SignedEndpoint(NamedTuple):
    """Where the calls of a service go, and the region that they are signed for."""

    endpoint: Endpoint
    region: str


def read_region(environ: Mapping[str, str]) -> str:
    """Return the region that calls go to; empty if none is set."""
    return environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or ""


def find_partition(region: str) -> str | None:
    """Return the name of the partition that a region is in; None if the region's name is not like any of AWS's."""
    form = re.fullmatch(_REGION, region)
    return PREFIXES.get(form[1]) if form else REGIONS.get(region)


def find_obstacle(environ: Mapping[str, str]) -> str:
    """Return the first setting that is botocore's to read, for the log; empty if there is none."""
    home = environ.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 - no pathlib on the start path
    variables = [f"{name} is set" for name in BOTOCORE_VARIABLES if environ.get(name)]
    files = [f"~/.aws/{file} exists" for file in _FILES if os.path.exists(f"{home}/.aws/{file}")]  # noqa: PTH110
    return next(iter(variables + files), "")


def find_endpoint(service: Service, environ: Mapping[str, str]) -> SignedEndpoint | None:
    """Return the endpoint of a service; None if botocore must find it."""
    if find_obstacle(environ):
        return None
    mode = environ.get("AWS_STS_REGIONAL_ENDPOINTS") or "regional"
    if mode != "regional" and (mode != "legacy" or service == "sts"):
        return None
    name = read_region(environ)
    # As in botocore: "fips-us-east-1" is us-east-1 with FIPS.
    region = name.removeprefix("fips-").removesuffix("-fips")
    is_fips = region != name or _is_true(environ, "AWS_USE_FIPS_ENDPOINT")
    found = _find_place(service, region, variant=is_fips + 2 * _is_true(environ, "AWS_USE_DUALSTACK_ENDPOINT"))
    url = environ[variable] if (variable := find_url_variable(service, environ)) else ""
    if found is None or not url:
        return found
    # As in botocore: a URL goes before FIPS and dual-stack, unless these are refused.
    endpoint = _parse_url(url)
    return endpoint and SignedEndpoint(endpoint, region)


def _is_true(environ: Mapping[str, str], name: str) -> bool:
    """Return whether botocore takes a variable for true: it knows one word."""
    return environ.get(name, "").lower() == "true"


def _find_place(service: Service, region: str, *, variant: int) -> SignedEndpoint | None:
    """Return the endpoint of a service in a region, for a column of the table."""
    partition = find_partition(region)
    # botocore takes a "fips" in the middle out, too.
    if partition is None or "fips" in region:
        return None
    exception = EXCEPTIONS.get((service, region))
    tail = PARTITIONS[partition][service][variant]
    place = exception[variant] if exception else tail and (service + tail.format(region), region)
    return SignedEndpoint(Endpoint(place[0], 443, is_secure=True), place[1]) if place else None


def find_url_variable(service: Service, environ: Mapping[str, str]) -> str:
    """Return the variable that holds the URL of a service's endpoint; empty if none does."""
    names = (
        ()
        if _is_true(environ, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
        else (_URL_VARIABLES[service], "AWS_ENDPOINT_URL")
    )
    return next((name for name in names if environ.get(name)), "")


def _parse_url(url: str) -> Endpoint | None:
    plain = re.fullmatch(_URL, url)
    if plain is None:
        return None
    scheme, host, port = plain.groups()
    is_secure = scheme == "https"
    number = int(port) if port else 443 if is_secure else 80
    return Endpoint(host.strip("[]"), number, is_secure=is_secure) if 0 < number <= MAX_PORT else None
