"""
AWS as one source of secrets and parameters: each is fetched from its service, in its region, by its role.

    ref -> service, region and role -> the one store for these: a SecretsManager or a ParameterStore

Rules
-----
1. One store for each service, region and role, created when first needed: its client takes long, and much memory.
2. One `Role` for each role and way to assume it, however many clients use it: it is assumed once.
3. What has never given an answer is closed again, unless it is listed: callers of AWS's protocol may name any role and
   any region, and a mistyped one must not cost a client for ever.
4. The common function needs neither Parameter Store nor roles: these modules are imported when first needed.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, contextmanager
from typing import TYPE_CHECKING, Self

from secrets_cache.aws.advice import advise, is_in_lambda
from secrets_cache.aws.choice import Clients
from secrets_cache.aws.client import MAX_CONNECTIONS, Service
from secrets_cache.aws.endpoints import find_url_variable, read_region
from secrets_cache.aws.errors import NO_CREDENTIALS
from secrets_cache.aws.merge import merge
from secrets_cache.aws.secretsmanager import BATCH_THRESHOLD, SecretsManager
from secrets_cache.aws.store import Store
from secrets_cache.config import Batch
from secrets_cache.core.clock import Clock
from secrets_cache.core.recovery import Place, find_place
from secrets_cache.core.secret import AwsContext, Ref, Secret
from secrets_cache.core.source import FetchResults
from secrets_cache.errors import FETCH_TIMEOUT, SecretError, SecretNotFound, SecretTimeout
from secrets_cache.system.clock import random_fraction

if TYPE_CHECKING:
    from secrets_cache.aws.sts import Role

# By what an error is about: the service that was asked.
SERVICES: Mapping[str, Service] = {"secret": "secretsmanager", "parameter": "ssm", "role": "sts"}


def choose_batch_threshold(batch: Batch) -> int | None:
    """Return the batching threshold for each service, region and role; None for never."""
    return {Batch.AUTO: BATCH_THRESHOLD, Batch.ALWAYS: 0, Batch.NEVER: None}[batch]


class AwsSource:
    """
    The source of secrets and parameters. An async context manager.

    Args:
        environ: The environment variables: region, credentials, endpoints.
        budget_seconds: The time for one secret or parameter, the role's credentials included, all attempts together.
        batch_threshold: The batching threshold for each region and role; None for never.
        clock: Tells the time.
        budget_setting: The setting that `budget_seconds` comes from, for messages.
        max_connections: How many calls of one client may be under way at once; None for the usual number.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        budget_seconds: float,
        batch_threshold: int | None,
        clock: Clock,
        budget_setting: str = FETCH_TIMEOUT,
        max_connections: int | None = None,
    ) -> None:
        self._environ = environ
        self._budget_seconds = budget_seconds
        self._budget_setting = budget_setting
        # The budget ends an attempt; this ends a call that outlives its attempt.
        self._clients = Clients(environ, timeout_seconds=budget_seconds + 1, clock=clock)
        self._batch_threshold = batch_threshold
        self._clock = clock
        self._max_connections = max_connections or MAX_CONNECTIONS
        self._stores: dict[Place, Store] = {}
        self._roles: dict[AwsContext, Role] = {}
        # Those of what is listed, and those for which AWS has answered; how many single fetches each has under way.
        self._kept: set[AwsContext] = {AwsContext()}
        self._under_way: Counter[AwsContext] = Counter()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        async with AsyncExitStack() as stack:
            for role in self._roles.values():
                stack.push_async_callback(role.aclose)
            for store in self._stores.values():
                stack.push_async_exit(store)

    async def fetch(self, ref: Ref) -> Secret:
        """
        Return one secret or parameter.

        Raises:
            SecretNotFound, SecretRefused: AWS said so.
            SecretUnavailable: AWS could not be asked, or gave no usable answer.
        """
        key = self._find_key(ref)
        try:
            with self._counted(key.context):
                secret = await self._find_store(key).fetch(ref)
        except SecretError as error:
            found = self._add_facts(ref, error)
            if found.is_answer:
                self._kept.add(key.context)
            else:
                await self._close_unless_needed(key.context)
            raise found from None
        self._kept.add(key.context)
        return secret

    @contextmanager
    def _counted(self, context: AwsContext) -> Iterator[None]:
        """Count a single fetch as under way."""
        self._under_way[context] += 1
        try:
            yield
        finally:
            self._under_way[context] -= 1
            if not self._under_way[context]:
                del self._under_way[context]

    async def fetch_many(self, refs: Sequence[Ref]) -> FetchResults:
        """
        Yield each of `refs` once with its secret or error, as soon as it is known.

        Refs of one service, region and role are fetched in batches. Closing the generator, or cancelling its consumer,
        ends the calls under way.
        """
        together: dict[Place, list[Ref]] = {}
        for ref in refs:
            together.setdefault(self._find_key(ref), []).append(ref)
        self._kept.update(key.context for key in together)
        all_results = (self._find_store(key).fetch_many(same) for key, same in together.items())
        async with aclosing(merge(all_results)) as results:
            async for ref, result in results:
                yield ref, result if isinstance(result, Secret) else self._add_facts(ref, result)

    async def _close_unless_needed(self, context: AwsContext) -> None:
        if context in self._kept or context in self._under_way:
            return
        # Forgotten before anything is awaited: a fetch that comes meanwhile begins anew.
        stores = [self._stores.pop(key) for key in list(self._stores) if key.context == context]
        role = self._roles.pop(context, None)
        async with AsyncExitStack() as stack:
            if role is not None:
                stack.push_async_callback(role.aclose)
            for store in stores:
                stack.push_async_exit(store)

    def create_timeout(self, ref: Ref, budget_seconds: float, setting: str) -> SecretTimeout:
        """Return the error of a fetch of `ref` that took too long. It names what did not answer."""
        context = self._find_key(ref).context
        role = self._roles.get(context)
        is_of_role = role is not None and role.was_given_up
        name = context.role_arn if is_of_role else ref.secret_id
        # A role that has credentials needs none of the container's.
        is_container_silent = (role is None or is_of_role) and self._clients.is_container_silent()
        silent = "the endpoint of the container's credentials" if is_container_silent else "AWS"
        timeout = SecretTimeout(name, budget_seconds=budget_seconds, setting=setting, silent=silent)
        if is_container_silent:
            timeout.code = NO_CREDENTIALS
        timeout.what = "role" if is_of_role else ref.what
        if not is_container_silent:
            advise(timeout, in_lambda=is_in_lambda(self._environ))
        return timeout

    def _add_facts(self, ref: Ref, error: SecretError) -> SecretError:
        """Return an error with what only the source knows: who did not answer, what was not found where, what to do."""
        if isinstance(error, SecretTimeout):
            # What is limited below knows the limit, but not where it comes from.
            setting = self._budget_setting if error.setting == FETCH_TIMEOUT else error.setting
            return self.create_timeout(ref, error.budget_seconds, setting)
        context = self._find_key(ref).context
        region = context.region or read_region(self._environ)
        if isinstance(error, SecretNotFound):
            error.region, error.role_arn = region, context.role_arn
            error.selectors = tuple(ref.selectors.values())
        variable = find_url_variable(SERVICES[error.what], self._environ)
        url = self._environ.get(variable, "")
        return advise(error, in_lambda=is_in_lambda(self._environ), region=region, variable=variable, url=url)

    def _find_key(self, ref: Ref) -> Place:
        return find_place(ref, self._environ.get("AWS_REGION", ""))

    def _find_store(self, key: Place) -> Store:
        store = self._stores.get(key)
        if store is None:
            store = self._stores[key] = self._create_store(key)
        return store

    def _create_store(self, key: Place) -> Store:
        role = self._find_role(key.context) if key.context.role_arn else None
        kind: type[Store] = SecretsManager
        if key.is_parameter:
            from secrets_cache.aws.parameterstore import ParameterStore  # noqa: PLC0415 - rule 4

            kind = ParameterStore
        return kind(
            client=self._clients.create("ssm" if key.is_parameter else "secretsmanager", key.context.region, role),
            budget_seconds=self._budget_seconds,
            batch_threshold=0 if key.is_parameter else self._batch_threshold,
            clock=self._clock,
            random=random_fraction,
            max_connections=self._max_connections,
        )

    def _find_role(self, context: AwsContext) -> "Role":
        from secrets_cache.aws.sts import Role  # noqa: PLC0415 - rule 4

        role = self._roles.get(context)
        if role is None:
            function = self._environ.get("AWS_LAMBDA_FUNCTION_NAME", "")
            client = self._clients.create("sts", context.region)
            role = self._roles[context] = Role(context, client, function=function, clock=self._clock)
        return role
