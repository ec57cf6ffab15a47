"""AWS Systems Manager Parameter Store: one parameter, decrypted."""

from collections.abc import Mapping
from typing import Any, Self

from secrets_cache.attempts import within_budget
from secrets_cache.chance import chance
from secrets_cache.clock import Clock
from secrets_cache.errors import SecretError, SecretTimeout
from secrets_cache.secretsmanager import Credentials, Engine, malformed


class ParameterStore:
    """
    The parameters of one region. An async context manager.

    Args:
        region: Where they are; empty leaves it to what botocore reads.
        budget_seconds: For one parameter, all attempts together.
        credentials: Whose they are; None for those that botocore finds.
        clock: What time it is.
    """

    def __init__(self, *, region: str, budget_seconds: float, credentials: Credentials | None, clock: Clock) -> None:
        self._budget_seconds = budget_seconds
        self._clock = clock
        self._engine = Engine(
            timeout_seconds=budget_seconds + 1,
            region=region or None,
            service="ssm",
            credentials=credentials,
            clock=clock,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._engine.aclose()

    async def fetch(self, name: str) -> bytes:
        """
        Return a parameter's value, a SecureString decrypted. `name` is a name, a path or an ARN.

        Raises:
            SecretNotFound, SecretRefused: AWS said so.
            SecretUnavailable: AWS could not be asked, or gave no usable answer.
        """
        arguments = {"Name": name, "WithDecryption": True}

        async def attempt() -> bytes:
            return _value(name, await self._engine.call("get_parameter", name, arguments))

        try:
            return await within_budget(attempt, budget_seconds=self._budget_seconds, clock=self._clock, random=chance)
        except TimeoutError:
            failure: SecretError = SecretTimeout(name, budget_seconds=self._budget_seconds)
        except SecretError as error:
            failure = error
        failure.what = "parameter"
        raise failure from None


def _value(name: str, answer: Mapping[str, Any]) -> bytes:
    parameter = answer.get("Parameter")
    value = parameter.get("Value") if isinstance(parameter, Mapping) else None
    if not isinstance(value, str):
        raise malformed(name)
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise malformed(name) from None
