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
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple

from secrets_cache.aws import parameterstore, secretsmanager
from secrets_cache.aws.errors import classify


class Operation(Enum):
    """What can be asked, where it has a quota of its own; the value is that, in calls a second."""

    GET_SECRET_VALUE = ("GetSecretValue", 10_000)
    BATCH_GET_SECRET_VALUE = ("BatchGetSecretValue", 100)
    ANY_OF_PARAMETERS = ("GetParameter, GetParameters and GetParametersByPath", 40)
    GET_PARAMETER_HIGHER = ("GetParameter, higher throughput", 10_000)
    GET_PARAMETERS_HIGHER = ("GetParameters, higher throughput", 1_000)
    GET_PARAMETERS_BY_PATH_HIGHER = ("GetParametersByPath, higher throughput", 100)

    @property
    def quota(self) -> int:
        """Calls a second for an account and region."""
        return self.value[1]


LATENCY_SECONDS = (0.02, 0.05)
OPERATIONS = {
    "get_secret_value": Operation.GET_SECRET_VALUE,
    "batch_get_secret_value": Operation.BATCH_GET_SECRET_VALUE,
    "get_parameter": Operation.ANY_OF_PARAMETERS,
    "get_parameters": Operation.ANY_OF_PARAMETERS,
    "get_parameters_by_path": Operation.ANY_OF_PARAMETERS,
}
OPERATIONS_HIGHER = {
    **OPERATIONS,
    "get_parameter": Operation.GET_PARAMETER_HIGHER,
    "get_parameters": Operation.GET_PARAMETERS_HIGHER,
    "get_parameters_by_path": Operation.GET_PARAMETERS_BY_PATH_HIGHER,
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
            RetryableError: It was throttled, or met the outage.
        """
        now = asyncio.get_running_loop().time()
        self.calls[operation, int(now)] += 1
        is_out = self._outage is not None and self._outage.begins <= now < self._outage.ends
        is_throttled = not is_out and not self._buckets[operation].take(now)
        if is_throttled:
            self.throttled[operation, int(now)] += 1
        await asyncio.sleep(self._random.uniform(*LATENCY_SECONDS))
        if is_out:
            raise classify(name, status=503, code="ServiceUnavailable", message="")
        if is_throttled:
            raise classify(name, status=400, code="ThrottlingException", message="")


class SimulatedCalls:
    """
    Makes the calls of one environment, as the product's sources want them made.

    Args:
        account: Who is asked.
        below: The names of the parameters that are below any path.
        is_higher: Whether the account has Parameter Store's higher throughput.
    """

    def __init__(self, account: Account, *, below: Sequence[str] = (), is_higher: bool = False) -> None:
        self._account = account
        self._below = below
        self._operations = OPERATIONS_HIGHER if is_higher else OPERATIONS

    async def call(self, operation: str, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return AWS's answer."""
        await self._account.ask(self._operations[operation], name)
        match operation:
            case "get_secret_value":
                return _value(arguments["SecretId"])
            case "batch_get_secret_value":
                assert len(arguments["SecretIdList"]) <= secretsmanager.BATCH_SIZE
                return {"SecretValues": [_value(name) for name in arguments["SecretIdList"]]}
            case "get_parameter":
                return {"Parameter": _parameter(arguments["Name"])}
            case "get_parameters":
                assert len(arguments["Names"]) <= parameterstore.BATCH_SIZE
                return {"Parameters": [_parameter(name) for name in arguments["Names"]]}
            case _:
                return self._page(int(arguments.get("NextToken", 0)))

    def _page(self, start: int) -> Mapping[str, Any]:
        end = start + parameterstore.PAGE_SIZE
        answer: dict[str, Any] = {"Parameters": [_parameter(name) for name in self._below[start:end]]}
        return {**answer, "NextToken": str(end)} if end < len(self._below) else answer

    async def import_library(self) -> None:
        """Do nothing: there is nothing to import."""

    async def aclose(self) -> None:
        """Nothing is open."""


def _value(name: str) -> dict[str, str]:
    arn = f"arn:aws:secretsmanager:eu-west-1:123456789012:secret:{name}-AbCdEf"
    return {"ARN": arn, "Name": name, "VersionId": "1", "SecretString": "simulated"}


def _parameter(name: str) -> dict[str, Any]:
    arn = f"arn:aws:ssm:eu-west-1:123456789012:parameter{name}"
    return {"ARN": arn, "Name": name, "Version": 1, "Value": "simulated", "Type": "SecureString"}
