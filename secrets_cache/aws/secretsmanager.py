"""
AWS Secrets Manager: requests for secrets, and how answers become secrets.

Rules
-----
1. One secret has one budget, all attempts together; waiting for other calls to end is not part of it.
2. A batch gets half of the budget. What it does not give is asked for singly in what is left.
3. No secret is taken for another one with the same name, as in two accounts.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from secrets_cache.aws.batch import Batcher, BatchLimits
from secrets_cache.aws.client import MAX_CONNECTIONS, ServiceClient, read_timestamp
from secrets_cache.aws.errors import malformed_answer
from secrets_cache.aws.limiter import Limiter
from secrets_cache.core.clock import Clock
from secrets_cache.core.fetcher import FetchResult, FetchResults
from secrets_cache.core.retry import RetryableError
from secrets_cache.core.secret import Ref, Secret
from secrets_cache.errors import SecretError, SecretRefused

# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html
BATCH_SIZE = 20
BATCH_THRESHOLD = 10
# What goes into header fields and log lines.
_PRINTABLE = re.compile(r"[\x21\x23-\x7e]{1,2048}")
# What Secrets Manager appends to a name in the ARN: a hyphen and six characters.
_SUFFIX_LENGTH = 7


class SecretsManager:
    """
    The secrets of one region, read with one set of credentials. An async context manager.

    Args:
        client: Makes the calls; closed with this.
        budget_seconds: The time for one secret, all attempts together.
        batch_threshold: With more secrets than this, `fetch_many` asks for batches; None for never.
        clock: Tells the time.
        random: Returns numbers between 0 and 1: spreads the pauses between attempts.
        max_connections: How many calls may be under way at once.
    """

    plural = "secrets"

    def __init__(
        self,
        *,
        client: ServiceClient,
        budget_seconds: float,
        batch_threshold: int | None,
        clock: Clock,
        random: Callable[[], float],
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._client = client
        self._budget_seconds = budget_seconds
        self._limiter = Limiter(max_connections, budget_seconds=budget_seconds, clock=clock, random=random)
        limits = BatchLimits(threshold=batch_threshold, smallest=1, largest=BATCH_SIZE)
        self._batcher = Batcher(self, limits, budget_seconds=budget_seconds, clock=clock)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def fetch(self, ref: Ref) -> Secret:
        """
        Return one secret, asking up to three times within the budget.

        Raises:
            SecretNotFound, SecretRefused: AWS said so.
            SecretUnavailable: AWS could not be asked, or gave no usable answer.
        """
        return await self.fetch_single(ref, self._budget_seconds)

    def fetch_many(self, refs: Sequence[Ref]) -> FetchResults:
        """Yield each of `refs` once with its secret or error, as soon as it is known."""
        return self._batcher.fetch_many(refs)

    # What `Batcher` needs.

    def fits_batch(self, ref: Ref) -> bool:
        """Return whether a batch can hold `ref`: a batch gives current versions only."""
        return ref.version_id is None and ref.version_stage is None

    async def fetch_single(self, ref: Ref, budget_seconds: float) -> Secret:
        """Return one secret. Raises as `fetch`."""
        arguments = {"SecretId": ref.secret_id, "VersionId": ref.version_id, "VersionStage": ref.version_stage}
        given = {key: value for key, value in arguments.items() if value is not None}

        async def attempt() -> Secret:
            return to_secret(ref.secret_id, await self._client.call("get_secret_value", ref.secret_id, given))

        await self._client.prepare()
        return await self._limiter.run(ref.secret_id, attempt, budget_seconds)

    async def fetch_batch(self, refs: Sequence[Ref]) -> Mapping[Ref, FetchResult]:
        """Return what one BatchGetSecretValue gives. Raises `SecretError`."""
        name = f"{len(refs)} secrets"

        async def attempt() -> Mapping[str, Any]:
            arguments = {"SecretIdList": [ref.secret_id for ref in refs]}
            try:
                return await self._client.call("batch_get_secret_value", name, arguments)
            except RetryableError as reason:
                if reason.at_once:
                    raise
                # Single calls are the better second attempt: their quota is a hundred times the batch's.
                raise reason.error from None

        await self._client.prepare()
        answer = await self._limiter.run(name, attempt, self._budget_seconds / 2)
        values = answer.get("SecretValues")
        if not isinstance(values, list):
            raise malformed_answer(name).error
        secrets = []
        for value in values:
            try:
                secrets.append(to_secret(name, value))
            except RetryableError:
                continue
        return match(refs, secrets)

    def share_failure(self, ref: Ref, error: SecretError) -> SecretError | None:  # noqa: ARG002 - a role's failure names the role
        """Return the refusal of the role that reads all secrets; None for any other failure."""
        return error if error.what == "role" and isinstance(error, SecretRefused) else None


def to_secret(name: str, answer: object) -> Secret:
    """
    Return the secret in an answer of GetSecretValue, or in one of BatchGetSecretValue's values.

    Raises:
        RetryableError: The answer is not in the documented form. The error shows nothing of it.
    """
    if not isinstance(answer, Mapping):
        raise malformed_answer(name)
    arn, own_name, version_id = (answer.get(key) for key in ("ARN", "Name", "VersionId"))
    text, binary = answer.get("SecretString"), answer.get("SecretBinary")
    try:
        value = text.encode() if isinstance(text, str) else binary
    except UnicodeEncodeError:
        value = None
    if not all(isinstance(part, str) and _PRINTABLE.fullmatch(part) for part in (arn, own_name, version_id)):
        value = None
    if not isinstance(value, bytes):
        raise malformed_answer(name)
    labels = answer.get("VersionStages")
    return Secret(
        arn=str(arn),
        name=str(own_name),
        version_id=str(version_id),
        created_at=read_timestamp(answer.get("CreatedDate")),
        value=value,
        is_text=isinstance(text, str),
        stages=tuple(label for label in labels if isinstance(label, str)) if isinstance(labels, list) else (),
    )


def match(refs: Sequence[Ref], secrets: Sequence[Secret]) -> dict[Ref, FetchResult]:
    """Match batch results to the refs requested."""
    found: dict[Ref, FetchResult] = {}
    by_arn = {ref.secret_id: ref for ref in refs if ref.secret_id.startswith("arn:")}
    by_name = {ref.secret_id: ref for ref in refs if ref.secret_id not in by_arn}
    for secret in secrets:
        # An ARN without its suffix is also an id.
        ref = by_arn.get(secret.arn) or by_arn.get(secret.arn[:-_SUFFIX_LENGTH]) or by_name.get(secret.name)
        if ref is not None:
            found[ref] = secret
    return found
