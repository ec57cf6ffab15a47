"""Any bytes as what arrives from AWS, or from whoever answers in its place."""

import datetime as dt
import functools
import json
from collections.abc import Callable, Mapping
from typing import Any, cast

import botocore.session
from botocore.exceptions import ClientError
from botocore.model import Shape
from botocore.parsers import JSONParser

from secrets_cache.aws.client import ServiceClient
from secrets_cache.aws.credentials import Credentials, StaticCredentials
from secrets_cache.aws.direct import DirectClient
from secrets_cache.aws.errors import classify, make_malformed
from secrets_cache.aws.secretsmanager import to_secret
from secrets_cache.aws.trust import TrustStore
from secrets_cache.core.retry import RetryableError
from secrets_cache.core.secret import Secret
from secrets_cache.errors import SecretError
from secrets_cache.http1.connections import BadResponse, Connections, Endpoint, Response
from tests.fuzz.coroutines import finished
from tests.fuzz.framing import check_splits, parse, standard, until_close
from tests.support.fakes import CANARY, FakeClock, with_fields

NAME = "db"
ACCESS, KEY, SESSION = "AKIDEXAMPLE", f"{CANARY}-key", f"{CANARY}-session"
BAD = "bad"

Parse = Callable[[bytes], Response | None]
Mean = Callable[[str, Response], object]


def fast(operation: str, answered: Response | None) -> object:
    """Return what the fast path makes of an answer, as data; None where it leaves it to the library."""
    connections, clock = cast("Connections", _Connections(answered)), FakeClock()
    trust = TrustStore("")
    provider = StaticCredentials(Credentials(ACCESS, KEY, SESSION))
    calls = DirectClient(
        _Nobody(), connections, trust, service="secretsmanager", region="eu-west-1", provider=provider, clock=clock
    )
    arguments = {"SecretId": NAME} if operation == "get_secret_value" else {"SecretIdList": [NAME]}
    return _outcome(operation, lambda: finished(calls.call(operation, NAME, arguments)))


def answers(data: bytes, parse: Parse = parse, mean: Mean = fast) -> None:
    """
    Any bytes from AWS are a secret or an error of ours, the same however they were cut, and none of them shows.

    The parser raises nothing but `BadResponse`. What it understands of a part, it understands of the whole; where the
    standard library reads a response too, it is the same. What it means is what botocore and the library make of it, or
    left to them. Nothing of the body is in an error's text or attributes but AWS's code and message; our credentials
    are not even there.
    """

    def understood(received: bytes) -> object:
        try:
            response = parse(received)
        except BadResponse:
            return BAD
        return None if response is None else (response.status, response.headers, response.body)

    found = check_splits(understood, data)
    response = parse(data) if isinstance(found, tuple) else until_close(data) if found is None else None
    if response is None:
        return
    expected = standard(data)
    if expected is not None and response.status not in {*range(100, 200), 204, 304}:
        assert expected == (response.status, response.body)
    # botocore takes 300 for an answer and for an error.
    if response.status == 300 or "x-amzn-query-error" in response.headers:
        return
    for operation in ("get_secret_value", "batch_get_secret_value"):
        meant = mean(operation, response)
        _check_same(meant, botocores(operation, response))
        if not isinstance(meant, list):
            _check_shown(repr(meant), response.body)


def botocores(operation: str, response: Response) -> object:
    """Return what the library makes of an answer, as data: botocore's parser, and what the client does with it."""
    parsed: dict[str, Any] = {
        "status_code": response.status,
        "headers": response.headers,
        "body": response.body,
        "context": {},
    }

    def call() -> Mapping[str, Any]:
        try:
            answer = JSONParser().parse(parsed, _shapes()[operation])
            if response.status >= 300:
                raise ClientError(answer, operation)  # noqa: TRY301 - as botocore's client does
        except ClientError as error:
            raise _classified(error) from None
        except Exception:  # noqa: BLE001 - botocore's parser raises what comes
            raise _NotOurs from None
        if answer is None or None in (answer.get("SecretValues") or []):
            # The client takes these for malformed.
            raise _NotOurs
        return cast("Mapping[str, Any]", _with_numbers(answer))

    return _outcome(operation, call)


def _classified(error: ClientError) -> Exception:
    told: Mapping[str, Any] = error.response.get("Error", {})
    return classify(
        NAME,
        status=error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0),
        code=str(told.get("Code") or ""),
        message=str(told.get("Message") or ""),
        hidden=(KEY, SESSION, ACCESS),
    )


def _with_numbers(value: object) -> object:
    """Return what botocore has parsed with times as numbers."""
    if isinstance(value, dict):
        return {key: _with_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_numbers(item) for item in value]
    return value.timestamp() if isinstance(value, dt.datetime) else value


def _check_same(ours: object, theirs: object) -> None:
    """Check that two outcomes are one, as far as both are there."""
    if ours is None or theirs is None:
        return
    if not isinstance(ours, list) or not isinstance(theirs, list):
        assert ours == theirs
        return
    for one, other in zip(ours, theirs, strict=True):
        if one is None or other is None:
            assert one is other
            continue
        assert with_fields(one, created_at=None) == with_fields(other, created_at=None)
        # botocore's times are rounded to microseconds before they are to milliseconds.
        assert (one.created_at is None) == (other.created_at is None)
        assert abs((one.created_at or 0) - (other.created_at or 0)) < 0.0015


def _outcome(operation: str, call: Callable[[], Mapping[str, Any]]) -> object:
    """Return what a call gives, or the error that it ends with, as data."""
    try:
        answer = call()
        if operation == "get_secret_value":
            return [to_secret(NAME, answer)]
        values = answer.get("SecretValues")
        if isinstance(values, list):
            return _secrets(values)
        raise make_malformed(NAME)
    except _NotOurs:
        return None
    except RetryableError as reason:
        if reason.error.code == "malformed-answer":
            return f"malformed, shown as {reason.error}" if CANARY in str(reason.error) else "malformed"
        return _facts(reason.error), reason.at_once, str(reason)
    except SecretError as error:
        return _facts(error), False, str(error)


def _secrets(values: list[Any]) -> list[Secret | None]:
    found: list[Secret | None] = []
    for value in values:
        try:
            found.append(to_secret(NAME, value))
        except RetryableError:
            found.append(None)
    return found


def _facts(error: SecretError) -> dict[str, Any]:
    assert error.__cause__ is None
    return {"type": type(error).__name__, "text": str(error), **vars(error)}


def _check_shown(shown: str, body: bytes) -> None:
    assert KEY not in shown
    assert SESSION not in shown
    assert ACCESS not in shown
    assert CANARY not in shown or CANARY in _told(body)


def _told(body: bytes) -> str:
    """Return what of an error's body may be shown: AWS's code and message."""
    try:
        error = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return str([error.get(key) for key in ("__type", "message", "Message")]) if isinstance(error, dict) else ""


@functools.cache
def _shapes() -> Mapping[str, Shape]:
    model = botocore.session.get_session().get_service_model("secretsmanager")
    names = {"get_secret_value": "GetSecretValue", "batch_get_secret_value": "BatchGetSecretValue"}
    return {ours: cast("Shape", model.operation_model(name).output_shape) for ours, name in names.items()}


class _NotOurs(Exception):
    """The fast path has left an answer to the library."""


class _Nobody(ServiceClient):
    async def call(self, operation: str, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        raise _NotOurs

    async def import_library(self) -> None:
        """Do nothing."""

    async def aclose(self) -> None:
        """There is nothing to close."""


class _Connections:
    """Answers every call alike."""

    endpoint = Endpoint("localhost", 80, is_secure=False)

    def __init__(self, answered: Response | None) -> None:
        self._answered = answered

    async def request(self, *_: object) -> Response:
        if self._answered is None:
            raise BadResponse
        return self._answered
