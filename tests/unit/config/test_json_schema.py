"""The JSON Schema of config.yaml, held to the parser: one takes what the other takes."""

import json

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from secrets_cache.cli import main
from secrets_cache.config import parse
from secrets_cache.config.json_schema import make_json_schema
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
ENV_KEYS = ("secret", "parameter", "as", "prefix", "upper", "override", "required", "rename", "include", "exclude", "x")
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


def test_a_mistake_is_reported_where_it_is():
    """Not as a file that is no list of groups, the other form of the whole."""
    errors = [*VALIDATOR.iter_errors({"secrets": ["a"], "tll": "5m"})]

    assert ["Additional properties are not allowed ('tll' was unexpected)"] == [error.message for error in errors]
    empty: tuple[object, ...] = (None, [], {})
    assert all(map(VALIDATOR.is_valid, empty))
