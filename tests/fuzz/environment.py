"""Any bytes as the function's environment, and as what comes over the channel between the wrapper and the extension."""

import os
import re
from collections.abc import Callable, Mapping

from secrets_cache import wrapper
from secrets_cache.errors import VariablesFailed
from secrets_cache.variables import wrapper_protocol
from secrets_cache.variables.rules import make_rules

Request = Callable[[Mapping[bytes, bytes]], bytes]
_ID = re.compile(r"[!-~]{1,2048}")
_INPUTS = {b"SECRET_ARN", b"SECRET_REGION", b"ASSUME_ROLE_ARN", b"API_TIMEOUT", b"AWS_REGION"}


def environment(data: bytes, request: Request = wrapper.encode_request) -> None:
    """
    Of any environment the extension is told all names, and the values that are its to read; any answer is understood.

    The bytes are an environment, as execve(2) has it: of each variable the extension gets the name, and the value only
    if it is one of the inputs or a reference. The rules that those make name ids that can be, or are refused in one
    sentence. The same bytes as an answer are variables, a refusal, or not whole; as a request, names and values.
    """
    environ: dict[bytes, bytes] = {}
    for entry in data.split(b"\0"):
        name, equals, value = entry.partition(b"=")
        if name and equals:
            environ.setdefault(name, value)
    told, names = wrapper_protocol.parse_request(request(environ))
    assert names == (environ.keys() or {b""})
    read = {name: value for name, value in environ.items() if name in _INPUTS or _is_reference(value)}
    assert read == {os.fsencode(name): os.fsencode(value) for name, value in told.items()}
    _check_rules(told)
    _check_answer(data)
    wrapper_protocol.parse_request(data)


def _is_reference(value: bytes) -> bool:
    return re.match(b"(secretsmanager|ssm)://", value) is not None


def _check_rules(told: Mapping[str, str]) -> None:
    try:
        rules = make_rules([], told)
    except VariablesFailed as error:
        assert error.reason.isprintable() or not all(name.isprintable() for name in told)
        return
    for rule in rules:
        assert _ID.fullmatch(rule.wanted.id)
        assert rule.origin == "SECRET_ARN" or rule.origin in told
        assert rule.wanted.budget_seconds is None or 0 < rule.wanted.budget_seconds <= 60
    references = [rule.origin for rule in rules if rule.env_item.as_name]
    assert references == [name for name, value in told.items() if _is_reference(os.fsencode(value))]


def _check_answer(data: bytes) -> None:
    try:
        values = wrapper.parse_answer(data)
    except VariablesFailed:
        assert b"!" in {data[:1], *(data[at + 1 : at + 2] for at in range(len(data)) if data[at : at + 1] == b"\0")}
        return
    assert (values is not None) == (data == b".\0" or data.endswith(b"\0.\0"))
    assert values is None or values == wrapper.parse_answer(wrapper_protocol.encode_answer(values))
