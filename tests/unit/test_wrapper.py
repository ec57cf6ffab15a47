"""What the exec wrapper asks, understands and runs next; the process itself is tested in `tests/process`."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secrets_cache.errors import VariablesFailed
from secrets_cache.variables import rules
from secrets_cache.variables.wrapper_protocol import encode_answer, parse_request
from secrets_cache.wrapper import encode_request, parse_answer, prepare, read_limit
from tests.support.fakes import CANARY
from tests.support.wrapper import CONTENTS, NAMES

SELF = b"/opt/get-secrets-layer"
ARGUMENTS = [SELF, b"/var/lang/bin/python3", b"/var/runtime/bootstrap.py"]


@pytest.mark.parametrize(
    ("received", "named", "listed", "then", "left"),
    [
        (SELF, None, b"", [], None),
        (b"", None, b"", [], b""),
        (None, None, b"", [], None),
        (b"/opt/other", None, b"", [], b"/opt/other"),
        (SELF, b"/opt/next", b"", [b"/opt/next"], b"/opt/next"),
        (SELF, SELF, b"", [], None),
        (SELF, b"/elsewhere/get-secrets-layer", b"", [], None),
        (SELF, b"", b"", [], None),
        (SELF, None, b"/a:/b:/a", [b"/a", b"/b"], b"/a"),
        (SELF, b"/c", b"/a:/c", [b"/c", b"/a"], b"/c"),
        (b"/a", None, b"/a:/b", [b"/b"], b"/b"),
        (b"/a", b"/b", b"/a", [b"/b"], b"/b"),
    ],
)
def test_what_runs_next(received, named, listed, then, left):
    """Each once, never this wrapper; where nothing runs next, a value that names this wrapper is unset."""
    environ = {b"AWS_LAMBDA_EXEC_WRAPPER": received} if received is not None else {}
    values = {b"AWS_LAMBDA_EXEC_WRAPPER": named} if named is not None else {}
    found, command = prepare({**environ, b"SECRETS_CACHE_NEXT_WRAPPER": listed}, values, ARGUMENTS)

    assert [*then, *ARGUMENTS[1:]] == command
    assert (b"SECRETS_CACHE_CHAINED" in found) == bool(then)
    assert left == found.get(b"AWS_LAMBDA_EXEC_WRAPPER")


def test_the_extension_is_told_what_is_its_to_know():
    """The names of all variables, the values of few."""
    environ = {
        b"SECRET_ARN": b"db",
        b"REF": b"ssm://x",
        b"AWS_SECRET_ACCESS_KEY": CANARY.encode(),
        b"\xff": b"1",
    }
    told = encode_request(environ)

    assert CANARY.encode() not in told
    assert ({"SECRET_ARN": "db", "REF": "ssm://x"}, set(environ)) == parse_request(told)


@given(st.dictionaries(NAMES, st.none() | CONTENTS))
def test_an_answer_is_read_as_it_was_meant(values):
    """Set, unset, and nothing in between."""
    assert values == parse_answer(encode_answer(values))
    for end in range(len(encode_answer(values))):
        assert parse_answer(encode_answer(values)[:end]) is None


def test_a_refusal_is_no_answer():
    """It is raised."""
    with pytest.raises(VariablesFailed, match="no: why"):
        parse_answer(b"!no: why\0.\0")


TIMEOUTS = ["", " ", "250", " 250 ", "0", "-1", "0.5", "1e3", "1e9", "5_000", "5s", "nan", "inf", "٣", "\udcff", "soon"]


@given(st.one_of(st.sampled_from(TIMEOUTS), st.text("0123456789.e_+- ", max_size=8)))
def test_the_time_out_is_read_as_the_extension_reads_it(text):
    """The wrapper cannot import what reads it there."""
    assert rules.read_limit({"API_TIMEOUT": text}) == read_limit(os.fsencode(text))


def test_a_sign_of_life_sets_nothing():
    """It is an empty record; alone it is an extension that died."""
    assert {b"A": b"1"} == parse_answer(b"\0+A=1\0.\0")
    assert parse_answer(b"\0") is None
