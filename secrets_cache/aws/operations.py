"""
The operations of AWS's services that this program uses, as data: how each is sent, and what of its answer is converted.

    name, arguments -> headers and body -> answer's body -> the shape that `client` lists

Rules
-----
1. No I/O, and the standard library only. The tests compare requests and answers with botocore's.
2. An answer of another shape than AWS documents raises `Unexpected`: botocore may understand it.
"""

import binascii
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from secrets_cache.aws.client import Service, read_text
from secrets_cache.aws.errors import make_malformed

# What converts the values of an answer: by key a function, or the shape of an object, or of each object in a list.
Shape = Mapping[str, Any]


class Unexpected(Exception):
    """An answer that botocore may understand."""


class Request(NamedTuple):
    """The headers that an operation adds to a request, and the request's body."""

    headers: dict[str, str]
    body: bytes


class Operation(NamedTuple):
    """
    One operation of one service.

    Attributes:
        service: The service; also its name in signatures.
        name: AWS's name for the operation.
        shape: What is converted in its answer.
        target: The service's name in the header X-Amz-Target of its JSON protocol; empty for the query protocol.
    """

    service: Service
    name: str
    shape: Shape
    target: str = ""

    def encode(self, arguments: Mapping[str, Any]) -> Request:
        """Return the request, without what every request has."""
        if not self.target:
            from secrets_cache.aws.query import encode  # noqa: PLC0415 - only roles need it

            return Request(*encode(self.name, arguments))
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"{self.target}.{self.name}"}
        return Request(headers, json.dumps(arguments).encode())

    def decode(self, name: str, body: bytes) -> dict[str, Any]:
        """
        Return an answer, converted.

        Args:
            name: The secret, parameter or role that an error names.
            body: The body of a response whose status is a success.

        Raises:
            RetryableError: It is no answer of AWS's.
            Unexpected: Its shape is not the documented one.
        """
        if not self.target:
            from secrets_cache.aws.query import decode  # noqa: PLC0415

            return _convert(decode(body, self.name), self.shape)
        answer = _load(name, body)
        if not isinstance(answer, dict):
            raise make_malformed(name)
        return _convert(answer, self.shape)

    def decode_error(self, name: str, body: bytes) -> tuple[str, str]:
        """Return code and message of an error answer; empty where it has none. Raises as `decode` does."""
        if not self.target:
            from secrets_cache.aws.query import decode_error  # noqa: PLC0415

            return decode_error(body)
        answer = _load(name, body)
        error = answer if isinstance(answer, dict) else {}
        # As in botocore: "com.amazonaws.secretsmanager#Code:http://...".
        code = str(error.get("__type") or "").partition(":")[0].rpartition("#")[2]
        return code, read_text(error.get("message", error.get("Message")))


def _load(name: str, body: bytes) -> object:
    try:
        # As in botocore: no body is an empty answer, and only UTF-8 is one. Of bytes, `loads` guesses the encoding.
        return json.loads(body.decode() or "{}")
    except UnicodeDecodeError:
        raise make_malformed(name) from None
    except (ValueError, RecursionError):
        return None


def _convert(answer: Any, shape: Shape) -> dict[str, Any]:  # noqa: ANN401 - as JSON is
    if not isinstance(answer, dict):
        raise Unexpected
    for key, kind in shape.items():
        value = answer.get(key)
        if value is None:
            continue
        if isinstance(kind, dict):
            answer[key] = _convert(value, kind)
        elif not isinstance(kind, list):
            answer[key] = kind(value)
        elif isinstance(value, list):
            answer[key] = [_convert(each, kind[0]) for each in value]
        else:
            raise Unexpected
    return answer


def _read_blob(value: Any) -> bytes:  # noqa: ANN401
    try:
        return binascii.a2b_base64(value)
    except (binascii.Error, ValueError, TypeError):
        raise Unexpected from None


def _read_time(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, str | bool):
        raise Unexpected
    return value


def _read_date(value: str) -> float:
    from datetime import datetime  # noqa: PLC0415 - only roles need it

    try:
        date = datetime.fromisoformat(value)
    except ValueError:
        raise Unexpected from None
    if date.tzinfo is None:
        raise Unexpected
    return date.timestamp()


_SECRET: Shape = {"SecretBinary": _read_blob, "CreatedDate": _read_time}
_PARAMETER: Shape = {"LastModifiedDate": _read_time}
_CREDENTIALS: Shape = {"Expiration": _read_date}
# By botocore's name.
OPERATIONS = {
    "get_secret_value": Operation("secretsmanager", "GetSecretValue", _SECRET, "secretsmanager"),
    "batch_get_secret_value": Operation(
        "secretsmanager", "BatchGetSecretValue", {"SecretValues": [_SECRET]}, "secretsmanager"
    ),
    "get_parameter": Operation("ssm", "GetParameter", {"Parameter": _PARAMETER}, "AmazonSSM"),
    "get_parameters": Operation("ssm", "GetParameters", {"Parameters": [_PARAMETER]}, "AmazonSSM"),
    "get_parameters_by_path": Operation("ssm", "GetParametersByPath", {"Parameters": [_PARAMETER]}, "AmazonSSM"),
    "assume_role": Operation("sts", "AssumeRole", {"Credentials": _CREDENTIALS}),
}
