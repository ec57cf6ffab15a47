"""
`make endpoints`: ask botocore where calls go, and write its answers as `secrets_cache/aws/endpoint_table.py`.

For each service, region and variant a client of botocore makes a call, and its request is read instead of sent.
"""

import functools
import itertools
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.loaders import create_loader
from botocore.session import Session

from tools.emulator import ROOT

TABLE = ROOT / "secrets_cache" / "aws" / "endpoint_table.py"
# With a call of each service that needs no arguments.
SERVICES = {"secretsmanager": "get_random_password", "ssm": "describe_parameters", "sts": "get_caller_identity"}
# Whether FIPS and dual-stack are asked for.
VARIANTS = ((False, False), (True, False), (False, True), (True, True))
# A partition's regular expression: a prefix, a direction and a number.
_FORM = re.compile(r"\^([a-z()|\\-]+)\\-\\w\+\\-\\d\+\$")
_SCOPE = re.compile(r"Credential=[^/]+/[0-9]+/([^/]+)/")
_HEAD = '''"""
Where the services of each partition are. Written by `make endpoints` from botocore's data: do not edit.

A partition has for each service what follows the service's name in a host, where {} is the region: the plain one, with
FIPS, with dual-stack, with both; None where botocore knows none.
"""

Partition = dict[str, tuple[str | None, ...]]
'''


class Place(NamedTuple):
    """Where a request goes, and the region that it is signed for."""

    url: str
    region: str


class _Seen(BaseException):
    """A request was about to be sent. No `Exception`: botocore would take it for an answer that fails."""


@functools.cache
def _start() -> Session:
    session = Session()
    session.set_credentials("AKIAIOSFODNN7EXAMPLE", "secret")
    return session


def ask_botocore(service: str, region: str, **config: Any) -> Place | None:  # noqa: ANN401 - as Config
    """Return where botocore would send a call, under the variables of this process; None if it refuses."""

    def see(request: Any, **_: object) -> None:  # noqa: ANN401 - botocore has no types
        authorization = request.headers["Authorization"]
        scope = _SCOPE.search(authorization.decode() if isinstance(authorization, bytes) else authorization)
        raise _Seen(request.url, scope and scope[1])

    try:
        client = _start().create_client(service, region_name=region, config=Config(**config))
        client.meta.events.register("before-send", see)
        getattr(client, SERVICES[service])()
    except _Seen as seen:
        return Place(*seen.args)
    except (BotoCoreError, ValueError):
        return None
    raise AssertionError("botocore sent a request")


@functools.cache
def find_place(service: str, region: str, variant: int) -> Place | None:
    """Return where botocore would send a call of a variant; None if it refuses."""
    fips, dualstack = VARIANTS[variant]
    return ask_botocore(
        service, region, use_fips_endpoint=fips, use_dualstack_endpoint=dualstack, ignore_configured_endpoint_urls=True
    )


def read_partitions() -> Sequence[Mapping[str, Any]]:
    """Return the partitions that botocore knows."""
    partitions: Sequence[Mapping[str, Any]] = create_loader().load_data("partitions")["partitions"]
    return partitions


def list_prefixes(form: str) -> list[str]:
    """Return the prefixes of a partition's regions, by its regular expression."""
    found = _FORM.fullmatch(form)
    if found is None:
        raise SystemExit(f"A partition's regions have a new form, which endpoints.py must learn: {form}")
    return ["-".join(parts) for parts in itertools.product(*(p.strip("()").split("|") for p in found[1].split(r"\-")))]


def _find_tail(service: str, region: str, variant: int) -> str | None:
    place = find_place(service, region, variant)
    if place is None:
        return None
    return place.url.removeprefix(f"https://{service}").removesuffix("/").replace(region, "{}")


def _find_exceptions(regions: Sequence[str], tails: Mapping[str, Sequence[str | None]]) -> Iterator[tuple[Any, Any]]:
    """Yield the services and regions that are elsewhere than the tails say, with what `EXCEPTIONS` has of them."""
    for service, region in itertools.product(tails, regions):
        places = [find_place(service, region, variant) for variant in range(len(VARIANTS))]
        expected = [tail and (f"https://{service}{tail.format(region)}/", region) for tail in tails[service]]
        if any(known and known != found for known, found in zip(expected, places, strict=True)):
            yield (
                (service, region),
                tuple(p and (p.url.removeprefix("https://").rstrip("/"), p.region) for p in places),
            )


def write_table() -> str:
    """Return the text of the table."""
    prefixes: dict[str, str] = {}
    others: dict[str, str] = {}
    exceptions: dict[Any, Any] = {}
    partitions: dict[str, Any] = {}
    for partition in read_partitions():
        name = partition["id"]
        regions = sorted(partition["regions"])
        ordinary = [region for region in regions if re.match(partition["regionRegex"], region)]
        tails = {s: tuple(_find_tail(s, ordinary[0], variant) for variant in range(len(VARIANTS))) for s in SERVICES}
        exceptions |= _find_exceptions(regions, tails)
        prefixes |= dict.fromkeys(list_prefixes(partition["regionRegex"]), name)
        others |= dict.fromkeys((region for region in regions if region not in ordinary), name)
        partitions[name] = tails
    lines = [
        _HEAD,
        f"PARTITIONS: dict[str, Partition] = {partitions}",
        "# By what a region's name has before its direction and number.",
        f"PREFIXES = {prefixes}",
        "# Of other names.",
        f"REGIONS = {others}",
        "# Where the above is wrong: the hosts, and the regions that requests are signed for.",
        f"EXCEPTIONS: dict[tuple[str, str], tuple[tuple[str, str] | None, ...]] = {exceptions}",
        "",
    ]
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(TABLE), "-"]
    return subprocess.run(command, input="\n".join(lines), capture_output=True, check=True, text=True).stdout


if __name__ == "__main__":
    TABLE.write_text(write_table(), encoding="utf-8")
