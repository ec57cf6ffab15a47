"""
The reference pages, held to the code: each setting, error and log event is described, and nothing else is.

Blocks that run are in test_examples.py, the command line in test_cli_docs.py.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from secrets_cache.config import AwsLayer, Config, environment, meanings, parse, schema, values
from secrets_cache.config.json_schema import write_default
from secrets_cache.config.values import ValueType
from secrets_cache.core.freshness import State
from secrets_cache.core.results import CacheStatus
from secrets_cache.server import problems
from tests.support.pages import (
    COMMAND_LINE,
    CONFIGURATION,
    HTTP,
    MIGRATING,
    OPERATIONS,
    PAGES,
    README,
    ROOT,
    VARIABLES,
    Block,
    blocks_of,
    codes_in,
    prose_of,
    rows_of,
    sections_of,
)

SOURCES = {path: path.read_text(encoding="utf-8") for path in (ROOT / "secrets_cache").rglob("*.py")}
# Texts of the source that look like the name of an event: files, loggers, a setting.
NO_EVENTS = re.compile(r".*\.(pem|yaml)|aio\w+\.\w+|server\.token")


# All pages.


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    """The file that a link or a picture names exists, and an anchor is that of a heading in it."""
    for link in re.findall(r"(?<=\]\()[^)\s]+(?=\))|(?<=src=\")[^\"]+|(?<=srcset=\")[^\"]+", prose_of(page)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page

        assert target.exists(), link
        assert not anchor or anchor in map(make_anchor, sections_of(target)), link


@pytest.mark.parametrize("block", [block for page in PAGES for block in blocks_of(page, "mermaid")], ids=str)
def test_no_picture_holds_a_semicolon(block: Block) -> None:
    """In Mermaid a semicolon ends the statement: the rest of a sentence would be a syntax error, shown as such."""
    assert ";" not in block.text


def make_anchor(heading: str) -> str:
    """Return the anchor that a heading gets."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


# Configuration.


def list_value_types() -> Iterator[tuple[str, ValueType[Any]]]:
    """Return every setting that has a kind, by the heading it should have."""
    yield from schema.GENERAL.items()
    yield "allow", values.PATTERN
    for key, kind in schema.METRICS.items():
        yield f"metrics.{key}", kind
    for key, kind in schema.SERVER.items():
        yield f"server.{key}", kind
    for key, kind in schema.SECRET.items():
        yield f"secrets[].{key}", kind
    for key in ("id", *sorted(schema.PARAMETER.keys() - schema.SECRET.keys())):
        yield f"parameters[].{key}", schema.PARAMETER[key]
    for variable, (_, kind) in {
        **environment.VARIABLES,
        **environment.LIST_VARIABLES,
        **environment.LAYER_VARIABLES,
    }.items():
        yield variable, kind


VALUE_TYPES = dict(list_value_types())


@pytest.mark.parametrize("key", [*schema.LISTS, "metrics", "server", "CacheManager", *VALUE_TYPES])
def test_every_setting_has_its_heading_and_the_allowed_values(key: str) -> None:
    """Each key of config.yaml and each variable; its section names the allowed values in the words of the error."""
    section = sections_of(CONFIGURATION)[key]

    assert key not in VALUE_TYPES or VALUE_TYPES[key].allowed in section


# The layer's log level has none of its own: it is the general one.
DEFAULTS = {**Config()._asdict(), **AwsLayer()._asdict()}


def list_defaults() -> Iterator[tuple[str, str]]:
    """Return heading, and name in `Config`, of every setting whose default is a value."""
    for key in schema.GENERAL:
        yield key, key
    yield "server.port", "port"
    for key, name in schema.METRICS_NAMES.items():
        yield f"metrics.{key}", name
    for variable, (name, _) in {**environment.VARIABLES, **environment.LAYER_VARIABLES}.items():
        if DEFAULTS.get(name) is not None and name != "aws_port":
            yield variable, name


@pytest.mark.parametrize(("key", "name"), list(list_defaults()))
def test_every_default_is_the_one_of_the_code(key: str, name: str) -> None:
    """A documented default, once parsed, is the default of `Config`."""
    match = re.search(r"- Default: `(.+?)`", sections_of(CONFIGURATION)[key])

    assert match is not None
    assert DEFAULTS[name] == VALUE_TYPES[key].parse(match[1])


def list_meanings() -> Iterator[tuple[str, str, object]]:
    """Return level and key of each key of config.yaml, and its default for editors."""
    levels = {
        "": meanings.TOP,
        "server.": meanings.SERVER,
        "metrics.": meanings.METRICS,
        "secrets[].": meanings.SECRET,
        "parameters[].": meanings.PARAMETER,
        "env": meanings.VARIABLES,
    }
    for level, meant in levels.items():
        for key, (_, default) in meant.items():
            yield level, key, default


@pytest.mark.parametrize(("level", "key", "default"), list(list_meanings()))
def test_an_editor_shows_the_default_of_the_page(level: str, key: str, default: object) -> None:
    """Where the page gives one: in the key's section, or for `env` in its table."""
    if level == "env":
        (documented,) = (row[2] for row in rows_of(CONFIGURATION, "key") if codes_in(row[0]) == [key])
    else:
        # The keys of parameters that have no section are those of secrets.
        sections = sections_of(CONFIGURATION)
        section = sections.get(level + key) or sections["secrets[]." + key]
        documented = next(iter(re.findall(r"- Default: (.+?) - Allowed", section)), "")
    shown = write_default(VALUE_TYPES.get(level + key), default)

    assert documented.replace("`", "") in {shown, ""}


@pytest.mark.parametrize(
    "block", [b for page in (README, CONFIGURATION, HTTP) for b in blocks_of(page, "yaml")], ids=str
)
def test_yaml_blocks_are_good_unless_marked(block: Block) -> None:
    """A configuration that a page shows has no problem, unless its first line marks it as wrong."""
    config = parse(block.text.encode(), file="config.yaml", environ={"AWS_SESSION_TOKEN": "of-the-session"})
    is_marked = block.text.startswith(("# not supported yet", "# wrong"))

    assert is_marked == bool(config.problems), [str(problem) for problem in config.problems]


def test_every_variable_that_is_read_is_named() -> None:
    """A variable that the package looks at is on a page."""
    found = {
        name
        for text in SOURCES.values()
        for name in re.findall(r"environ(?:\.get\(|\[)\s*\"([A-Z_]+)\"", text)
    }  # fmt: skip

    assert found
    named = codes_in(prose_of(CONFIGURATION).replace("$", "") + prose_of(VARIABLES) + prose_of(COMMAND_LINE))
    assert set() == found - set(named)


# HTTP.


def test_every_error_is_in_the_table_and_nothing_else() -> None:
    """The table of errors has the statuses and codes of the server, neither more nor fewer."""
    table = {(int(status), *codes_in(code)) for status, code, _ in rows_of(HTTP, "status")}
    kinds = [*vars(problems).values(), *problems.PROBLEM_TYPES.values()]

    assert {(kind.status, kind.code) for kind in kinds if isinstance(kind, problems.ProblemType)} == table


def test_every_cache_status_is_in_the_table_and_nothing_else() -> None:
    """The table of Cache-Status has every value the server sends."""
    table = {codes_in(row[0])[0] for row in rows_of(HTTP, "value") if "secrets-cache" in row[0]}

    assert {f"secrets-cache; {served.value}" for served in CacheStatus} == table


def test_every_state_of_a_secret_is_in_the_table_and_nothing_else() -> None:
    """The table of states has every one that /health may show."""
    assert {state.value for state in State} == {codes_in(row[0])[0] for row in rows_of(HTTP, "`state`")}


def test_every_code_of_an_upstream_failure_is_in_the_table() -> None:
    """What `aws_code` may be besides AWS's own codes is listed, and nothing is listed that the source does not have."""
    table = {codes_in(row[0])[0] for row in rows_of(HTTP, "`aws_code`")} - {"500"}
    source = "".join(SOURCES.values())

    assert {code for code in re.findall(r"\bcode=\"([a-z-]+)\"", source) if "-" in code or code == "timeout"} <= table
    assert not [code for code in table if f'"{code}"' not in source]


# Migrating.


def test_every_setting_of_awss_agent_says_what_becomes_of_it() -> None:
    """Its documentation and source know these."""
    settings = """
    http_port ttl_seconds cache_size secrets filter_tags cache_buffer_ratio max_jitter_seconds role_arn max_roles region
    credentials_file_path ignore_transient_errors max_conn path_prefix ssrf_headers ssrf_env_variables log_level
    log_to_file validate_credentials
    """
    named = {code.rpartition(" ")[2] for row in rows_of(MIGRATING, "the agent's setting") for code in codes_in(row[0])}

    assert set(settings.split()) == named


# Operations.


def test_every_log_event_is_in_the_table_and_nothing_else() -> None:
    """Each event that the source writes has its row, and each row its event."""
    texts = (
        node.value
        for source in SOURCES.values()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    events = {text for text in texts if re.fullmatch(r"[a-z_]+\.[a-z_]+", text) and not NO_EVENTS.fullmatch(text)}

    # The line for each request is the one event whose name has no dot.
    assert {*events, "request"} == {codes_in(row[0])[0] for row in rows_of(OPERATIONS, "event")}
