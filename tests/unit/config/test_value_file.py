"""The file of names and values that stands for AWS."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secrets_cache.config.nodes import DocumentError
from secrets_cache.config.value_file import read_value_file

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values=st.dictionaries(st.text(min_size=1), JSON))
def test_json_is_read_as_it_is(values):
    """Text bare, everything else as JSON."""
    found = read_value_file(json.dumps(values).encode())

    expected = {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        is_text = isinstance(values[name], str)
        assert found[name].decode() == value if is_text else json.loads(found[name]) == json.loads(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("db: 0123", b"0123"),
        ("db: yes", b"yes"),
        ('db: "1"', b"1"),
        ("db: |\n  a\n  b\n", b"a\nb\n"),
        ('db: {user: anika, port: 5432, rate: 1.50, on: true, "n": null, pin: "1", date: 2026-01-01, zip: 0123}',
         b'{"user":"anika","port":5432,"rate":1.50,"on":true,"n":null,"pin":"1","date":"2026-01-01","zip":"0123"}'),
        ("db: [1, a, {b: c}]", b'[1,"a",{"b":"c"}]'),
        ("db: [&a [1], *a]", b"[[1],[1]]"),
        ('{"db": 1.10}', b"1.10"),
        ('{"db": null}', b"null"),
        ('{"db": {"rate": 1.50, "big": 1e400, "\\ud83d\\ude00": [12345678901234567890]}}',
         '{"rate":1.50,"big":1e400,"\U0001f600":[12345678901234567890]}'.encode()),
        ('{"db": {"a": NaN}}', b'{"a":"NaN"}'),
        ('\ufeff{\t"db":\t"a"\r\n}', b"a"),
    ],
)  # fmt: skip
def test_what_was_written_is_kept(text, value):
    """A number is a number only inside of JSON, with its digits."""
    assert {"db": value} == read_value_file(text.encode())


@pytest.mark.parametrize(
    ("data", "line", "found"),
    [
        (b"", None, "no names with values"),
        (b"[1]", None, "no names with values"),
        (b"- a\n", 1, "no names with values"),
        (b"a: 1\na: 2\n", 2, "a name that is there already"),
        (b"[a]: 2\n", 1, "a name that is no text"),
        (b'"": 2\n', 1, "a name that is no text"),
        (b"a: {[b]: c}\n", 1, "a key that is no text"),
        (b"\xff: 1", 1, "byte 0xff, which is not UTF-8"),
        (b'{"a": 1, "a": 2}', None, "the name 'a' twice"),
        (b'{"a": {"b": 1, "b": 2}}', None, "the name 'b' twice"),
        (b"a: {b: 1, b: 2}\n", 1, "a key that is there already"),
        (b'{\n\t"a": 1,\n\t// b\n}', 3, "broken JSON (Expecting property name enclosed in double quotes)"),
        (b'{"a": "\\ud800"}', None, "a value that is not valid Unicode, of 'a': it contains an unpaired surrogate"),
        (b'a: "\\ud800"', None, "a value that is not valid Unicode, of 'a': it contains an unpaired surrogate"),
        (b"a: b\nc: !pass\n", 2, "a YAML tag"),
        (b"a: !!binary YQ==\n", 1, "a YAML tag"),
        (b"a: &a {b: c}\nd:\n  <<: *a\n", 3, "a merge key (<<)"),
        (b"a: &a [*a]\n", 1, "YAML nested too deeply"),
    ],
)
def test_what_gives_no_value_is_refused(data, line, found):
    """With its line, and without any value."""
    with pytest.raises(DocumentError) as caught:
        read_value_file(data)

    assert (line, found) == (caught.value.line, caught.value.found)


def test_aliases_that_multiply_are_refused():
    """A few lines can mean more than any memory holds."""
    lines = ["a0: &a0 [1,1,1,1,1,1,1,1]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 8)}]" for n in range(1, 20)]
    with pytest.raises(DocumentError) as caught:
        read_value_file("\n".join(lines).encode())

    assert caught.value.found.startswith("more than 1048576 characters")
