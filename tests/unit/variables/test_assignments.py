"""What values become, as bytes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secrets_cache.config import VariablesFrom
from secrets_cache.errors import KeyNotFound, VariablesFailed
from secrets_cache.variables.assignments import RESERVED, assign
from secrets_cache.variables.rules import Rule, Wanted


def assigned_by(value, *, present=(), key="", origin="env: db", **keys):
    """Return what a value becomes."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return assign(Rule(Wanted("db"), VariablesFrom("db", **keys), key, origin), data, set(present))[0]


def test_every_top_level_key_becomes_a_variable():
    """Strings bare, numbers with the digits they were written with, the rest as compact JSON; null is left out."""
    value = (
        rb'{"a": "x\ny", "n": 1.10, "big": 12345678901234567890, "t": true, "l": [1, {"b": null}], "z": null, "e": ""}'
    )

    assert {
        b"a": b"x\ny", b"n": b"1.10", b"big": b"12345678901234567890", b"t": b"true", b"e": b"",
        b"l": b'[1,{"b":null}]',
    } == assigned_by(value)  # fmt: skip


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="=\0"), min_size=1),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    )
)
def test_any_text_arrives_as_it_is(pairs):
    """Quotes, newlines, blanks, any Unicode, in names too."""
    expected = {k.encode(): v.encode() for k, v in pairs.items() if k.encode() not in RESERVED}
    assert expected == assigned_by(pairs)


def test_a_whole_value_arrives_byte_for_byte():
    """JSON or not, text or not."""
    for value in (b"plain", b'{"a": 1}\n', b"\xff\xfe ", b""):
        assert {b"X": value} == assigned_by(value, as_name="X")


def test_keys_are_chosen_and_named():
    """include, exclude, prefix, upper; a renamed key has the whole name that it was given."""
    value = {"user": "u", "password": "p", "host": "h", "port": 1}

    assert {b"DB_USER": b"u", b"pw": b"p"} == assigned_by(
        value, prefix="db_", upper=True, include=("user", "password"), rename={"password": "pw"}
    )
    assert {b"DB_user": b"u", b"DB_password": b"p"} == assigned_by(value, prefix="DB_", exclude=("host", "port"))


def test_override_false_keeps_what_is_there():
    """And sets what is not."""
    assert {b"b": b"2"} == assigned_by({"a": "1", "b": "2"}, present=[b"a"], override=False)


@pytest.mark.parametrize(
    ("value", "key", "expected"),
    [
        ({"a": {"b": [1, "x"]}}, "/a/b/1", b"x"),
        ({"a": {"b": 1}}, "a", b'{"b":1}'),
        ({"a": "null"}, "a", b"null"),
        ({"a": None}, "a", None),
    ],
)
def test_a_reference_gets_its_key(value, key, expected):
    """As `?key=` does; where it is null, the variable is unset: its text would be taken for the value."""
    assert {b"X": expected} == assigned_by(value, key=key, as_name="X", present=[b"X"], origin="X")


@pytest.mark.parametrize("keys", [{"key": "a", "as_name": "a"}, {"include": ("a",)}, {}])
def test_null_in_an_item_of_env_leaves_the_variable_as_it_is(keys):
    """Whether the item names the key, chooses it or takes all."""
    assert {} == assigned_by({"a": None}, present=[b"a"], **keys)


@pytest.mark.parametrize("key", ["b", "/a/b"])
def test_a_key_that_is_not_there_is_an_error(key):
    """It is named."""
    with pytest.raises(KeyNotFound) as caught:
        assigned_by({"a": 1}, key=key, as_name="X")
    assert key == caught.value.key


@pytest.mark.parametrize("keys", [{"include": ("b",)}, {"rename": {"b": "B"}}])
def test_a_key_that_a_rule_names_must_be_there(keys):
    """A typing error must not cost a variable in silence."""
    with pytest.raises(KeyNotFound):
        assigned_by({"a": 1}, **keys)


@pytest.mark.parametrize("value", [b"text", b"[1]", b"\xff", b'"a"', b"{"])
def test_no_object_has_no_keys(value):
    """What to do instead is said; of the value nothing is."""
    with pytest.raises(VariablesFailed) as caught:
        assigned_by(value)

    assert "env: db: secret 'db' is not a JSON object" in str(caught.value)
    assert "use `as`" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "name", "reason"),
    [
        (rb'{"": "x"}', "", "the name is empty"),
        (rb'{"a=b": "x"}', "a=b", "the name contains ="),
        (rb'{"a\u0000": "x"}', "a\0", "the name contains NUL"),
        (rb'{"a": "x\u0000"}', "a", "the value contains NUL"),
        (rb'{"a": "\ud800"}', "a", "the name or the value is not valid Unicode"),
        (rb'{"\ud800": "x"}', "\ud800", "the name or the value is not valid Unicode"),
        (rb'{"LD_PRELOAD": "x"}', "LD_PRELOAD", "the name is reserved for Lambda or the program loader"),
        (rb'{"AWS_SESSION_TOKEN": "x"}', "AWS_SESSION_TOKEN", "the name is reserved for Lambda or the program loader"),
    ],
)
def test_what_cannot_be_a_variable_is_refused_by_name(value, name, reason):
    """Once, with the reason, and the rest goes on."""
    rule = Rule(Wanted("db"), VariablesFrom("db"), "", "env: db")
    variables, refused = assign(rule, value[:-1] + b', "ok": 1}', set())

    assert {b"ok": b"1"} == variables
    assert [name] == [one.key for one in refused]
    assert refused[0].reason.startswith(reason)


def test_reserved_names_can_be_allowed():
    """One by one."""
    value = {"LD_PRELOAD": "x", "_HANDLER": "y"}
    assert {b"LD_PRELOAD": b"x"} == assigned_by(value, allow_reserved=("LD_PRELOAD",))


def test_the_next_wrapper_is_no_reserved_name_and_keeps_its_own():
    """Whatever the rule says of names, and though it is always there: the wrapper reads it."""
    value = {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/next"}
    present = [b"AWS_LAMBDA_EXEC_WRAPPER"]
    expected = {b"AWS_LAMBDA_EXEC_WRAPPER": b"/opt/next"}
    assert expected == assigned_by(value, prefix="X_", upper=True, override=False, present=present)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"include": ("user*",)}, {"user", "user_id"}),
        ({"include": ("u*", "host")}, {"user", "user_id", "host"}),
        ({"include": ("none*", "host")}, {"host"}),
        ({"include": ("hos?",)}, {"host"}),
        ({"include": ("[gh]ost",)}, {"host"}),
        ({"include": ("a[0]",)}, {"a[0]"}),
        ({"include": ("[*]",)}, {"*"}),
        ({"include": ("USER*",)}, set()),
        ({"exclude": ("user*", "[*]", "a[0]")}, {"host"}),
        ({"include": ("*",), "exclude": ("user",)}, {"user_id", "host", "a[0]", "*"}),
        ({"exclude": ("nothing",)}, {"user", "user_id", "host", "a[0]", "*"}),
    ],
)
def test_include_and_exclude_take_patterns(keys, expected):
    """As `allow` does; a key that looks like a pattern is still itself."""
    value = dict.fromkeys(["user", "user_id", "host", "a[0]", "*"], "x")

    assert expected == {name.decode() for name in assigned_by(value, **keys)}


@pytest.mark.parametrize("pattern", ["use?", "[xy]", "[*]", "USER"])
def test_a_pattern_without_a_star_must_match(pattern):
    """Only a star may stand for no key at all."""
    with pytest.raises(KeyNotFound) as caught:
        assigned_by({"host": 1}, include=(pattern,))
    assert pattern == caught.value.key
