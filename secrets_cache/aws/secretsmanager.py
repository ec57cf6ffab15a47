"""
AWS Secrets Manager: requests for secrets, and how answers become secrets.

Rules
-----
1. One secret has one budget, all attempts together; waiting for other calls to end is not part of it.
2. A batch gets half of the budget. What it does not give is fetched by single calls in the rest.
3. No secret is taken for another one with the same name, as in two accounts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from secrets_cache.aws.client import is_printable, read_timestamp
from secrets_cache.aws.errors import make_malformed
from secrets_cache.aws.store import Store
from secrets_cache.core.retry import RetryableError
from secrets_cache.core.secret import Ref, Secret
from secrets_cache.core.source import FetchResult
from secrets_cache.errors import SecretError, SecretNotFound, SecretRefused, VersionNotFound

# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html
BATCH_SIZE = 20
BATCH_THRESHOLD = 10
# What Secrets Manager appends to a name in the ARN: a hyphen and six characters.
_SUFFIX_LENGTH = 7


class SecretsManager(Store):
    """The secrets of one region, read with one set of credentials."""

    plural = "secrets"
    smallest_batch = 1
    largest_batch = BATCH_SIZE

    def _fits_batch(self, ref: Ref) -> bool:
        # A batch gives current versions only.
        return ref.version_id is None and ref.version_stage is None

    async def fetch(self, ref: Ref, budget_seconds: float | None = None) -> Secret:
        """Return one secret, asking up to three times within the budget, as `Store.fetch` says."""
        arguments = {"SecretId": ref.secret_id, "VersionId": ref.version_id, "VersionStage": ref.version_stage}
        given = {key: value for key, value in arguments.items() if value is not None}

        async def attempt() -> Secret:
            return to_secret(ref.secret_id, await self._client.call("get_secret_value", ref.secret_id, given))

        await self._client.import_library()
        try:
            return await self._limiter.run(ref.secret_id, attempt, budget_seconds)
        except SecretNotFound as error:
            if error.aws_message or (ref.version_id is None and ref.version_stage is None):
                raise
            # AWS has one code for both, and did not say which: what was asked for decides.
            raise VersionNotFound(ref.secret_id, code=error.code) from None

    async def _fetch_batch(self, refs: Sequence[Ref]) -> Mapping[Ref, FetchResult]:
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

        await self._client.import_library()
        answer = await self._limiter.run(name, attempt, self._budget_seconds / 2)
        values = answer.get("SecretValues")
        if not isinstance(values, list):
            raise make_malformed(name).error
        secrets = []
        for value in values:
            try:
                secrets.append(to_secret(name, value))
            except RetryableError:
                continue
        return match(refs, secrets)

    def _share_failure(self, ref: Ref, error: SecretError) -> SecretError | None:  # noqa: ARG002 - a role's failure names the role
        # The role reads all of them: its refusal is that of each.
        return error if error.what == "role" and isinstance(error, SecretRefused) else None


def to_secret(name: str, answer: object) -> Secret:
    """
    Return the secret in an answer of GetSecretValue, or in one of BatchGetSecretValue's values.

    Raises:
        RetryableError: The answer is not in the documented form. The error shows nothing of it.
    """
    if not isinstance(answer, Mapping):
        raise make_malformed(name)
    arn, own_name, version_id = (answer.get(key) for key in ("ARN", "Name", "VersionId"))
    text, binary = answer.get("SecretString"), answer.get("SecretBinary")
    try:
        value = text.encode() if isinstance(text, str) else binary
    except UnicodeEncodeError:
        value = None
    if not all(map(is_printable, (arn, own_name, version_id))):
        value = None
    if not isinstance(value, bytes):
        raise make_malformed(name)
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
