"""
Which settings are the common ones, and where calls go under them.

Rules
-----
1. Any setting that botocore reads, and that is not known here, is botocore's: nothing is guessed.
2. The endpoint is the one that botocore would choose. The tests compare the two.
"""

import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from secrets_cache.http1.connections import Endpoint

# If one of these is set, the call is botocore's.
BOTOCORE_VARIABLES = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_DATA_PATH",
    "BOTO_CONFIG",
    "REQUESTS_CA_BUNDLE",
    *(name for scheme in ("HTTP", "HTTPS", "ALL") for name in (f"{scheme}_PROXY", f"{scheme.lower()}_proxy")),
)
FILES = ("config", "credentials")
# The regions of the partition "aws": their endpoints have names of one form.
_REGION = re.compile(r"(us|eu|ap|sa|ca|me|af|il|mx)-(north|south|east|west|central)[a-z]*-[0-9]{1,2}")
_URL = re.compile(r"(https?)://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?/?")
_MAX_PORT = 65535


def read_region(environ: Mapping[str, str]) -> str:
    """Return the region that calls go to; empty if none is set."""
    return environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or ""


class SignedEndpoint(NamedTuple):
    """Where calls go, and the region that they are signed for."""

    endpoint: Endpoint
    region: str


def find_endpoint(service: str, environ: Mapping[str, str]) -> SignedEndpoint | None:
    """Return the endpoint of Secrets Manager; None if botocore must find it."""
    if any(environ.get(name) for name in BOTOCORE_VARIABLES):
        return None
    home = environ.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 - no pathlib on the start path
    if any(os.path.exists(f"{home}/.aws/{file}") for file in FILES):  # noqa: PTH110
        return None
    region = read_region(environ)
    if not _REGION.fullmatch(region):
        return None
    own = {"secretsmanager": "SECRETS_MANAGER", "ssm": "SSM", "sts": "STS"}[service]
    url = environ.get(f"AWS_ENDPOINT_URL_{own}") or environ.get("AWS_ENDPOINT_URL") or ""
    if not url:
        return SignedEndpoint(Endpoint(f"{service}.{region}.amazonaws.com", 443, is_secure=True), region)
    plain = _URL.fullmatch(url)
    if plain is None:
        return None
    scheme, host, port = plain.groups()
    is_secure = scheme == "https"
    number = int(port) if port else 443 if is_secure else 80
    endpoint = Endpoint(host.strip("[]"), number, is_secure=is_secure)
    return SignedEndpoint(endpoint, region) if 0 < number <= _MAX_PORT else None
