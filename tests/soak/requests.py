"""What callers ask, drawn at random: every request that the contract describes, and some that it refuses."""

import random
from urllib.parse import quote

from tests.soak.client import Request
from tests.soak.history import History
from tests.soak.world import (
    LARGE_ON_DEMAND,
    MISSING,
    ON_DEMAND,
    PREVIOUS,
    ROTATING_ON_DEMAND,
    Form,
    Listed,
    Policy,
    parts_of,
    value_of,
)

# More than the cache keeps besides what is listed.
DISTINCT_ON_DEMAND = 1500
KEYS = tuple(parts_of(str(value_of("", Form.JSON, 1))))
HEADERS: tuple[tuple[str, ...], ...] = ((), ("Accept: */*", "User-Agent: soak"), ("accept-encoding: gzip",))
# What the fast path leaves to the library.
ODD_HEADERS = ("X-Odd: 1", "If-Modified-Since: Mon, 23 Nov 2026 06:40:55 GMT")

INVALID = (400, "invalid-request")
FIXED = (
    Request("ping", "/ping", (200, "")),
    Request("health", "/health"),
    Request("bad", "/cache/one?nope=1", INVALID),
    Request("bad", "/cache/one?refresh=maybe", INVALID),
    Request("bad", "/cache/one?key=", INVALID),
    Request("bad", "/cache/%zz", INVALID),
    Request("bad", "/cache/one", (405, "method-not-allowed"), method="POST"),
    Request("bad", "/cache/one", (403, "forbidden"), headers=("X-Forwarded-For: 10.0.0.1",)),
    Request("unknown", "/cache/unknown", (404, "secret-not-configured")),
    Request("unknown", "/elsewhere", (404, "not-found")),
)
# No requests at all: the connection ends with the answer.
GARBAGE = (
    Request("garbage", expected=INVALID, pieces=(b"\x16\x03\x01\x02\x00\x01\r\n\r\n",)),
    Request("garbage", expected=INVALID, pieces=(b"GET /ping HTTP/1.1\r\nHost localhost\r\n\r\n",)),
    Request("garbage", expected=INVALID, pieces=(b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",)),
    Request("garbage", expected=(403, "forbidden"), pieces=(b"GET /ping HTTP/1.1\r\nHost: example.com\r\n\r\n",)),
)


class Requests:
    """
    Draws requests to one execution environment.

    Args:
        policy: For what is not listed.
        history: Which versions there are.
        chance: What is drawn is left to this.
        port: Where they are sent.
    """

    def __init__(self, policy: Policy, history: History, chance: random.Random, port: int) -> None:
        self._policy = policy
        self._history = history
        self.chance = chance
        self.port = port
        self._next_on_demand = 0
        self._draws = {
            self.plain: 50,
            self.key: 10,
            self.forced: 8,
            self.version: 7,
            self.head: 5,
            self.conditional: 7,
            self.odd: 5,
            self.fixed: 8,
        }

    def any(self) -> Request:
        """Return one of any kind."""
        (draw,) = self.chance.choices(list(self._draws), list(self._draws.values()))
        return draw()

    def plain(self) -> Request:
        """Return one for a listed secret, and nothing more."""
        return self._of("plain", self.chance.choice(self._policy.listed))

    def key(self) -> Request:
        """Return one for one key, which may not be there."""
        listed = self.chance.choice(self._policy.listed)
        if listed.form is not Form.JSON:
            return self._of("key", listed, "key=password", wrong_key=INVALID)
        key = self.chance.choice((*KEYS, "nowhere"))
        wrong = (404, "key-not-found") if key == "nowhere" else None
        return self._of("key", listed, f"key={quote(key)}", key=None if wrong else key, wrong_key=wrong)

    def forced(self) -> Request:
        """Return one for a new fetch."""
        listed = self.chance.choice([listed for listed in self._policy.listed if listed.may_be_forced])
        return self._of("refresh", listed, "refresh=true", is_forced=True)

    def of(self, listed: Listed, *, is_forced: bool = False) -> Request:
        """Return one for this secret, under any of its names."""
        return self._of("refresh", listed, "refresh=true", is_forced=True) if is_forced else self._of("plain", listed)

    def large(self) -> Request:
        """Return one for a large value, which is made into a new response each time."""
        return Request("large", f"/cache/{LARGE_ON_DEMAND}", ref=(LARGE_ON_DEMAND, "", ""), ttl=self._policy.ttl)

    def last(self) -> Request:
        """Return one that ends its connection, with another right behind it."""
        return self.plain().followed_by(self.plain())

    def version(self) -> Request:
        """Return one for another version: the one before, one by its id, or one that never was."""
        listed = self.chance.choice(
            [listed for listed in self._policy.listed if not listed.stage and listed.secret != "large"]
        )
        if self.chance.random() < 0.6:
            ref = (listed.secret_id, "", PREVIOUS)
            return self._of("version", listed, f"version_stage={PREVIOUS}", ref=ref, listed=None)
        is_known = self.chance.random() < 0.9
        versions = self._history.versions(listed.secret)
        version_id = self.chance.choice(versions[-3:]).id if is_known else "never"
        ref = (listed.secret_id, version_id, "")
        return self._of("version", listed, f"version_id={version_id}", ref=ref, listed=None)

    def head(self) -> Request:
        """Return one for the headers alone."""
        return self._of("HEAD", self.chance.choice(self._policy.listed), method="HEAD")

    def conditional(self) -> Request:
        """Return one with the latest version's entity tag, or another."""
        listed = self.chance.choice(self._policy.listed)
        versions = self._history.versions(listed.secret)
        tags = [f'"{version.id}"' for version in versions[-2:]]
        return self._of("If-None-Match", listed, entity_tag=self.chance.choice([*tags, '"another"', "*"]))

    def odd(self) -> Request:
        """Return one that the fast path leaves to the library: by its headers, or in two pieces."""
        listed = self.chance.choice(self._policy.listed)
        if self.chance.random() < 0.5:
            return self._of("odd", listed, headers=(self.chance.choice(ODD_HEADERS),))
        data = self._of("odd", listed).as_bytes()
        cut = self.chance.randrange(1, len(data))
        return self._of("odd", listed, pieces=(data[:cut], data[cut:]))

    def fixed(self) -> Request:
        """Return one whose answer does not depend on AWS."""
        return self.chance.choice(FIXED)

    def garbage(self) -> Request:
        """Return what is no request."""
        return self.chance.choice(GARBAGE)

    def on_demand(self, *, is_new: bool) -> Request:
        """Return one for a name that is allowed and not listed; `is_new` for one that was not asked for yet."""
        roll = self.chance.random()
        if is_new or roll < 0.4:
            self._next_on_demand = (self._next_on_demand + 1) % DISTINCT_ON_DEMAND
            name = f"{ON_DEMAND}n-{self._next_on_demand}"
        elif roll < 0.9:
            name = self.chance.choice(ROTATING_ON_DEMAND)
        else:
            name = f"{MISSING}{self.chance.randrange(20)}"
        is_forced = not is_new and self.chance.random() < 0.1
        query = "?refresh=true" if is_forced else ""
        return Request(
            "on demand", f"/cache/{name}{query}", ref=(name, "", ""), ttl=self._policy.ttl, is_forced=is_forced
        )

    def _of(self, label: str, secret: Listed, query: str = "", **more: object) -> Request:
        name = self.chance.choice(secret.names)
        target = f"/cache/{quote(name, safe=self.chance.choice(('/:', '')))}"
        return Request(
            label,
            f"{target}?{query}" if query else target,
            **{
                "ref": secret.ref,
                "listed": secret,
                "ttl": secret.ttl,
                "headers": self.chance.choice(HEADERS),
                **more,
            },  # type: ignore[arg-type]
        )
