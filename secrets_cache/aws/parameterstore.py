"""
AWS Systems Manager Parameter Store: requests for parameters and paths, and how answers become secrets.

Rules
-----
1. One parameter has one budget, all attempts together; of a path, each page has one, and the whole `PATH_SECONDS`.
2. A batch that is refused is followed by single calls: a role may be allowed GetParameter and not GetParameters, and
   one parameter that it may not read fails all ten. A passing failure is the failure of all ten: a service that
   throttles one call must not get ten instead.
3. A path is one secret: a JSON object of all parameters below it, fetched and refreshed as a whole. A parameter without
   text, which no path holds, would be an empty value in it.
4. Whatever is in an answer, reading it ends in a secret, or in `RetryableError`.

Longer than most modules here: a parameter, a batch and a path are three requests, and two kinds of secret.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from secrets_cache.aws.client import is_printable, read_text, read_timestamp
from secrets_cache.aws.errors import make_malformed
from secrets_cache.aws.store import Store
from secrets_cache.core.arn import Arn
from secrets_cache.core.retry import RetryableError, timeout_unless_frozen
from secrets_cache.core.secret import ParameterFacts, Ref, Secret
from secrets_cache.core.source import FetchResult
from secrets_cache.errors import SecretError, SecretNotFound, SecretTimeout, SecretUnavailable

T = TypeVar("T")

# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html
BATCH_SIZE = 10
# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParametersByPath.html
PAGE_SIZE = 10
# A version is a number of 64 bits.
MAX_VERSION = 2**63 - 1
# 2,000 parameters. Users may have any number of them below a path, but the memory for them is bounded.
MAX_PAGES = 200
# Callers go on without the fetch after their own time. Without this, a refresh would wait for a slow one for minutes.
PATH_SECONDS = 30.0


class ParameterStore(Store):
    """
    The parameters of one region, read with one set of credentials.

    Attributes:
        path_seconds: The longest time for all pages of a path, but at least the budget.
    """

    plural = "parameters"
    smallest_batch = 2
    largest_batch = BATCH_SIZE
    path_seconds = PATH_SECONDS

    def _fits_batch(self, ref: Ref) -> bool:
        return not ref.is_path and ref.is_decrypted

    async def fetch(self, ref: Ref, budget_seconds: float | None = None) -> Secret:
        """Return one parameter, or a path with all parameters below it, as `Store.fetch` says."""
        if ref.is_path:
            seconds = max(self.path_seconds, self._budget_seconds)
            try:
                async with timeout_unless_frozen(seconds, self._clock):
                    return await self._fetch_path(ref, budget_seconds)
            except TimeoutError:
                timeout = SecretTimeout(ref.secret_id, budget_seconds=seconds, setting="all pages of a path together")
                raise _mark_as_parameter(timeout) from None
        arguments = {"Name": _select(ref), "WithDecryption": ref.is_decrypted}

        def read(answer: Mapping[str, Any]) -> Secret:
            return _to_parameter(ref.secret_id, answer.get("Parameter"))

        return await self._call("get_parameter", ref.secret_id, arguments, read, budget_seconds)

    async def _fetch_batch(self, refs: Sequence[Ref]) -> Mapping[Ref, FetchResult]:
        name = f"{len(refs)} parameters"
        # One version of each: of two, an answer might not tell which is which.
        by_id: dict[str, Ref] = {}
        for ref in refs:
            by_id.setdefault(ref.secret_id, ref)
        arguments = {"Names": [_select(ref) for ref in by_id.values()], "WithDecryption": True}

        def read(answer: Mapping[str, Any]) -> tuple[list[Any], object]:
            return _list_items(name, answer), answer.get("InvalidParameters")

        items, invalid_names = await self._call("get_parameters", name, arguments, read)
        found: dict[Ref, FetchResult] = {}
        for item in items:
            try:
                secret = _to_parameter(name, item)
            except RetryableError:
                continue
            # The ARN first: a parameter that another account shares may have the name of the account's own.
            asked = by_id.get(secret.arn) or by_id.get(secret.name)
            if asked is not None and _is_version(secret, asked):
                found[asked] = secret
        for invalid in invalid_names if isinstance(invalid_names, list) else ():
            asked = by_id.get(invalid) if isinstance(invalid, str) else None
            # With a selector, only its own call says whether the parameter or the version is missing.
            if asked is not None and _select(asked) == invalid:
                found[asked] = SecretNotFound.of_parameter(invalid)
        return found

    def _share_failure(self, ref: Ref, error: SecretError) -> SecretError | None:
        if error.what == "role":
            return error
        if isinstance(error, SecretTimeout):
            return _mark_as_parameter(SecretTimeout(ref.secret_id, budget_seconds=error.budget_seconds))
        if isinstance(error, SecretUnavailable):
            shared = SecretUnavailable(ref.secret_id, code=error.code, cause=error.cause)
            shared.aws_status, shared.aws_message = error.aws_status, error.aws_message
            shared.is_throttled = error.is_throttled
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

        def read(answer: Mapping[str, Any]) -> tuple[list[Secret], str]:
            items, token = _list_items(ref.secret_id, answer), answer.get("NextToken")
            # A parameter below a path is known by its name alone.
            if not all(isinstance(item, Mapping) and is_printable(item.get("Name")) for item in items):
                raise make_malformed(ref.secret_id)
            if token is not None and not isinstance(token, str):
                raise make_malformed(ref.secret_id)
            page = [_to_parameter(ref.secret_id, item) for item in items]
            if not all(parameter.is_text for parameter in page):
                raise make_malformed(ref.secret_id)
            return page, token or ""

        members: dict[str, Secret] = {}
        for _ in range(MAX_PAGES):
            page, token = await self._call("get_parameters_by_path", ref.secret_id, arguments, read, budget_seconds)
            members.update((parameter.name, parameter) for parameter in page)
            if not token:
                if not members:
                    raise SecretNotFound.of_parameter(ref.secret_id)
                return make_path(path, members)
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


def _select(ref: Ref) -> str:
    """Return the name of a parameter as AWS takes it: with the version or the label as its selector."""
    selector = ref.version_id or ref.version_stage
    return f"{ref.secret_id}:{selector}" if selector else ref.secret_id


def _is_version(secret: Secret, ref: Ref) -> bool:
    """Return whether a parameter of a batch is the version that was asked for, and not another one."""
    selector = secret.parameter.selector if secret.parameter is not None else None
    if selector is None:
        return ref.version_stage is None and ref.version_id in {None, secret.version_id}
    return selector.removeprefix(":") == (ref.version_id or ref.version_stage or "")


def _list_items(name: str, answer: Mapping[str, Any]) -> list[Any]:
    """Return the parameters of an answer that holds several. Raises `RetryableError` if there is no list of them."""
    items = answer.get("Parameters")
    if not isinstance(items, list):
        raise make_malformed(name)
    return items


def _to_parameter(name: str, item: object) -> Secret:
    """Return a parameter of an answer. Raises `RetryableError` if it is not in the documented form."""
    if not isinstance(item, Mapping):
        raise make_malformed(name)
    value, version, source_result = item.get("Value"), item.get("Version"), _find_text(item, "SourceResult")
    stored: bytes | None
    try:
        # Parameter Store gives a binary secret that it refers to without a value.
        stored = value.encode() if isinstance(value, str) else _find_binary(source_result)
    except UnicodeEncodeError:
        raise make_malformed(name) from None
    if not isinstance(value, str) and (value is not None or source_result is None):
        raise make_malformed(name)
    # AWS gives version 0 to a reference to Secrets Manager; an answer without a version is treated alike.
    version = int(version) if isinstance(version, int) and 0 < version <= MAX_VERSION else 0
    arn, own_name = (read_text(part) if is_printable(part := item.get(key)) else "" for key in ("ARN", "Name"))
    return Secret(
        # A reference to Secrets Manager has no ARN.
        arn=arn,
        name=own_name or name,
        version_id=str(version),
        created_at=read_timestamp(item.get("LastModifiedDate")),
        value=stored or b"",
        is_text=isinstance(value, str),
        parameter=ParameterFacts(
            type=_find_text(item, "Type") or "String",
            version=version,
            data_type=_find_text(item, "DataType"),
            selector=_find_text(item, "Selector"),
            source_result=source_result,
            has_value=stored is not None,
        ),
    )


def _find_binary(source_result: str | None) -> bytes | None:
    """
    Return the bytes of the secret that a reference means; None where `SourceResult` does not have them.

    AWS does not document the form. What was seen is Secrets Manager's answer as a Java object, and binary as a Java
    buffer, whose bytes have a sign: `{"secretBinary": {"hb": [-1, 65], "offset": 0, "limit": 2, ...}}`.
    """
    try:
        buffer = json.loads(source_result or "")["secretBinary"]
        signed = buffer["hb"][buffer["offset"] :][: buffer["limit"]]
        return b"".join(byte.to_bytes(1, "big", signed=True) for byte in signed)
    except (AttributeError, LookupError, OverflowError, RecursionError, TypeError, ValueError):
        return None


def _find_text(item: Mapping[str, Any], key: str) -> str | None:
    value = item.get(key)
    return value if isinstance(value, str) else None


def make_path(path: str, members: Mapping[str, Secret]) -> Secret:
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
