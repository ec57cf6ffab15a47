"""
AWS Systems Manager Parameter Store: requests for parameters and paths, and how answers become secrets.

Rules
-----
1. One parameter has one budget, all attempts together; of a path, each page has one.
2. A batch that is refused is followed by single calls: a role may be allowed GetParameter and not GetParameters, and
   one parameter that it may not read fails all ten. A passing failure is the failure of all ten: a service that
   throttles one call must not get ten instead.
3. A path is one secret: a JSON object of all parameters below it, fetched and refreshed as a whole.

Longer than most modules here: a parameter, a batch and a path are three requests, and two kinds of secret.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from secrets_cache.aws.batch import Batcher, BatchLimits
from secrets_cache.aws.client import MAX_CONNECTIONS, ServiceClient, read_timestamp
from secrets_cache.aws.errors import malformed_answer
from secrets_cache.aws.limiter import Limiter
from secrets_cache.core.arn import Arn
from secrets_cache.core.clock import Clock
from secrets_cache.core.fetcher import FetchResult, FetchResults
from secrets_cache.core.retry import RetryableError
from secrets_cache.core.secret import ParameterFacts, Ref, Secret
from secrets_cache.errors import SecretError, SecretNotFound, SecretTimeout, SecretUnavailable

# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html
BATCH_SIZE = 10
# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParametersByPath.html
PAGE_SIZE = 10
# 2,000 parameters. Users may have any number of them below a path, but the memory for them is bounded.
MAX_PAGES = 200


class ParameterStore:
    """
    The parameters of one region, read with one set of credentials. An async context manager.

    Args:
        client: Makes the calls; closed with this.
        budget_seconds: The time for one parameter, all attempts together.
        clock: Tells the time.
        random: Returns numbers between 0 and 1: spreads the pauses between attempts.
        max_connections: How many calls may be under way at once.
    """

    plural = "parameters"

    def __init__(
        self,
        *,
        client: ServiceClient,
        budget_seconds: float,
        clock: Clock,
        random: Callable[[], float],
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._client = client
        self._budget_seconds = budget_seconds
        self._limiter = Limiter(max_connections, budget_seconds=budget_seconds, clock=clock, random=random)
        limits = BatchLimits(threshold=0, smallest=2, largest=BATCH_SIZE)
        self._batcher = Batcher(self, limits, budget_seconds=budget_seconds, clock=clock)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def fetch(self, ref: Ref) -> Secret:
        """
        Return one parameter, or a path with all parameters below it.

        Raises:
            SecretNotFound, SecretRefused: AWS said so.
            SecretUnavailable: AWS could not be asked, or gave no usable answer.
        """
        return await self.fetch_single(ref, self._budget_seconds)

    def fetch_many(self, refs: Sequence[Ref]) -> FetchResults:
        """Yield each of `refs` once with its parameter or error, as soon as it is known."""
        return self._batcher.fetch_many(refs)

    # What `Batcher` needs.

    def fits_batch(self, ref: Ref) -> bool:
        """Return whether a batch can hold `ref`: a batch gives current versions of parameters, decrypted."""
        return not ref.is_path and ref == Ref(ref.secret_id, context=ref.context, is_parameter=True)

    async def fetch_single(self, ref: Ref, budget_seconds: float) -> Secret:
        """Return one parameter, or a path. Raises as `fetch`."""
        if ref.is_path:
            return await self._fetch_path(ref, budget_seconds)
        selector = ref.version_id or ref.version_stage
        selected = f"{ref.secret_id}:{selector}" if selector else ref.secret_id
        arguments = {"Name": selected, "WithDecryption": ref.is_decrypted}
        answer = await self._call("get_parameter", ref.secret_id, arguments, budget_seconds)
        return _to_parameter(ref.secret_id, answer.get("Parameter"))

    async def fetch_batch(self, refs: Sequence[Ref]) -> Mapping[Ref, FetchResult]:
        """Return what one GetParameters gives, and which parameters it says there are none of. Raises `SecretError`."""
        name = f"{len(refs)} parameters"
        by_name = {ref.secret_id: ref for ref in refs}
        arguments = {"Names": list(by_name), "WithDecryption": True}
        answer = await self._call("get_parameters", name, arguments, self._budget_seconds)
        found: dict[Ref, FetchResult] = {}
        for item in _find_mappings(answer.get("Parameters")):
            try:
                secret = _to_parameter(name, item)
            except RetryableError:
                continue
            ref = by_name.get(secret.name) or by_name.get(secret.arn)
            if ref is not None:
                found[ref] = secret
        for invalid in filter(by_name.__contains__, answer.get("InvalidParameters") or ()):
            found[by_name[invalid]] = _mark_as_parameter(SecretNotFound(invalid, code="ParameterNotFound"))
        return found

    def share_failure(self, ref: Ref, error: SecretError) -> SecretError | None:
        """Return a passing failure as that of `ref`, and the role's refusal as it is; None for any other refusal."""
        if error.what == "role":
            return error
        if isinstance(error, SecretTimeout):
            return _mark_as_parameter(SecretTimeout(ref.secret_id, budget_seconds=error.budget_seconds))
        if isinstance(error, SecretUnavailable):
            return _mark_as_parameter(SecretUnavailable(ref.secret_id, code=error.code, cause=error.cause))
        return None

    async def _fetch_path(self, ref: Ref, budget_seconds: float) -> Secret:
        # The call takes no ARN. Where it is no parameter's, AWS refuses it: an empty path would mean all parameters.
        arn = Arn.parse(ref.secret_id)
        path = (arn and arn.parameter_name) or ref.secret_id
        arguments = {
            "Path": path.rstrip("/") or "/",
            "Recursive": True,
            "WithDecryption": True,
            "MaxResults": PAGE_SIZE,
        }
        members: dict[str, Secret] = {}
        for _ in range(MAX_PAGES):
            answer = await self._call("get_parameters_by_path", ref.secret_id, arguments, budget_seconds)
            parameters = [_to_parameter(ref.secret_id, item) for item in _find_mappings(answer.get("Parameters"))]
            members.update((parameter.name, parameter) for parameter in parameters)
            token = answer.get("NextToken")
            if not token:
                return _to_path(path, members)
            arguments = {**arguments, "NextToken": token}
        cause = f"there are more than {MAX_PAGES * PAGE_SIZE} parameters below it"
        raise _mark_as_parameter(SecretUnavailable(ref.secret_id, code="too-many-parameters", cause=cause))

    async def _call(
        self, operation: str, name: str, arguments: Mapping[str, Any], budget_seconds: float
    ) -> Mapping[str, Any]:
        async def attempt() -> Mapping[str, Any]:
            answer = await self._client.call(operation, name, arguments)
            # An answer that is not in the documented form is worth another attempt, so it is checked here.
            _check(name, answer)
            return answer

        await self._client.prepare()
        try:
            return await self._limiter.run(name, attempt, budget_seconds)
        except SecretError as error:
            raise _mark_as_parameter(error) from None


def _mark_as_parameter(error: SecretError) -> SecretError:
    # A role's failure stays the role's.
    if error.what == "secret":
        error.what = "parameter"
    return error


def _find_mappings(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _check(name: str, answer: Mapping[str, Any]) -> None:
    """Raise `RetryableError` unless an answer holds what one of the operations gives."""
    if "Parameter" in answer:
        _to_parameter(name, answer["Parameter"])
    elif not isinstance(answer.get("Parameters"), list):
        raise malformed_answer(name)


def _to_parameter(name: str, item: object) -> Secret:
    """Return a parameter of an answer. Raises `RetryableError` if it is not in the documented form."""
    if not isinstance(item, Mapping):
        raise malformed_answer(name)
    value, version = item.get("Value"), item.get("Version")
    if not isinstance(value, str):
        raise malformed_answer(name)
    try:
        stored = value.encode()
    except UnicodeEncodeError:
        raise malformed_answer(name) from None
    # AWS gives version 0 to a reference to Secrets Manager; an answer without a version is treated alike.
    version = version if isinstance(version, int) else 0
    return Secret(
        # A reference to Secrets Manager has no ARN.
        arn=_find_text(item, "ARN") or "",
        name=_find_text(item, "Name") or name,
        version_id=str(version),
        created_at=read_timestamp(item.get("LastModifiedDate")),
        value=stored,
        is_text=True,
        parameter=ParameterFacts(
            type=_find_text(item, "Type") or "String",
            version=version,
            data_type=_find_text(item, "DataType"),
            selector=_find_text(item, "Selector"),
            source_result=_find_text(item, "SourceResult"),
        ),
    )


def _find_text(item: Mapping[str, Any], key: str) -> str | None:
    value = item.get(key)
    return value if isinstance(value, str) else None


def _to_path(path: str, members: Mapping[str, Secret]) -> Secret:
    """Return a path as one secret: its version changes when the version of any parameter below it does."""
    versions = json.dumps(sorted((name, member.version_id) for name, member in members.items()))
    values = {name.removeprefix(path): member.value.decode() for name, member in members.items()}
    return Secret(
        arn="",
        name=path,
        version_id=hashlib.sha256(versions.encode()).hexdigest()[:32],
        created_at=max((member.created_at for member in members.values() if member.created_at), default=None),
        value=json.dumps(values, ensure_ascii=False).encode(),
        is_text=True,
        members=members,
    )
