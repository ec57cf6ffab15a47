"""JSON texts, taken apart."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secrets_cache.core.json_text import NoSuchKey, NotJson, is_document, read_members, select
from tests.conftest import EXAMPLES

DOCUMENT = """{"user": "anika", "port": 5432, "price": 1.10, "big": 123456789012345678901234567890, "exp": 1E400,
 "on": true, "off": false, "none": null, "list": ["a", {"b": "c"}], "": "empty", "a/b": "slash", "m~n": "tilde",
 "nested": {"deep": {"é": "ü"}}, "text": "two\\nlines", "0": "zero"}"""


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("user", ("anika", False)),
        ("port", ("5432", True)),
        ("price", ("1.10", True)),
        ("big", ("123456789012345678901234567890", True)),
        ("exp", ("1E400", True)),
        ("on", ("true", True)),
        ("off", ("false", True)),
        ("none", ("null", True)),
        ("list", ('["a",{"b":"c"}]', True)),
        ("nested", ('{"deep":{"é":"ü"}}', True)),
        ("text", ("two\nlines", False)),
        ("a/b", ("slash", False)),
        ("/user", ("anika", False)),
        ("/list/0", ("a", False)),
        ("/list/1/b", ("c", False)),
        ("/a~1b", ("slash", False)),
        ("/m~0n", ("tilde", False)),
        ("/", ("empty", False)),
        ("/0", ("zero", False)),
        ("/nested/deep/é", ("ü", False)),
    ],
)
def test_select_gives_strings_bare_and_everything_else_as_written(key, expected):
    """Strings come bare, numbers with their own digits, the rest as compact JSON."""
    assert expected == select(DOCUMENT, key)


@pytest.mark.parametrize(
    "key",
    ["nothing", "/nothing", "/list/2", "/list/01", "/list/-", "/list/-1", "/user/0", "/list/²", "/list/" + "9" * 5000],
)
def test_select_of_a_key_that_is_not_there(key):
    """What is not there is said to be missing, whatever the index looks like."""
    with pytest.raises(NoSuchKey):
        select(DOCUMENT, key)


@pytest.mark.parametrize(
    "text", ["", "plain", "[1, 2]", '"text"', "12", "{", '{"a": NaN}', '{"a": Infinity}', "[" * 100_000, "{'a': 1}"]
)
def test_select_needs_a_json_object(text):
    """A top-level key needs an object, and JSON is what RFC 8259 says, nothing near it."""
    with pytest.raises(NotJson) as caught:
        select(text, "a")

    assert "" == str(caught.value)
    assert caught.value.__cause__ is None


def test_a_pointer_may_start_at_an_array():
    """Unlike a top-level key, a pointer walks whatever is there."""
    assert ("2", True) == select("[1, 2]", "/1")


def test_a_value_nested_too_deeply_to_write_is_refused():
    """What the parser can read may still be too deep to write; that ends no process."""
    text = '{"a": ' + "[" * 900 + "]" * 900 + "}"

    with contextlib.suppress(NotJson):
        assert ("[" * 900 + "]" * 900, True) == select(text, "a")


@pytest.mark.parametrize("text", ['{"a": 1}', "[]", " \n{}"])
def test_objects_and_arrays_are_documents(text):
    """JSON objects and arrays count as documents."""
    assert is_document(text)


@pytest.mark.parametrize("text", ["", "12", "1e5", "true", '"text"', "null", "{", "[1,]", '{"a": NaN}', "{[}"])
def test_scalars_and_broken_texts_are_not(text):
    """A scalar is none, nor is what only starts like one: a password must not turn into a number."""
    assert not is_document(text)


@settings(max_examples=50 * EXAMPLES)
@given(
    st.dictionaries(
        st.text(min_size=1).filter(lambda key: not key.startswith("/")),
        st.text() | st.integers() | st.booleans() | st.none() | st.lists(st.text()),
    )
)
def test_every_key_of_every_object_can_be_selected(document):
    """What select gives is the value itself, for any object."""
    text = json.dumps(document)

    for key, value in document.items():
        selected, is_json = select(text, key)
        assert value == (json.loads(selected) if is_json else selected)


def test_members_are_strings_bare_null_as_none_and_all_else_as_written():
    """One by one, as `select` gives them."""
    found = read_members('{"text": "two\\nlines", "none": null, "number": 1.10, "list": ["a", 1], "on": true}')

    assert {"text": "two\nlines", "none": None, "number": "1.10", "list": '["a",1]', "on": "true"} == found


@pytest.mark.parametrize("text", ["", "plain", "[1, 2]", '"text"', "{", "[" * 100_000])
def test_only_an_object_has_members(text):
    """An array has none, and nor has a broken text."""
    with pytest.raises(NotJson):
        read_members(text)


def test_members_nested_too_deeply_to_write_are_refused():
    """As for `select`."""
    text = '{"a": ' + "[" * 900 + "]" * 900 + "}"

    with contextlib.suppress(NotJson):
        assert {"a": "[" * 900 + "]" * 900} == read_members(text)
