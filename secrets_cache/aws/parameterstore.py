"""
AWS Systems Manager Parameter Store: one parameter, ten at a time, or all below a path; decrypted.

Rules
-----
1. One parameter has one budget, all attempts together; of a path, each page has one.
2. What ten together are refused is asked for singly: a role may be allowed GetParameter and not GetParameters, and one
   parameter that it may not read fails all ten. What may pass is the failure of all ten: whoever throttles one call
   would be asked ten times as often.
3. A path is one secret: a JSON object of what is below it, fetched and refreshed as a whole.
"""

import asyncio
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from secrets_cache.aws import MAX_CONNECTIONS, Calls, Limiter, malformed, timestamp
from secrets_cache.core.clock import Clock
from secrets_cache.core.retry import RetryableError
from secrets_cache.core.secret import ParameterFacts, Ref, Secret
from secrets_cache.errors import SecretError, SecretNotFound, SecretRefused, SecretTimeout, SecretUnavailable

logger = logging.getLogger(__name__)

Deliver = Callable[[Ref, Secret | SecretError], None]

# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html
TOGETHER = 10
# 2,000 parameters. What is below a path is not ours to bound, but what of it is kept is.
MAX_PAGES = 200


class ParameterStore:
    """
    The parameters of one region, read by one role. An async context manager.

    Args:
        budget_seconds: For one parameter, all attempts together.
        calls: Makes the calls; closed with this.
        clock: What time it is.
        random: Chance, from 0 to 1.
        max_connections: How many calls may be under way at once.
    """

    def __init__(
        self,
        *,
        budget_seconds: float,
        calls: Calls,
        clock: Clock,
        random: Callable[[], float],
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._budget_seconds = budget_seconds
        self._gives_many = True
        self._calls = calls
        self._turns = Limiter(max_connections, patience_seconds=budget_seconds, clock=clock, random=random)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._calls.aclose()

    async def fetch(self, ref: Ref) -> Secret:
        """
        Return a parameter, or a path with all that is below it.

        Raises:
            SecretNotFound, SecretRefused: AWS said so.
            SecretUnavailable: AWS could not be asked, or gave no usable answer.
        """
        if ref.is_path:
            return await self._fetch_path(ref)
        arguments = {"Name": _selected(ref), "WithDecryption": ref.is_decrypted}
        answer = await self._call("get_parameter", ref.secret_id, arguments)
        return _parameter(ref.secret_id, answer.get("Parameter"))

    async def fetch_many(self, refs: Sequence[Ref], deliver: Deliver) -> None:
        """Call `deliver` once for each of `refs`, as soon as it is known: ten at a time, paths and versions singly."""
        current = [
            ref for ref in refs if not ref.is_path and ref == Ref(ref.secret_id, access=ref.access, is_parameter=True)
        ]
        together = set(current)
        chunks = [current[start : start + TOGETHER] for start in range(0, len(current), TOGETHER)]
        refusals: Counter[str] = Counter()
        await asyncio.gather(
            *(self._deliver(ref, deliver) for ref in refs if ref not in together),
            *(self._deliver_chunk(chunk, deliver, refusals) for chunk in chunks),
        )
        for code, count in refusals.items():
            logger.warning("batch.refused", {"parameters": count, "code": code})

    async def _deliver(self, ref: Ref, deliver: Deliver) -> None:
        try:
            deliver(ref, await self.fetch(ref))
        except SecretError as error:
            deliver(ref, error)

    async def _deliver_chunk(self, chunk: Sequence[Ref], deliver: Deliver, refusals: "Counter[str]") -> None:
        outcomes: Mapping[Ref, Secret | SecretError] = {}
        if len(chunk) > 1 and self._gives_many:
            try:
                outcomes = await self._fetch_chunk(chunk)
            except SecretError as error:
                if isinstance(error, SecretUnavailable) or error.what != "parameter":
                    outcomes = {ref: _of_one(ref, error) for ref in chunk}
                else:
                    refusals[error.code] += len(chunk)
                    # What is refused once will be again, with each refresh.
                    self._gives_many = not isinstance(error, SecretRefused)
        for ref, outcome in outcomes.items():
            deliver(ref, outcome)
        await asyncio.gather(*(self._deliver(ref, deliver) for ref in chunk if ref not in outcomes))

    async def _fetch_chunk(self, chunk: Sequence[Ref]) -> dict[Ref, Secret | SecretError]:
        """Return what one GetParameters gives, or says there is none of; what it gives malformed is not in it."""
        name = f"{len(chunk)} parameters"
        by_name = {ref.secret_id: ref for ref in chunk}
        answer = await self._call("get_parameters", name, {"Names": list(by_name), "WithDecryption": True})
        found: dict[Ref, Secret | SecretError] = {}
        for given in _mappings(answer.get("Parameters")):
            try:
                secret = _parameter(name, given)
            except RetryableError:
                continue
            ref = by_name.get(secret.name) or by_name.get(secret.arn)
            if ref is not None:
                found[ref] = secret
        for invalid in filter(by_name.__contains__, answer.get("InvalidParameters") or ()):
            found[by_name[invalid]] = _as_parameter(
                SecretNotFound(by_name[invalid].secret_id, code="ParameterNotFound")
            )
        return found

    async def _fetch_path(self, ref: Ref) -> Secret:
        # Of an ARN the part that is a name: the call takes no ARN.
        path = ref.secret_id.rpartition(":parameter")[2]
        arguments = {"Path": path.rstrip("/") or "/", "Recursive": True, "WithDecryption": True, "MaxResults": TOGETHER}
        members: dict[str, Secret] = {}
        for _ in range(MAX_PAGES):
            answer = await self._call("get_parameters_by_path", ref.secret_id, arguments)
            parameters = [_parameter(ref.secret_id, given) for given in _mappings(answer.get("Parameters"))]
            members.update((parameter.name, parameter) for parameter in parameters)
            token = answer.get("NextToken")
            if not token:
                return _path(path, members)
            arguments = {**arguments, "NextToken": token}
        cause = f"there are more than {MAX_PAGES * TOGETHER} parameters below it"
        raise _as_parameter(SecretUnavailable(ref.secret_id, code="too-many-parameters", cause=cause))

    async def _call(self, operation: str, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        async def attempt() -> Mapping[str, Any]:
            answer = await self._calls.call(operation, name, arguments)
            # What is not of the documented form is worth another attempt, so it is looked at here.
            _check(name, answer)
            return answer

        await self._calls.prepare()
        try:
            return await self._turns.take(attempt, self._budget_seconds)
        except TimeoutError:
            failure: SecretError = SecretTimeout(name, budget_seconds=self._budget_seconds)
        except SecretError as error:
            failure = error
        raise _as_parameter(failure) from None


def _as_parameter(error: SecretError) -> SecretError:
    # A role's failure stays a role's.
    if error.what == "secret":
        error.what = "parameter"
    return error


def _of_one(ref: Ref, error: SecretError) -> SecretError:
    """Return what ten together failed with as the failure of one of them; a role's is everybody's."""
    if error.what != "parameter" or not isinstance(error, SecretUnavailable):
        return error
    if isinstance(error, SecretTimeout):
        return _as_parameter(SecretTimeout(ref.secret_id, budget_seconds=error.budget_seconds))
    return _as_parameter(SecretUnavailable(ref.secret_id, code=error.code, cause=error.cause))


def _selected(ref: Ref) -> str:
    """Return what AWS is asked for: the name, and the version or the label after a colon."""
    selector = ref.version_id or ref.version_stage
    return f"{ref.secret_id}:{selector}" if selector else ref.secret_id


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _check(name: str, answer: Mapping[str, Any]) -> None:
    """Raise `RetryableError` unless an answer has what any of the calls gives."""
    if "Parameter" in answer:
        _parameter(name, answer["Parameter"])
    elif not isinstance(answer.get("Parameters"), list):
        raise malformed(name)


def _parameter(name: str, given: object) -> Secret:
    """Return the parameter in an answer. Raises `RetryableError` if it is not of the documented form."""
    if not isinstance(given, Mapping):
        raise malformed(name)
    value, version = given.get("Value"), given.get("Version")
    if not isinstance(value, str):
        raise malformed(name)
    # A reference to Secrets Manager has version 0; what says nothing of its version has no better one.
    version = version if isinstance(version, int) else 0
    try:
        stored = value.encode()
    except UnicodeEncodeError:
        raise malformed(name) from None
    return Secret(
        # What a reference to Secrets Manager leads to has none.
        arn=_text(given, "ARN") or "",
        name=_text(given, "Name") or name,
        version_id=str(version),
        created_at=timestamp(given.get("LastModifiedDate")),
        value=stored,
        is_text=True,
        parameter=ParameterFacts(
            type=_text(given, "Type") or "String",
            version=version,
            data_type=_text(given, "DataType"),
            selector=_text(given, "Selector"),
            source_result=_text(given, "SourceResult"),
        ),
    )


def _text(given: Mapping[str, Any], key: str) -> str | None:
    value = given.get(key)
    return value if isinstance(value, str) else None


def _path(path: str, members: Mapping[str, Secret]) -> Secret:
    """Return a path as a secret of its own: its version is another one as soon as one below it is."""
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
