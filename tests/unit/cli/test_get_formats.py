"""The formats of `get`: each is read back by what it is for."""

import json
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secrets_cache.cli.arguments import CannotRun
from secrets_cache.cli.get_formats import format_env, format_json, format_shell, name_variables
from tests.conftest import EXAMPLES

NAMES = ("a", "prod/db", "1st")
BYTES = st.binary(max_size=60) | st.text("'\"\\$`!\n\r #=~;&|<>(){}[]*?%é\u2028\t", max_size=20).map(str.encode)


@settings(max_examples=30 * EXAMPLES, deadline=None)
@given(values=st.fixed_dictionaries(dict.fromkeys(NAMES, BYTES.map(lambda raw: raw.replace(b"\0", b"")))))
def test_a_shell_reads_every_value_back_exactly(values):
    """A real `sh`, with nothing run, expanded or split, whatever the value holds."""
    script = format_shell(values) + b"exec env -0"
    found = subprocess.run(["/bin/sh"], input=script, env={}, capture_output=True, check=True)
    variables = dict(entry.partition(b"=")[::2] for entry in found.stdout.split(b"\0"))

    assert b"" == found.stderr
    assert {"A": values["a"], "PROD_DB": values["prod/db"], "_1ST": values["1st"]}.items() <= {
        name.decode(): value for name, value in variables.items()
    }.items()


@given(values=st.dictionaries(st.text(), st.text() | st.integers().map(str) | st.lists(st.integers()).map(str)))
def test_json_is_read_back_exactly(values):
    """Objects and arrays as such, everything else as a string."""
    encoded = {name: value.encode() for name, value in values.items()}
    found = json.loads(format_json(encoded))

    assert {
        name: json.loads(value) if value[:1] == b"[" and value[-1:] == b"]" and _is_json(value) else value.decode()
        for name, value in encoded.items()
    } == found


def _is_json(value: bytes) -> bool:
    try:
        json.loads(value)
    except ValueError:
        return False
    return True


def test_json_keeps_the_digits_as_they_were_written():
    """What is a number for AWS must not become another one here."""
    text = b'{"a": 1.50, "b": 12345678901234567890.1}'

    assert b'{"db": ' + text + b', "n": "1.50", "nan": "[NaN]"}\n' == format_json(
        {"db": text + b"\n", "n": b"1.50", "nan": b"[NaN]"}
    )


@given(value=st.text(max_size=30))
def test_env_holds_a_value_exactly_or_refuses_it(value):
    """Docker takes everything behind the first = up to the line's end, and quotes nothing."""
    raw = value.encode("utf-8", "surrogatepass")
    try:
        line = format_env({"db": raw})
    except CannotRun:
        assert set("\n\r\0") & set(value) or "\ud800" <= max(value)
    else:
        assert b"DB=" + raw + b"\n" == line


@pytest.mark.parametrize(
    ("form", "value", "said"),
    [
        (format_env, b"a\nb", "'db' contains a line break, which a line NAME=value cannot hold"),
        (format_env, b"a\0b", "'db' contains NUL"),
        (format_env, b"\xff", "'db' is not text"),
        (format_env, b"x" * 65536, "'db' makes a line of more than 65535 bytes"),
        (format_shell, b"a\0b", "'db' contains NUL, which no variable can hold"),
        (format_json, b"\xff", "'db' is not text, so JSON cannot hold it"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(form, value, said):
    """And the value is not shown."""
    with pytest.raises(CannotRun, match=f"^{said}"):
        form({"db": value})


def test_names_become_variables():
    """In upper case, without the slash before a parameter's name; two names that give the same one are refused."""
    names = ["prod/db-1", "9x", "ß", "/prod/app/x", "/8/x", "_own", "//"]

    variables = ["PROD_DB_1", "_9X", "_", "PROD_APP_X", "_8_X", "_OWN", "__"]
    assert variables == list(name_variables(dict.fromkeys(names, b"")).values())
    with pytest.raises(CannotRun, match="'a/b' and 'a-b' would both be the variable A_B"):
        name_variables(dict.fromkeys(("a/b", "a-b"), b""))
    with pytest.raises(CannotRun, match="'/a/b' and 'a/b' would both be the variable A_B"):
        name_variables(dict.fromkeys(("/a/b", "a/b"), b""))
