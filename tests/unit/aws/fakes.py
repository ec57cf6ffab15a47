"""A client of AWS that answers from tables, for the services, which know no network."""

from collections.abc import Callable, Mapping
from typing import Any

from secrets_cache.aws.client import ServiceClient
from secrets_cache.aws.errors import classify
from secrets_cache.aws.parameterstore import ParameterStore
from secrets_cache.aws.secretsmanager import SecretsManager
from secrets_cache.core.clock import Clock
from secrets_cache.core.retry import RetryableError
from secrets_cache.errors import SecretError
from secrets_cache.system.clock import SystemClock
from tests.support.upstream import arn_of

DENIED = ("AccessDeniedException", 400)
THROTTLED = ("ThrottlingException", 400)
INTERNAL = ("InternalServiceError", 500)
EXPIRED_SIGNATURE = ("RequestExpired", 400)


class FakeClient:
    """
    Makes calls to nobody.

    Attributes:
        values: The secrets, by their ids, and the parameters, by their names.
        fault: Given an operation and what is asked for, returns an answer, or an AWS code and a status, or raises; None
            for the ordinary answer.
        calls: The operations, and what was asked for.
        is_closed: Whether `aclose` was called.
    """

    def __init__(self, **values: str) -> None:
        self.values: dict[str, str] = values
        self.fault: Callable[[str, list[str]], Any] = lambda _operation, _ids: None
        self.calls: list[tuple[str, list[str]]] = []
        self.is_closed = False

    async def call(self, operation: str, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        asked = next(
            arguments[key] for key in ("SecretId", "SecretIdList", "Name", "Names", "Path") if key in arguments
        )
        ids = asked if isinstance(asked, list) else [asked]
        self.calls.append((operation, ids))
        found = self.fault(operation, ids)
        if hasattr(found, "__await__"):
            found = await found
        if isinstance(found, tuple):
            raise fail(name, *found)
        return found if found is not None else self._answer(operation, name, ids)

    def _answer(self, operation: str, name: str, ids: list[str]) -> Mapping[str, Any]:
        known = [one for one in ids if one in self.values]
        match operation:
            case "batch_get_secret_value":
                return {"SecretValues": [secret_value(one, self.values[one]) for one in known]}
            case "get_parameters":
                parameters = [parameter(one, self.values[one]) for one in known]
                return {"Parameters": parameters, "InvalidParameters": [one for one in ids if one not in known]}
        if not known:
            raise fail(name, "ParameterNotFound" if operation == "get_parameter" else "ResourceNotFoundException", 400)
        if operation == "get_parameter":
            return {"Parameter": parameter(ids[0], self.values[ids[0]])}
        return secret_value(ids[0], self.values[ids[0]])

    def count(self, operation: str) -> int:
        """Return how many calls of an operation were made."""
        return sum(made == operation for made, _ in self.calls)

    async def import_library(self) -> None:
        pass

    async def aclose(self) -> None:
        self.is_closed = True


def fail(name: str, code: str, status: int) -> SecretError | RetryableError:
    """Return the failure that an error answer means."""
    return classify(name, status=status, code=code, message="")


def secret_value(name: str, value: str) -> dict[str, Any]:
    """Return an answer of GetSecretValue."""
    arn = name if name.startswith("arn:") else arn_of(name)
    return {"ARN": arn, "Name": name, "VersionId": "v" * 32, "SecretString": value}


def parameter(name: str, value: str) -> dict[str, Any]:
    """Return a parameter of an answer of GetParameter."""
    return {"Name": name, "Value": value, "Version": 1, "Type": "String"}


def manager(
    client: ServiceClient, budget_seconds: float = 5.0, batch_threshold: int | None = 10, clock: Clock | None = None
) -> SecretsManager:
    """Return the secrets that a client gives."""
    return SecretsManager(
        client=client,
        budget_seconds=budget_seconds,
        batch_threshold=batch_threshold,
        clock=clock or SystemClock(),
        random=lambda: 0.5,
    )


def store(client: FakeClient, budget_seconds: float = 5.0) -> ParameterStore:
    """Return the parameters that a fake client gives."""
    return ParameterStore(client=client, budget_seconds=budget_seconds, clock=SystemClock(), random=lambda: 0.5)
