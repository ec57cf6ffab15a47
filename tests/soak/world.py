"""What there is: execution environments that differ in policy, and the secrets that each of them lists."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

from tests.support.fakes import CANARY
from tests.support.upstream import arn_of

# As AWS is asked: id, version id, version stage; empty for what is not sent.
Ref = tuple[str, str, str]

ON_DEMAND = "on-demand/"
MISSING = f"{ON_DEMAND}missing-"
# Some that are allowed, not listed, and rotate.
ROTATING_ON_DEMAND = tuple(f"{ON_DEMAND}hot-{number}" for number in range(5))
# Not remembered, since it is not listed: each request for it makes a new response.
LARGE_ON_DEMAND = f"{ON_DEMAND}large"
PREVIOUS = "AWSPREVIOUS"
LARGE_BYTES = 65_536
QUIET_TTL_SECONDS = 3600.0
# What is promised: a forced refresh at most so often, and no longer pause after a failure.
FORCED_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 60.0


class Form(Enum):
    """What a value is."""

    JSON = "application/json"
    TEXT = "text/plain; charset=utf-8"
    BINARY = "application/octet-stream"


@dataclass(frozen=True)
class Listed:
    """
    A secret in config.yaml.

    Attributes:
        secret_id: What AWS is asked for.
        secret: What it is called in AWS.
        alias: The name that config.yaml gives it; empty for none.
        ttl: Seconds.
        stage: The staging label that is listed; empty for the current version.
        may_be_forced: Whether callers send `?refresh=true`: who never does shows when the others are fetched.
    """

    secret_id: str
    secret: str
    form: Form
    ttl: float
    alias: str = ""
    stage: str = ""
    may_be_forced: bool = True

    @property
    def ref(self) -> Ref:
        """What AWS is asked for."""
        return (self.secret_id, "", self.stage)

    @property
    def names(self) -> tuple[str, ...]:
        """What callers may ask for: alias and id, and what AWS calls it, unless that means another version."""
        own = (self.alias or self.secret_id, self.secret_id)
        return own if self.stage else tuple(dict.fromkeys((*own, self.secret, arn_of(self.secret))))


def _listed(secret: str, form: Form, ttl: float, *, by_arn: bool = False, **more: object) -> Listed:
    return Listed(arn_of(secret) if by_arn else secret, secret, form, ttl, **more)  # type: ignore[arg-type]


LISTED = (
    _listed("short", Form.JSON, 1),
    _listed("one", Form.JSON, 1),
    _listed("two", Form.JSON, 2),
    _listed("five", Form.JSON, 5),
    _listed("text-1", Form.TEXT, 1),
    _listed("text-3", Form.TEXT, 3),
    _listed("pin", Form.TEXT, 2),
    _listed("binary-1", Form.BINARY, 1),
    _listed("binary-4", Form.BINARY, 4),
    _listed("large", Form.TEXT, 1.5),
    _listed("prod/db", Form.JSON, 1, alias="db"),
    _listed("team/api", Form.TEXT, 2, alias="api"),
    _listed("by-arn", Form.JSON, 1, by_arn=True),
    _listed("by-arn-5", Form.TEXT, 5, by_arn=True),
    _listed("kept", Form.JSON, 1, alias="kept-before", stage=PREVIOUS),
    _listed("calm-1", Form.JSON, 1, may_be_forced=False),
    _listed("calm-3", Form.TEXT, 3, may_be_forced=False),
    _listed("calm-5", Form.BINARY, 5, may_be_forced=False),
    _listed("thirty", Form.JSON, 30, may_be_forced=False),
    _listed("hour", Form.JSON, 3600),
)
# What only a forced refresh fetches again: the ttl is longer than any soak.
ONLY_FORCED = "hour"


@dataclass(frozen=True)
class Policy:
    """
    One execution environment's settings, and so the bounds that its answers keep.

    Attributes:
        ttl: For what is not listed.
        is_fast: Whether the fast paths are on.
        is_quiet: Whether nothing happens but what a few callers do: no ttl ends, nothing fails, nothing is frozen. What
            a fetch of anything else would end, such as a response that was remembered, lasts here.
    """

    name: str
    ttl: float
    refresh_ahead_percent: int
    stale_while_revalidate: float
    stale_if_error: float
    fetch_timeout: float
    batch: str
    is_fast: bool
    is_quiet: bool = False

    @property
    def listed(self) -> tuple[Listed, ...]:
        """The secrets in config.yaml."""
        return tuple(replace(each, ttl=QUIET_TTL_SECONDS) for each in LISTED) if self.is_quiet else LISTED

    def stale_seconds(self, *, has_failed: bool) -> float:
        """Return for how long past its ttl a value may be served, where AWS could, or could not, be asked."""
        return max(self.stale_while_revalidate, self.stale_if_error if has_failed else 0)

    def config(self) -> str:
        """Return config.yaml."""
        return "\n".join(
            [
                f"ttl: {self.ttl}",
                f"refresh_ahead: {self.refresh_ahead_percent}%",
                f"stale_while_revalidate: {self.stale_while_revalidate}",
                f"stale_if_error: {self.stale_if_error}",
                f"fetch_timeout: {self.fetch_timeout}",
                f"batch: {self.batch}",
                f"allow: ['{ON_DEMAND}*']",
                "secrets:",
                *map(_item, self.listed),
            ]
        )


def _item(listed: Listed) -> str:
    parts = [f"id: '{listed.secret_id}'", f"ttl: {listed.ttl}"]
    parts += [f"name: {listed.alias}"] if listed.alias else []
    parts += [f"version_stage: {listed.stage}"] if listed.stage else []
    return f"  - {{{', '.join(parts)}}}"


POLICIES = (
    Policy("ahead", 2, 30, 0, 6, 1.5, "auto", is_fast=True),
    Policy("revalidate", 3, 0, 1.5, 4, 1.5, "never", is_fast=True),
    Policy("library", 2, 10, 0.5, 0, 1.5, "always", is_fast=False),
    Policy("quiet", QUIET_TTL_SECONDS, 0, 0, 60, 1.5, "auto", is_fast=True, is_quiet=True),
)


def value_of(secret: str, form: Form, number: int) -> str | bytes:
    """Return a secret's value in its version of this number. Every one is a canary."""
    word = f"{CANARY} {secret} {number}"
    if form is Form.BINARY:
        return word.encode() + bytes(range(256))
    if form is Form.TEXT:
        return word.ljust(LARGE_BYTES, "x") if secret in {"large", LARGE_ON_DEMAND} else word
    return json.dumps({"user": secret, "password": word, "number": number, "hosts": [{"name": word}, None]})


def parts_of(value: str) -> dict[str, tuple[str, Form]]:
    """Return what the keys of a JSON value give, each with its form."""
    parsed = json.loads(value)
    return {
        "password": (parsed["password"], Form.TEXT),
        "number": (str(parsed["number"]), Form.JSON),
        "/hosts/0/name": (parsed["hosts"][0]["name"], Form.TEXT),
        "hosts": (json.dumps(parsed["hosts"], separators=(",", ":")), Form.JSON),
    }


def rotating() -> Iterator[tuple[str, Form]]:
    """Return the secrets that there are from the beginning."""
    yield from ((listed.secret, listed.form) for listed in LISTED)
    yield from ((name, Form.TEXT) for name in ROTATING_ON_DEMAND)
