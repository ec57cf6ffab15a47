"""
AWS as one source: whatever is asked for goes to the service, the region and the role that it belongs to.

    ref -> its place (service, region, role) -> the one client for that -> SecretsManager | ParameterStore

Rules
-----
1. One client for each place, made when first needed: making one takes long, and much memory.
2. One role for each role and way to assume it, however many clients use it: it is assumed once.
3. What the common function has no use for, Parameter Store and roles, is imported when first needed.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, NamedTuple, Self

from secrets_cache.aws import BATCH_ABOVE, MAX_CONNECTIONS, Engine, SecretsManager, of_environment
from secrets_cache.config import Batch
from secrets_cache.core.clock import Clock
from secrets_cache.core.secret import AwsContext, Ref, Secret
from secrets_cache.errors import SecretError, SecretNotFound, SecretTimeout
from secrets_cache.system.clock import random_fraction

if TYPE_CHECKING:
    from secrets_cache.aws.parameterstore import ParameterStore
    from secrets_cache.aws.sts import Role

Deliver = Callable[[Ref, Secret | SecretError], None]


def batch_above(batch: Batch) -> int | None:
    """Return with more secrets of one place than how many they are asked for together; None for never."""
    return {Batch.AUTO: BATCH_ABOVE, Batch.ALWAYS: 0, Batch.NEVER: None}[batch]


class _Place(NamedTuple):
    """What a client is for."""

    is_parameter: bool
    access: AwsContext


class Aws:
    """
    The source of secrets and parameters. An async context manager.

    Args:
        environ: The environment variables: region, credentials, endpoints.
        budget_seconds: For one secret or parameter, the role's credentials included, all attempts together.
        batch_above: With more secrets of one place than this, they are asked for together; None for never.
        clock: What time it is.
        max_connections: How many calls of one place may be under way at once; None for the usual number.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        budget_seconds: float,
        batch_above: int | None,
        clock: Clock,
        max_connections: int | None = None,
    ) -> None:
        self._environ = environ
        self._budget_seconds = budget_seconds
        self._batch_above = batch_above
        self._clock = clock
        self._max_connections = min(max_connections or MAX_CONNECTIONS, MAX_CONNECTIONS)
        self._stack = AsyncExitStack()
        self._clients: dict[_Place, SecretsManager | ParameterStore] = {}
        self._roles: dict[AwsContext, Role] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def fetch(self, ref: Ref) -> Secret:
        """
        Return one secret or parameter.

        Raises:
            SecretNotFound, SecretRefused: AWS said so.
            SecretUnavailable: AWS could not be asked, or gave no usable answer.
        """
        try:
            return await self._client(self._place(ref)).fetch(ref)
        except SecretError as error:
            raise self._placed(ref, error) from None

    async def fetch_many(self, refs: Sequence[Ref], deliver: Deliver) -> None:
        """Call `deliver` once for each of `refs`, as soon as it is known; those of one place are asked for together."""
        together: dict[_Place, list[Ref]] = {}
        for ref in refs:
            together.setdefault(self._place(ref), []).append(ref)

        def deliver_placed(ref: Ref, outcome: Secret | SecretError) -> None:
            deliver(ref, outcome if isinstance(outcome, Secret) else self._placed(ref, outcome))

        await asyncio.gather(
            *(self._client(place).fetch_many(here, deliver_placed) for place, here in together.items())
        )

    def timeout_of(self, ref: Ref, budget_seconds: float, setting: str = "fetch_timeout") -> SecretTimeout:
        """Return the error of a fetch of `ref` that took too long: it is the role's if STS did not answer."""
        access = self._place(ref).access
        role = self._roles.get(access)
        is_of_role = role is not None and role.was_given_up
        name = access.role_arn if is_of_role else ref.secret_id
        timeout = SecretTimeout(name, budget_seconds=budget_seconds, setting=setting)
        timeout.what = "role" if is_of_role else "parameter" if ref.is_parameter else "secret"
        return timeout

    def _placed(self, ref: Ref, error: SecretError) -> SecretError:
        """Return an error with what only we know: who has not answered, and where there is no such secret."""
        if isinstance(error, SecretTimeout):
            return self.timeout_of(ref, error.budget_seconds)
        if isinstance(error, SecretNotFound):
            access = self._place(ref).access
            error.region, error.role_arn = access.region, access.role_arn
        return error

    def _place(self, ref: Ref) -> _Place:
        own = self._environ.get("AWS_REGION", "")
        parts = ref.secret_id.split(":")
        region = ref.access.region or (parts[3] if ref.secret_id.startswith("arn:") else "")
        return _Place(ref.is_parameter, ref.access._replace(region="" if region == own else region))

    def _client(self, place: _Place) -> "SecretsManager | ParameterStore":
        client = self._clients.get(place)
        if client is None:
            client = self._clients[place] = self._made(place)
            self._stack.push_async_exit(client)
        return client

    def _made(self, place: _Place) -> "SecretsManager | ParameterStore":
        role = self._role(place.access) if place.access.role_arn else None
        region = place.access.region or self._environ.get("AWS_REGION", "")
        if place.is_parameter:
            from secrets_cache.aws.parameterstore import ParameterStore  # noqa: PLC0415 - rule 3

            timeout = self._budget_seconds + 1
            return ParameterStore(
                budget_seconds=self._budget_seconds,
                calls=Engine(
                    timeout_seconds=timeout, region=region or None, service="ssm", role=role, clock=self._clock
                ),
                clock=self._clock,
                random=random_fraction,
                max_connections=self._max_connections,
            )
        return of_environment(
            {**self._environ, "AWS_REGION": region} if place.access.region else self._environ,
            budget_seconds=self._budget_seconds,
            batch_above=self._batch_above,
            clock=self._clock,
            role=role,
            max_connections=self._max_connections,
        )

    def _role(self, access: AwsContext) -> "Role":
        from secrets_cache.aws.sts import Role  # noqa: PLC0415 - rule 3

        role = self._roles.get(access)
        if role is None:
            own = access._replace(region=access.region or self._environ.get("AWS_REGION", ""))
            function = self._environ.get("AWS_LAMBDA_FUNCTION_NAME", "")
            role = Role(own, function=function, timeout_seconds=self._budget_seconds + 1, clock=self._clock)
            self._roles[access] = role
            self._stack.push_async_callback(role.aclose)
        return role
