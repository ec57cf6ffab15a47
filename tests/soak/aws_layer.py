"""
AWS's protocol in the soak: what its callers ask, and its answers read as those of the other protocol.

One oracle judges both listeners: they share one cache, so a version that one has served binds the other.
"""

import base64
import json
import os
import random
from urllib.parse import quote

from tests.soak.client import Answer, Request
from tests.soak.requests import DISTINCT_ON_DEMAND
from tests.soak.world import LARGE_ON_DEMAND, ON_DEMAND, ROTATING_ON_DEMAND, Form, Listed, Policy
from tests.support.upstream import arn_of

# All of them, and null for what is missing, as AWS's layer has it.
KEYS = {"ARN", "CreatedDate", "Name", "SecretBinary", "SecretString", "VersionId", "VersionStages", "ResultMetadata"}
GET = "/secretsmanager/get"


def _with_token() -> tuple[str, ...]:
    return (f"X-Aws-Parameters-Secrets-Token: {os.environ['AWS_SESSION_TOKEN']}",)


class AwsRequests:
    """
    Draws requests in AWS's protocol to one execution environment.

    Args:
        policy: What it lists, and the ttl of everything else.
        chance: What is drawn is left to this.
        port: Where they are sent.
    """

    def __init__(self, policy: Policy, chance: random.Random, port: int) -> None:
        self._policy = policy
        self.chance = chance
        self.port = port
        self._draws = {self.plain: 60, self.forced: 8, self.on_demand: 20, self.fixed: 12}

    def any(self) -> Request:
        """Return one of any kind."""
        (draw,) = self.chance.choices(list(self._draws), list(self._draws.values()))
        return draw()

    def plain(self) -> Request:
        """Return one for a listed secret, and nothing more."""
        return self.of(self.chance.choice(self._policy.listed))

    def forced(self) -> Request:
        """Return one for a new fetch."""
        return self.of(self.chance.choice([each for each in self._policy.listed if each.may_be_forced]), is_forced=True)

    def of(self, listed: Listed, *, is_forced: bool = False) -> Request:
        """Return one for this secret, under any of its names, by the path of the layer or that of the agent."""
        name = quote(self.chance.choice(listed.names), safe=self.chance.choice(("/:", "")))
        options = [f"versionStage={listed.stage}"] if listed.stage else []
        options += ["refreshNow=true"] if is_forced else []
        if self.chance.random() < 0.5:
            target = f"{GET}?{'&'.join([f'secretId={name}', *options])}"
        else:
            target = f"/v1/{name}{'?' if options else ''}{'&'.join(options)}"
        label = "AWS: refresh" if is_forced else "AWS: plain"
        return self._ask(label, target, ref=listed.ref, listed=listed, ttl=listed.ttl, is_forced=is_forced)

    def on_demand(self) -> Request:
        """Return one for a name that is not listed."""
        new = f"{ON_DEMAND}n-{self.chance.randrange(DISTINCT_ON_DEMAND)}"
        name = self.chance.choice((new, *ROTATING_ON_DEMAND))
        return self._ask("AWS: on demand", f"{GET}?secretId={name}", ref=(name, "", ""), ttl=self._policy.ttl)

    def large(self) -> Request:
        """Return one for a large value, which is made into a new response each time."""
        target = f"{GET}?secretId={LARGE_ON_DEMAND}"
        return self._ask("AWS: large", target, ref=(LARGE_ON_DEMAND, "", ""), ttl=self._policy.ttl)

    def last(self) -> Request:
        """Return one that ends its connection, with another right behind it."""
        request = self.of(self.chance.choice(self._policy.listed))
        return request.followed_by(self.plain())

    def fixed(self) -> Request:
        """Return one whose answer does not depend on AWS."""
        target = f"{GET}?secretId=one"
        return self.chance.choice(
            (
                self._ask("AWS: ping", "/ping", (200, "")),
                self._ask("AWS: bad", GET, (400, "")),
                self._ask("AWS: bad", target, (400, ""), headers=(*_with_token(), "X-Forwarded-For: 10.0.0.1")),
                self._ask("AWS: bad", target, (405, ""), method="POST"),
                self._ask("AWS: no token", target, (403, ""), headers=()),
                self._ask("AWS: unknown", "/elsewhere", (404, "")),
            )
        )

    def _ask(self, label: str, target: str, expected: tuple[int, str] | None = None, **more: object) -> Request:
        settings = {"headers": _with_token(), "is_aws": True, **more}
        return Request(label, target, expected, **settings)  # type: ignore[arg-type]


def as_native(request: Request, answer: Answer) -> Answer:
    """
    Return an answer as the other protocol would have given it, with the value as body and the version as ETag.

    Raises:
        ValueError: It is not what AWS's layer answers.
    """
    if answer.status != 200 or not request.ref[0]:
        return answer
    body = json.loads(answer.body)
    if body.keys() != KEYS or (body["SecretString"] is None) == (body["SecretBinary"] is None):
        raise ValueError("the body has other keys than that of AWS's layer")
    name = request.listed.secret if request.listed else request.ref[0]
    if (body["Name"], body["ARN"]) != (name, arn_of(name)):
        raise ValueError("the body names another secret")
    if body["SecretString"] is None:
        value, form = base64.b64decode(body["SecretBinary"], validate=True), Form.BINARY
    else:
        value = body["SecretString"].encode()
        form = Form.JSON if value.startswith(b"{") else Form.TEXT
    headers = {**answer.headers, "etag": f'"{body["VersionId"]}"', "content-type": form.value}
    return Answer(200, headers, value, answer.sent, answer.received)
