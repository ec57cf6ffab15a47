"""The JSON Schema of config.yaml, held to the parser: one takes what the other takes, and says the same of the rest."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from secrets_cache.cli import main
from secrets_cache.config import meanings, parse, schema
from secrets_cache.config.json_schema import make_json_schema, write_default
from tests.conftest import EXAMPLES
from tests.support.upstream import arn_of
from tools.emulator import ROOT

SCHEMA = make_json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
ROLE = "arn:aws:iam::123456789012:role/reader"
# Of each kind some that are good somewhere, and some that are good nowhere.
SCALARS = st.sampled_from([
    *(0, 1, 8080, 70000, -1, 1.5, True, False, "", " ", "0", "1", "90%", "5m", "0.5s", "10min", "auto", "ALWAYS"),
    *("db", "prod/db", "/prod/app/", "/prod/x:3", "a b", "eu-west-1", "eu-wst", ROLE, "AWSPREVIOUS", "yes", "Off"),
    *("A=B", "emf"),
    *(arn_of("db"), f"{arn_of('db')}:key::", f"{arn_of('db')}:key:STAGE:v1", "AWS/x", "text", "session"),
    *("xy", "prod/*"),
])  # fmt: skip
KEYS = sorted(
    {
        "secrets",
        "parameters",
        "allow",
        "env",
        "metrics",
        "server",
        "CacheManager",
        "tll",
        "ttl",
        "batch",
        "fetch_timeout",
    }
    | {"refresh_ahead", "stale_if_error"}
)
ITEM_KEYS = (
    *("id", "name", "region", "role_arn", "external_id", "session_name", "version_stage", "ttl", "required", "version"),
    *("label", "idd"),
)
ENV_KEYS = (
    *("secret", "parameter", "as", "key", "prefix", "upper", "override", "required", "rename", "include", "exclude"),
    "x",
)
NESTED_KEYS = ("port", "aws_port", "token", "format", "namespace", "by_secret", "x")


def mappings(keys: tuple[str, ...], inner: "st.SearchStrategy[object]") -> "st.SearchStrategy[dict[str, object]]":
    """Return mappings with a few of these keys."""
    return st.dictionaries(st.sampled_from(keys), inner, max_size=4)


ITEMS = SCALARS | mappings(ITEM_KEYS, SCALARS).map(lambda item: {"id": "db", **item})
LISTS = st.lists(SCALARS, max_size=2)
ENV = mappings(ENV_KEYS, SCALARS | LISTS | mappings(("a", "b"), SCALARS)).map(lambda item: {"secret": "db", **item})
NESTED = SCALARS | mappings(NESTED_KEYS, SCALARS)
GROUPS = st.lists(mappings(("secrets", "parameters", "x"), st.lists(ITEMS, max_size=2)), max_size=2)
DOCUMENTS = GROUPS | st.dictionaries(
    st.sampled_from(KEYS),
    SCALARS | st.none() | st.lists(ITEMS, max_size=2) | st.lists(ENV, max_size=2) | NESTED | GROUPS,
)
# What a schema cannot say: names that are there twice; and what it leaves to `check`.
BEYOND = ("only once", "either version or label", "a duration", "a percentage")


@settings(max_examples=150 * EXAMPLES, deadline=None)
@given(document=DOCUMENTS)
def test_the_schema_takes_what_the_parser_takes_and_the_reverse(document):
    """But for what is said of the schema to be left to `check`."""
    problems = parse(json.dumps(document).encode(), file="config.yaml", environ={}).problems
    beyond = [problem for problem in problems if any(words in problem.allowed for words in BEYOND)]

    if not problems:
        assert [] == [error.message for error in VALIDATOR.iter_errors(document)]
    elif len(beyond) < len(problems):
        assert not VALIDATOR.is_valid(document), problems


@pytest.mark.parametrize("value", [0.5, 0, "soon", "10min", 3000000, -1])
def test_a_ttl_that_is_no_good_is_refused(value):
    """As a number its bounds count, as text its form."""
    assert not VALIDATOR.is_valid({"ttl": value})


@pytest.mark.parametrize("value", ["5m", 90, "1.5h", "30"])
def test_a_ttl_that_is_good_is_taken(value):
    """With a unit or without."""
    assert VALIDATOR.is_valid({"ttl": value})


def test_a_name_that_yaml_takes_for_a_number_may_have_a_version():
    """Only a version or a label in the text of an id excludes the keys; validators warn of a pattern without a type."""
    for item in ({"id": 8080, "version": 3}, {"id": "8080", "version": 3}):
        document = {"parameters": [item]}
        assert VALIDATOR.is_valid(document)
        assert () == parse(json.dumps(document).encode(), file="config.yaml", environ={}).problems
    assert not VALIDATOR.is_valid({"parameters": [{"id": "x:3", "version": 3}]})


def test_the_file_in_the_documentation_is_what_the_command_prints(capfd):
    """And is itself a valid schema."""
    assert 0 == main(["schema"])
    jsonschema.Draft202012Validator.check_schema(SCHEMA)

    assert (ROOT / "docs" / "config.schema.json").read_text(encoding="utf-8") == capfd.readouterr().out


def test_the_example_is_valid_and_names_the_schema():
    """By a path that leads to it."""
    file = ROOT / "example_function" / "config.yaml"
    text = file.read_text(encoding="utf-8")
    first, _, _ = text.partition("\n")

    assert VALIDATOR.is_valid(yaml.safe_load(text))
    assert (file.parent / first.removeprefix("# yaml-language-server: $schema=")).samefile(
        ROOT / "docs/config.schema.json"
    )


# What an editor shows.

# Of each level the keys, with their types where they have one, and the meanings.
TABLES = [
    ({**schema.GENERAL, **dict.fromkeys((*schema.LISTS, "metrics", "server", "CacheManager"))}, meanings.TOP),
    (schema.SERVER, meanings.SERVER),
    (schema.METRICS, meanings.METRICS),
    (schema.SECRET, meanings.SECRET),
    (schema.PARAMETER, meanings.PARAMETER),
    ({**schema.VARIABLES, **dict.fromkeys((*schema.VARIABLES_LISTS, "rename"))}, meanings.VARIABLES),
]  # fmt: skip


@pytest.mark.parametrize(("table", "meant"), TABLES, ids=["top", "server", "metrics", "secret", "parameter", "env"])
def test_each_key_has_its_meaning_and_nothing_else_has(table, meant):
    """In one short sentence."""
    assert set(table) == set(meant)
    for key, (text, _) in meant.items():
        assert re.fullmatch(r"[A-Z][^.]{8,110}\.", text), key


@pytest.mark.parametrize(
    ("value_type", "default"),
    [
        pytest.param(types[key], default, id=key)
        for types, meant in TABLES
        for key, (_, default) in meant.items()
        if types[key] is not None and not isinstance(default, str)
    ],
)
def test_a_default_is_written_as_the_file_has_it(value_type, default):
    """Parsed, it is the default that counts without the key."""
    assert default == value_type.parse(write_default(value_type, default))


def walk(part: Any, keyword: str = "") -> Iterator[tuple[str, Any]]:
    """Return every schema in a part of a schema, with the key that it is for; empty for none."""
    yield keyword, part
    for name, inner in part.items() if isinstance(part, dict) else ():
        if name in {"properties", "$defs"}:
            for key, one in inner.items():
                yield from walk(one, key)
        elif name in {"anyOf", "allOf"}:
            for one in inner:
                yield from walk(one)
        elif name in {"if", "then", "else", "items", "additionalProperties"}:
            yield from walk(inner)


def test_each_key_is_described():
    """By its meaning, what is allowed, and its default; but for keys that a rule is about."""
    found = {
        key: part["description"]
        for key, part in walk(SCHEMA)
        if key and isinstance(part, dict) and "description" in part
    }
    keys = {key for table, _ in TABLES for key in table} | {"groups"}

    assert keys - {"CacheManager"} == set(found)
    for text in found.values():
        assert re.fullmatch(r"[A-Z][^.]+\. Allowed: .+\. Default: .+\.", text)


def test_one_keyword_is_none_of_json_schemas():
    """A strict validator has to be told of each, and knows this one by the name that editors gave it."""
    known = set(VALIDATOR.VALIDATORS) | {"$schema", "$defs", "title", "description", "then", "else"}

    assert {"errorMessage"} == {name for _, part in walk(SCHEMA) if isinstance(part, dict) for name in part} - known


def list_causes(errors: Iterable[jsonschema.ValidationError]) -> Iterator[jsonschema.ValidationError]:
    """Return the errors, and in place of one that has causes the causes."""
    for error in errors:
        yield from list_causes(error.context) if error.context else [error]


def find_message(error: jsonschema.ValidationError) -> str | None:
    """Return what the YAML language server shows for an error: the message of the schema that holds the keyword."""
    part = SCHEMA
    for step in list(error.absolute_schema_path)[:-1]:
        part = part[step]
        while "$ref" in part:
            part = SCHEMA["$defs"][part["$ref"].rpartition("/")[2]]
    return part.get("errorMessage")


@pytest.mark.parametrize(
    "document",
    [
        {"ttl": "never"},
        {"ttl": []},
        {"ttl": None},
        {"refresh_ahead": 10},
        {"refresh_ahead": "ten"},
        {"batch": "maybe"},
        {"server": {"port": "a"}},
        {"server": {"prot": 1}},
        {"server": 5},
        {"tll": 5},
        {"metrics": {"by_secret": "maybe"}},
        {"secrets": "db"},
        {"secrets": ["a b"]},
        {"secrets": [{"id": "a b"}]},
        {"secrets": [{"id": "a", "tll": 5}]},
        {"secrets": [{"id": "a", "region": "eu-wst"}]},
        {"parameters": [{"id": "/x:3", "version": 4}]},
        {"parameters": [{"id": "/x", "label": "a", "version": 4}]},
        {"parameters": [{"id": "/x/", "version": 4}]},
        {"allow": "prod/*"},
        {"env": ["db"]},
        {"env": [{"secret": "a", "as": "X", "prefix": "Y"}]},
        {"env": [{"secret": "a", "parameter": "b", "as": "X"}]},
        {"env": [{"as": "X"}]},
        {"env": [{"secret": f"{arn_of('db')}:key::", "as": "X", "key": "y"}]},
        {"env": [{"secret": "a", "include": "x"}]},
        {"env": [{"secret": "a", "rename": "x"}]},
        {"env": [{"secret": "a", "rename": {"a": "b=c"}}]},
        [{"secrets": "db"}],
    ],
    ids=str,
)
def test_an_editor_shows_what_the_parser_says(document):
    """Instead of a type or a pattern. Of keys without values the parser says as well how they are written."""
    (problem,) = parse(json.dumps(document).encode(), file="config.yaml", environ={}).problems
    messages = {find_message(error) for error in list_causes(VALIDATOR.iter_errors(document))}

    assert f"allowed: {problem.allowed.partition(', each with a colon')[0]}" in messages


@pytest.mark.parametrize("document", [{"parameters": [{"id": 5, "version": 3}]}, {"server": {"token": ""}}, None])
def test_what_yaml_makes_no_text_of_is_taken(document):
    """As the parser takes its text."""
    assert () == parse(json.dumps(document).encode(), file="config.yaml", environ={}).problems
    assert VALIDATOR.is_valid(document)
