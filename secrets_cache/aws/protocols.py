"""
The calls that the direct client makes, as values; their requests and answers, as bytes.

Rules
-----
1. What is sent is what botocore would send. The tests compare the two.
2. Of an answer only the documented form is read, strictly. What only botocore may understand is `Unexpected`.
"""

import binascii
import json
from collections.abc import Mapping
from typing import Any

from secrets_cache.aws.client import Service, read_text
from secrets_cache.core.named_tuple import NamedTuple

# STS sends less than a tenth of it.
MAX_XML = 256 * 1024
MAX_DEPTH = 8
_UNRESERVED = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-~")


class Unexpected(Exception):
    """What only botocore may understand."""


class Malformed(Exception):
    """What is no answer, to botocore neither."""


class Operation(NamedTuple):
    """
    One call of one service.

    Attributes:
        service: The service, by the name that signatures have.
        name: AWS's name of the call.
        target: What precedes the name in the header of AWS's JSON protocol; empty for its query protocol.
        version: The version of the API, which a request of the query protocol holds.
        items: The key of what is asked for; empty for the answer itself.
        is_list: Whether there is a list of them.
        blob: The key of a value in base64; empty for none.
        timestamp: The key of a time.
    """

    service: Service
    name: str
    target: str = ""
    version: str = ""
    items: str = ""
    is_list: bool = False
    blob: str = ""
    timestamp: str = ""


_SECRET = Operation("secretsmanager", "GetSecretValue", "secretsmanager", blob="SecretBinary", timestamp="CreatedDate")
_PARAMETER = Operation("ssm", "GetParameter", "AmazonSSM", items="Parameter", timestamp="LastModifiedDate")
_PARAMETERS = _PARAMETER._replace(name="GetParameters", items="Parameters", is_list=True)
# By the names of `ServiceClient`.
OPERATIONS = {
    "get_secret_value": _SECRET,
    "batch_get_secret_value": _SECRET._replace(name="BatchGetSecretValue", items="SecretValues", is_list=True),
    "get_parameter": _PARAMETER,
    "get_parameters": _PARAMETERS,
    "get_parameters_by_path": _PARAMETERS._replace(name="GetParametersByPath"),
    "assume_role": Operation("sts", "AssumeRole", version="2011-06-15", items="Credentials", timestamp="Expiration"),
}


def encode(operation: Operation, arguments: Mapping[str, Any]) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of a request."""
    if operation.target:
        target = f"{operation.target}.{operation.name}"
        return {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}, json.dumps(arguments).encode()
    form = {"Action": operation.name, "Version": operation.version, **arguments}
    body = "&".join(f"{name}={_quote(value)}" for name, value in form.items())
    return {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, body.encode()


def _quote(text: str) -> str:
    # Not urllib's, whose import takes longer than the call.
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in text.encode()).replace("%20", "+")


def read_answer(operation: Operation, body: bytes) -> Mapping[str, Any]:
    """Return an answer as `ServiceClient` has it. Raises `Unexpected` or `Malformed`."""
    if not operation.target:
        return _read_credentials(operation, _read_xml(body))
    answer = _read_json(body)
    if not isinstance(answer, dict):
        raise Malformed
    found = answer.get(operation.items) if operation.items else answer
    items = [] if found is None else found if operation.is_list else [found]
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Unexpected
    for item in items:
        _convert(operation, item)
    return answer


def read_error(operation: Operation, body: bytes) -> tuple[str, str]:
    """Return the code and the message of an error's answer; empty for none. Raises `Unexpected` or `Malformed`."""
    if operation.target:
        answer = _read_json(body)
        error = answer if isinstance(answer, dict) else {}
        # As in botocore: "com.amazonaws.secretsmanager#Code:http://...".
        code = str(error.get("__type") or "").partition(":")[0].rpartition("#")[2]
        return code, read_text(error.get("message", error.get("Message")))
    texts = _read_xml(body)
    return _find(texts, "ErrorResponse/Error/Code"), _find(texts, "ErrorResponse/Error/Message")


def _read_json(body: bytes) -> object:
    try:
        # As in botocore: no body is an empty answer, and only UTF-8 is one. Of bytes, `loads` guesses the encoding.
        return json.loads(body.decode() or "{}")
    except UnicodeDecodeError:
        raise Malformed from None
    except (ValueError, RecursionError):
        return None


def _convert(operation: Operation, item: dict[str, Any]) -> None:
    """Give a secret or a parameter the types that `ServiceClient` has."""
    blob = item.get(operation.blob) if operation.blob else None
    if blob is not None:
        try:
            item[operation.blob] = binascii.a2b_base64(blob)
        except (binascii.Error, ValueError, TypeError):
            raise Unexpected from None
    if isinstance(item.get(operation.timestamp), str | bool):
        raise Unexpected


def _read_credentials(operation: Operation, texts: Mapping[str, str | None]) -> Mapping[str, Any]:
    from datetime import datetime  # noqa: PLC0415 - the same

    path = f"{operation.name}Response/{operation.name}Result/{operation.items}"
    keys = ("AccessKeyId", "SecretAccessKey", "SessionToken", operation.timestamp)
    found: dict[str, Any] = {key: _find(texts, f"{path}/{key}") for key in keys}
    try:
        date = datetime.fromisoformat(found[operation.timestamp])
    except ValueError:
        raise Unexpected from None
    if date.tzinfo is None:
        raise Unexpected
    return {operation.items: {**found, operation.timestamp: date.timestamp()}}


def _find(texts: Mapping[str, str | None], path: str) -> str:
    text = texts.get(path)
    if text is None:
        raise Unexpected
    return text


def _read_xml(body: bytes) -> dict[str, str | None]:
    """Return the texts of a document by their paths, without namespaces; None for an element that holds others."""
    # CPython's own part of `xml`, whose import takes a tenth of the time.
    import pyexpat  # noqa: PLC0415 - the same

    texts: dict[str, str | None] = {}
    path: list[str] = []

    def start(tag: str, _: object) -> None:
        above = "/".join(path)
        path.append(tag.rpartition("}")[2])
        here = "/".join(path)
        if here in texts or len(path) > MAX_DEPTH or (texts.get(above) or "").strip():
            raise Unexpected
        texts[above], texts[here] = None, ""

    def add(data: str) -> None:
        here = "/".join(path)
        held = texts[here]
        if held is not None:
            texts[here] = held + data
        elif data.strip():
            raise Unexpected

    def refuse(*_: object) -> None:
        raise Unexpected

    # As in botocore, whatever encoding the document names.
    parser = pyexpat.ParserCreate("utf-8", "}")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: path.pop()
    parser.CharacterDataHandler = add
    parser.StartDoctypeDeclHandler = refuse
    if len(body) > MAX_XML:
        raise Unexpected
    try:
        parser.Parse(body, True)
    except pyexpat.ExpatError:
        raise Unexpected from None
    return texts
