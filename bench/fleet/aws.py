"""
AWS as a fleet sees it: quotas for an account and region, latencies, outages. Counts what it is asked.

Sources
-------
Secrets Manager: https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
Parameter Store: https://docs.aws.amazon.com/general/latest/gr/ssm.html
How AWS enforces them is not published. Here each is a token bucket that holds one second's worth.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple

from secrets_cache.secretsmanager.answers import from_aws
from secrets_cache.secretsmanager.source import BATCH_SIZE


class Operation(Enum):
    """What can be asked; the value is the quota, in calls a second."""

    GET_SECRET_VALUE = ("GetSecretValue", 10_000)
    BATCH_GET_SECRET_VALUE = ("BatchGetSecretValue", 100)
    GET_PARAMETERS = ("GetParameters", 40)
    GET_PARAMETERS_HIGHER = ("GetParameters, higher throughput", 1_000)

    @property
    def quota(self) -> int:
        """Calls a second for an account and region."""
        return self.value[1]


LATENCY_SECONDS = (0.02, 0.05)
OF_SECRETS_MANAGER = {
    "get_secret_value": Operation.GET_SECRET_VALUE,
    "batch_get_secret_value": Operation.BATCH_GET_SECRET_VALUE,
}


class Outage(NamedTuple):
    """When AWS answers everything with status 503; seconds from the beginning."""

    begins: float
    ends: float


class TokenBucket:
    """
    A quota: full at first, holds one second's worth, but at least one call, and fills at its rate.

    Args:
        rate: Calls a second.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._most = max(rate, 1.0)
        self._tokens = self._most
        self._at = 0.0

    def take(self, now: float) -> bool:
        """Take one token at the moment `now`; return whether there was one."""
        self._tokens = min(self._most, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Account:
    """
    One account in one region.

    Args:
        random: Chance, for latencies.
        share: Which share of the quotas there is: that of the fleet which is simulated.
        outage: When nothing works; None for never.

    Attributes:
        calls: How many calls were made in each second, by operation and second.
        throttled: How many of them were throttled.
    """

    def __init__(self, random: random.Random, *, share: float = 1.0, outage: Outage | None = None) -> None:
        self._random = random
        self._outage = outage
        self._buckets = {operation: TokenBucket(operation.quota * share) for operation in Operation}
        self.calls: Counter[tuple[Operation, int]] = Counter()
        self.throttled: Counter[tuple[Operation, int]] = Counter()

    async def ask(self, operation: Operation, name: str) -> None:
        """
        Make one call; return when it has succeeded.

        Raises:
            Passing: It was throttled, or met the outage.
        """
        now = asyncio.get_running_loop().time()
        self.calls[operation, int(now)] += 1
        is_out = self._outage is not None and self._outage.begins <= now < self._outage.ends
        is_throttled = not is_out and not self._buckets[operation].take(now)
        if is_throttled:
            self.throttled[operation, int(now)] += 1
        await asyncio.sleep(self._random.uniform(*LATENCY_SECONDS))
        if is_out:
            raise from_aws(name, _error("ServiceUnavailable", 503))
        if is_throttled:
            raise from_aws(name, _error("ThrottlingException", 400))


def _error(code: str, status: int) -> dict[str, Any]:
    return {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}


class SimulatedCalls:
    """Makes the calls of one environment, as `secretsmanager.source` wants them made."""

    def __init__(self, account: Account) -> None:
        self._account = account

    async def call(self, operation: str, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return AWS's answer."""
        await self._account.ask(OF_SECRETS_MANAGER[operation], name)
        if operation == "get_secret_value":
            return _value(arguments["SecretId"])
        assert len(arguments["SecretIdList"]) <= BATCH_SIZE
        return {"SecretValues": [_value(name) for name in arguments["SecretIdList"]]}

    async def prepare(self) -> None:
        """Do nothing: there is nothing to import."""

    async def aclose(self) -> None:
        """Nothing is open."""


def _value(name: str) -> dict[str, str]:
    arn = f"arn:aws:secretsmanager:eu-west-1:123456789012:secret:{name}-AbCdEf"
    return {"ARN": arn, "Name": name, "VersionId": "1", "SecretString": "simulated"}
