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
from typing import Any, TypeVar

from secrets_cache.aws.client import read_timestamp
from secrets_cache.aws.errors import make_malformed
from secrets_cache.aws.store import Store
from secrets_cache.core.arn import Arn
from secrets_cache.core.retry import RetryableError
from secrets_cache.core.secret import ParameterFacts, Ref, Secret
from secrets_cache.core.source import FetchResult
from secrets_cache.errors import SecretError, SecretNotFound, SecretTimeout, SecretUnavailable

T = TypeVar("T")

# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html
BATCH_SIZE = 10
# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParametersByPath.html
PAGE_SIZE = 10
# 2,000 parameters. Users may have any number of them below a path, but the memory for them is bounded.
MAX_PAGES = 200


class ParameterStore(Store):
    """The parameters of one region, read with one set of credentials."""

    plural = "parameters"
    smallest_batch = 2
    largest_batch = BATCH_SIZE

    def _fits_batch(self, ref: Ref) -> bool:
        # A batch gives current versions of parameters, decrypted.
        return not ref.is_path and ref == Ref(ref.secret_id, context=ref.context, is_parameter=True)

    async def fetch(self, ref: Ref, budget_seconds: float | None = None) -> Secret:
        """Return one parameter, or a path with all parameters below it, as `Store.fetch` says."""
        if ref.is_path:
            return await self._fetch_path(ref, budget_seconds)
        selector = ref.version_id or ref.version_stage
        selected = f"{ref.secret_id}:{selector}" if selector else ref.secret_id
        arguments = {"Name": selected, "WithDecryption": ref.is_decrypted}

        def read(answer: Mapping[str, Any]) -> Secret:
            return _to_parameter(ref.secret_id, answer.get("Parameter"))

        return await self._call("get_parameter", ref.secret_id, arguments, read, budget_seconds)

    async def _fetch_batch(self, refs: Sequence[Ref]) -> Mapping[Ref, FetchResult]:
        name = f"{len(refs)} parameters"
        by_name = {ref.secret_id: ref for ref in refs}
        arguments = {"Names": list(by_name), "WithDecryption": True}

        def read(answer: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], Sequence[str]]:
            return _list_items(name, answer), answer.get("InvalidParameters") or ()

        items, invalid_names = await self._call("get_parameters", name, arguments, read)
        found: dict[Ref, FetchResult] = {}
        for item in items:
            try:
                secret = _to_parameter(name, item)
            except RetryableError:
                continue
            ref = by_name.get(secret.name) or by_name.get(secret.arn)
            if ref is not None:
                found[ref] = secret
        for invalid in filter(by_name.__contains__, invalid_names):
            found[by_name[invalid]] = SecretNotFound.of_parameter(invalid)
        return found

    def _share_failure(self, ref: Ref, error: SecretError) -> SecretError | None:
        if error.what == "role":
            return error
        if isinstance(error, SecretTimeout):
            return _mark_as_parameter(SecretTimeout(ref.secret_id, budget_seconds=error.budget_seconds))
        if isinstance(error, SecretUnavailable):
            shared = SecretUnavailable(ref.secret_id, code=error.code, cause=error.cause)
            shared.aws_status, shared.aws_message = error.aws_status, error.aws_message
            return _mark_as_parameter(shared)
        return None

    async def _fetch_path(self, ref: Ref, budget_seconds: float | None) -> Secret:
        # The call takes no ARN. An ARN of another service is sent as it is, and refused: an empty path would read all.
        arn = Arn.parse(ref.secret_id)
        path = (arn and arn.parameter_name) or ref.secret_id
        arguments = {
            "Path": path.rstrip("/") or "/",
            "Recursive": True,
            "WithDecryption": True,
            "MaxResults": PAGE_SIZE,
        }

        def read(answer: Mapping[str, Any]) -> tuple[list[Secret], object]:
            items = _list_items(ref.secret_id, answer)
            return [_to_parameter(ref.secret_id, item) for item in items], answer.get("NextToken")

        members: dict[str, Secret] = {}
        for _ in range(MAX_PAGES):
            page, token = await self._call("get_parameters_by_path", ref.secret_id, arguments, read, budget_seconds)
            members.update((parameter.name, parameter) for parameter in page)
            if not token:
                return _to_path(path, members)
            arguments = {**arguments, "NextToken": token}
        cause = f"there are more than {MAX_PAGES * PAGE_SIZE} parameters below it"
        raise _mark_as_parameter(SecretUnavailable(ref.secret_id, code="too-many-parameters", cause=cause))

    async def _call(
        self,
        operation: str,
        name: str,
        arguments: Mapping[str, Any],
        read: Callable[[Mapping[str, Any]], T],
        budget_seconds: float | None = None,
    ) -> T:
        async def attempt() -> T:
            # An answer that is not in the documented form is worth another attempt.
            return read(await self._client.call(operation, name, arguments))

        await self._client.import_library()
        try:
            return await self._limiter.run(name, attempt, budget_seconds)
        except SecretError as error:
            raise _mark_as_parameter(error) from None


def _mark_as_parameter(error: SecretError) -> SecretError:
    # A role's failure stays the role's.
    if error.what == "secret":
        error.what = "parameter"
    return error


def _list_items(name: str, answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the parameters of an answer that holds several. Raises `RetryableError` if there is no list of them."""
    items = answer.get("Parameters")
    if not isinstance(items, list):
        raise make_malformed(name)
    return [item for item in items if isinstance(item, Mapping)]


def _to_parameter(name: str, item: object) -> Secret:
    """Return a parameter of an answer. Raises `RetryableError` if it is not in the documented form."""
    if not isinstance(item, Mapping):
        raise make_malformed(name)
    value, version = item.get("Value"), item.get("Version")
    if not isinstance(value, str):
        raise make_malformed(name)
    try:
        stored = value.encode()
    except UnicodeEncodeError:
        raise make_malformed(name) from None
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
