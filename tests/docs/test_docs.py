"""
The documentation, held to the code: what it lists is what there is, and what it shows runs.

Blocks of `sh` are run; blocks of `http` show what the command before them answers; blocks of `yaml` are parsed.

One file for all pages, over the usual length: they share what reads a page.
"""

import ast
import contextlib
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from secrets_cache import __version__
from secrets_cache.config import AwsLayer, Config, environment, parse, schema, values
from secrets_cache.config.values import Kind
from secrets_cache.core.freshness import State
from secrets_cache.core.results import CacheStatus
from secrets_cache.server import problems
from tests.support.upstream import ACCESS_DENIED, Answer, Call, Upstream
from tools import demo
from tools.emulator import built_layer, free_port

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = ROOT / "secrets_cache"
EXAMPLE = ROOT / "example_function"
README = ROOT / "README.md"
CONFIGURATION = ROOT / "docs" / "configuration.md"
HTTP = ROOT / "docs" / "http.md"
VARIABLES = ROOT / "docs" / "environment-variables.md"
OPERATIONS = ROOT / "docs" / "operations.md"
COMMAND_LINE = ROOT / "docs" / "command-line.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
PAGES = (README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))

LOG_METHODS = {"debug": "DEBUG", "info": "INFO", "warning": "WARNING", "error": "ERROR"}
MARKS = ("# not supported yet", "# wrong")
# Set by AWS or by the moment of the request: shown, but different in each run.
CHANGING_HEADERS = {"date"}
# No canaries: these values stand in the pages.
SERVED_SECRETS = {
    "secret_now": demo.SECRET,
    "prod/db": '{"username":"app","password":"Q-4711","port":5432,"hosts":["a.example.com","b.example.com"]}',
    "pin": "12345",
}

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="this machine has no curl")


# What stands in a page.


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text with the last line's end, and the line it begins in."""

    page: Path
    language: str
    text: str
    line: int

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks_of(page: Path, language: str | None = None) -> list[Block]:
    """Return a page's fenced blocks, of one language or of all."""
    text = page.read_text(encoding="utf-8")
    found = [
        Block(page, match[1], match[2], text.count("\n", 0, match.start()) + 1)
        for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]
    assert 2 * len(found) == len(re.findall(r"^```", text, re.MULTILINE)), f"{page.name}: a fence without a language"
    return [block for block in found if language in {None, block.language}]


def prose_of(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def sections_of(page: Path) -> dict[str, str]:
    """Return the text under each heading, up to the next one of any level; headings without their backticks."""
    parts = re.split(r"^#+ (.+)$", prose_of(page), flags=re.MULTILINE)
    return {heading.replace("`", ""): " ".join(text.split()) for heading, text in two_by_two(parts[1:])}


def two_by_two(items: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Return the items two by two."""
    return zip(items[::2], items[1::2], strict=True)


def rows_of(page: Path, heading: str) -> list[list[str]]:
    """Return the cells of the table whose first column has this heading, without the heading's own row."""
    tables = re.split(r"\n(?!\|)", prose_of(page))
    (table,) = (rows for rows in tables if rows.lstrip().startswith(f"| {heading} |"))
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table.strip().splitlines()]
    return rows[2:]


def codes_in(text: str) -> list[str]:
    """Return what stands in backticks."""
    return re.findall(r"`([^`]+)`", text)


def slug_of(heading: str) -> str:
    """Return the anchor that a heading gets."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


# What the source says.


def trees() -> list[tuple[Path, ast.Module]]:
    """Return every module of the package, parsed."""
    return [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in sorted(PACKAGE.rglob("*.py"))]


@dataclass(frozen=True)
class Emitted:
    """One place in the source that writes a log event; empty levels where the source does not say."""

    event: str
    levels: frozenset[str]
    fields: frozenset[str]


def constant_in(node: ast.expr) -> str:
    """Return the text that a node is; empty if it is none."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def emitted_by(node: ast.AST) -> Emitted | None:
    """Return what a node of the source writes, None if it writes nothing whose event stands there."""
    if isinstance(node, ast.Tuple) and len(node.elts) == 2 and re.fullmatch(r"\w+\.\w+", constant_in(node.elts[0])):
        # An event and its reason, written later, as an error.
        return Emitted(constant_in(node.elts[0]), frozenset({"ERROR"}), frozenset())
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "line['event']" and constant_in(node.value):
        return Emitted(constant_in(node.value), frozenset(), frozenset())
    if not isinstance(node, ast.Call):
        return None
    if isinstance(node.func, ast.Name) and node.func.id == "_report" and node.args:
        event, levels, rest = node.args[0], frozenset({"ERROR"}), node.args[1:]
    elif isinstance(node.func, ast.Attribute) and is_logger(node.func.value):
        if node.func.attr == "log":
            names = {child.attr for child in ast.walk(node.args[0]) if isinstance(child, ast.Attribute)}
            event, levels, rest = node.args[1], frozenset(names), node.args[2:]
        elif node.func.attr == "makeRecord":
            # Past the level that is set.
            names = {child.attr for child in ast.walk(node.args[1]) if isinstance(child, ast.Attribute)}
            (fields,) = node.args[5].elts if isinstance(node.args[5], ast.Tuple) else [node.args[5]]
            event, levels, rest = node.args[4], frozenset(names), [fields]
        elif node.func.attr in LOG_METHODS:
            event, levels, rest = node.args[0], frozenset({LOG_METHODS[node.func.attr]}), node.args[1:]
        else:
            return None
    else:
        return None
    keys = [key for child in rest if isinstance(child, ast.Dict) for key in child.keys if key is not None]
    return Emitted(constant_in(event), levels, frozenset(map(constant_in, keys))) if constant_in(event) else None


def is_logger(node: ast.expr) -> bool:
    """Return whether an expression is a logger of ours."""
    return ast.unparse(node) in {"logger", "logging.getLogger(__name__)"}


def emitted() -> dict[str, Emitted]:
    """Return all log events of the package, by name, with all levels and fields that they are written with."""
    found: dict[str, Emitted] = {}
    for _, tree in trees():
        for one in filter(None, map(emitted_by, ast.walk(tree))):
            before = found.get(one.event, Emitted(one.event, frozenset(), frozenset()))
            found[one.event] = Emitted(one.event, before.levels | one.levels, before.fields | one.fields)
    return found


# Pages as a whole.


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    """A link to a file of ours names one that exists, and an anchor is that of a heading there."""
    for link in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page

        assert target.exists(), link
        assert not anchor or anchor in map(slug_of, sections_of(target)), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_name_no_place_of_one_machine(page: Path) -> None:
    """A public page holds no path of the machine it was written on."""
    assert not re.findall(r"(?:/home|/Users|/root|/work|/tmp)/[\w.-]+", page.read_text(encoding="utf-8"))


def test_every_page_of_the_documentation_is_linked_from_the_readme() -> None:
    """A reader who begins with the README finds everything."""
    linked = set(re.findall(r"\]\(([^)#\s]+)", prose_of(README)))

    assert {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} <= linked


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    """A proof that is named can be looked up."""
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", page.read_text(encoding="utf-8")))
    texts = [file.read_text(encoding="utf-8") for file in (ROOT / "tests").glob("test_*.py")]
    there = {name for text in texts for name in re.findall(r"^(?:async )?def (test_\w+)\(", text, re.MULTILINE)}

    assert set() == named - there


@pytest.mark.parametrize("block", [b for page in PAGES for b in blocks_of(page, "json")], ids=str)
def test_json_blocks_are_json(block: Block) -> None:
    """What is shown as JSON can be copied."""
    assert json.loads(block.text)


def test_the_changelog_has_this_version() -> None:
    """The newest entry of the changelog is the version of the package."""
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert __version__ == headings[0]


# Configuration.


def documented_kinds() -> Iterator[tuple[str, Kind[Any]]]:
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
    for variable, (_, kind) in {**environment.VARIABLES, **environment.LAYER_VARIABLES}.items():
        yield variable, kind


KINDS = dict(documented_kinds())


@pytest.mark.parametrize("key", [*schema.LISTS, "metrics", "server", "CacheManager", *KINDS])
def test_every_setting_has_its_heading(key: str) -> None:
    """Each key of config.yaml and each variable has a heading of its own."""
    assert key in sections_of(CONFIGURATION)


@pytest.mark.parametrize("key", KINDS)
def test_every_setting_says_what_the_code_allows(key: str) -> None:
    """What is allowed is told in the very words of an error."""
    assert KINDS[key].allowed in sections_of(CONFIGURATION)[key]


# The layer's log level has none of its own: it is the general one.
DEFAULTS = {**Config()._asdict(), **AwsLayer()._asdict()}


def settings_with_defaults() -> Iterator[tuple[str, str]]:
    """Return heading, and name in `Config`, of every setting whose default is a value."""
    for key in schema.GENERAL:
        yield key, key
    yield "server.port", "port"
    for key, name in schema.METRICS_NAMES.items():
        yield f"metrics.{key}", name
    for variable, (name, _) in {**environment.VARIABLES, **environment.LAYER_VARIABLES}.items():
        if DEFAULTS.get(name) is not None and name != "aws_port":
            yield variable, name


@pytest.mark.parametrize(("key", "name"), list(settings_with_defaults()))
def test_every_default_is_the_one_of_the_code(key: str, name: str) -> None:
    """A documented default, once parsed, is the default of `Config`."""
    match = re.search(r"- Default: `(.+?)`", sections_of(CONFIGURATION)[key])

    assert match is not None
    assert DEFAULTS[name] == KINDS[key].parse(match[1])


@pytest.mark.parametrize(
    "block", [b for page in (README, CONFIGURATION, HTTP) for b in blocks_of(page, "yaml")], ids=str
)
def test_yaml_blocks_are_good_unless_marked(block: Block) -> None:
    """A configuration that is shown has no problem, unless its first line says that it is wrong or too early."""
    config = parse(block.text.encode(), file="config.yaml", environ={"AWS_SESSION_TOKEN": "of-the-session"})
    is_marked = block.text.startswith(MARKS)

    assert is_marked == bool(config.problems), [str(problem) for problem in config.problems]


def test_the_wrong_example_is_followed_by_its_problems() -> None:
    """What the page says that the extension says of a wrong file is what it says."""
    blocks = blocks_of(CONFIGURATION)
    ((wrong, shown),) = (pair for pair in pairwise(blocks) if pair[0].text.startswith("# wrong"))
    found = parse(wrong.text.encode(), file="config.yaml", environ={}).problems

    assert [str(problem) for problem in found] == shown.text.splitlines()


def test_every_variable_that_is_read_is_named() -> None:
    """A variable that the package looks at stands in the page, whoever sets it."""
    read = {
        name
        for path, _ in trees()
        for name in re.findall(r"environ(?:\.get\(|\[)\s*\"([A-Z_]+)\"", path.read_text(encoding="utf-8"))
    }

    assert read
    named = codes_in(prose_of(CONFIGURATION).replace("$", "") + prose_of(VARIABLES) + prose_of(COMMAND_LINE))
    assert set() == read - set(named)


# HTTP.


def test_every_error_is_in_the_table_and_nothing_else() -> None:
    """The table of errors has the statuses and codes of the server, neither more nor fewer."""
    table = {(int(status), *codes_in(code)) for status, code, _ in rows_of(HTTP, "status")}
    kinds = [*vars(problems).values(), *problems.TABLE.values()]

    assert {(kind.status, kind.code) for kind in kinds if isinstance(kind, problems.Problem)} == table


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
    source = "".join(path.read_text(encoding="utf-8") for path, _ in trees())

    assert {code for code in re.findall(r"\bcode=\"([a-z-]+)\"", source) if "-" in code or code == "timeout"} <= table
    assert not [code for code in table if f'"{code}"' not in source]


# Operations.


def test_every_log_event_is_in_the_table_and_nothing_else() -> None:
    """Each event that the source writes has its row, and each row its event."""
    assert len(emitted()) > 5
    assert set(emitted()) == {codes_in(row[0])[0] for row in rows_of(OPERATIONS, "event")}


def test_every_log_event_has_the_levels_and_fields_of_the_code() -> None:
    """A row names every level and every field that the source gives to its event."""
    known = emitted()
    for event, levels, fields, _ in rows_of(OPERATIONS, "event"):
        one = known[codes_in(event)[0]]

        assert not one.levels or one.levels == set(levels.split(", ")), event
        assert one.fields <= set(codes_in(fields)), event


# Architecture.


def test_the_map_names_every_module() -> None:
    """The codemap has a row for each module of the package, and none for another."""
    modules = {str(path.relative_to(PACKAGE)) for path, _ in trees()}

    assert modules == {codes_in(row[0])[0] for row in rows_of(ARCHITECTURE, "module")}


def test_the_layers_are_those_that_the_linter_checks() -> None:
    """The layers shown are the contract's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]

    assert layers == blocks_of(ARCHITECTURE, "text")[0].text.splitlines()


def test_every_arrow_is_a_function() -> None:
    """The functions named for the way of the data exist."""
    named = [code for row in rows_of(ARCHITECTURE, "arrow") for code in codes_in(row[1])]

    assert named
    for dotted in named:
        parts, found = dotted.split("."), importlib.import_module(f"secrets_cache.{dotted.split('.')[0]}")
        for number, part in enumerate(parts[1:], start=2):
            if not hasattr(found, part):
                found = importlib.import_module("secrets_cache." + ".".join(parts[:number]))
            else:
                found = getattr(found, part)

        assert callable(found), dotted


def test_decisions_are_short_and_of_one_form() -> None:
    """A decision has its number, context, choice and consequences, and fits on a page."""
    decisions = sorted((ROOT / "docs" / "adr").glob("*.md"))

    assert decisions
    for number, page in enumerate(decisions, start=1):
        text = page.read_text(encoding="utf-8")

        assert text.startswith(f"# {number}. "), page.name
        assert {"Context", "Choice", "Consequences"} <= set(sections_of(page)), page.name
        assert len(text.splitlines()) <= 60, page.name


# Blocks that are copied, and blocks that run.


@pytest.mark.parametrize(
    ("language", "name"), [("python", "lambda_function.py"), ("javascript", "index.mjs"), ("yaml", "config.yaml")]
)
def test_the_readme_shows_the_example_files(language: str, name: str) -> None:
    """What the README shows is what the demo runs."""
    (block,) = blocks_of(README, language)

    assert (EXAMPLE / name).read_text(encoding="utf-8") == block.text


def test_the_readme_shows_what_the_demo_prints() -> None:
    """The demo's answer and the names of its timings are in the README as the demo has them."""
    (shown, *_) = blocks_of(README, "text")
    source = Path(demo.__file__).read_text(encoding="utf-8")
    timings = re.findall(r"^  (\S.*?) {2,}[\d.]+ ms$", shown.text, re.MULTILINE)

    assert [f"Response from cache: {demo.SECRET}"] * 2 == re.findall("Response from cache: .*", shown.text)
    assert timings
    assert not [timing for timing in timings if timing not in source]


def test_the_layout_that_the_layers_page_shows_is_the_layers() -> None:
    """What it shows of /opt is in the built layer, and where the launcher looks."""
    (shown, *_) = blocks_of(ROOT / "docs" / "layer.md", "text")
    with zipfile.ZipFile(built_layer()) as archive:
        names = archive.namelist()

    for path in re.findall(r"^/opt/(\S+)", shown.text, re.MULTILINE):
        assert [name for name in names if name.startswith(path)], path
    launcher = (ROOT / "extensions" / "secrets-cache").read_text(encoding="utf-8")
    assert "exec /opt/secrets-cache/bin/python3 -I " in launcher


def commands_of(block: Block) -> list[str]:
    """Return a block's commands, one a line."""
    return block.text.splitlines()


def test_every_command_is_of_a_kind_that_is_run_here() -> None:
    """A command in a page is make's, curl's or of this repository: each has its test, deploy.sh in test_deploy."""
    commands = [command for page in PAGES for block in blocks_of(page, "sh") for command in commands_of(block)]
    kinds = ("make ", "curl ", ".venv/bin/secrets-cache serve ", "./deploy.sh ")

    assert commands
    assert not [command for command in commands if not command.startswith(kinds)]


@pytest.mark.parametrize(
    "command", [c for page in PAGES for b in blocks_of(page, "sh") for c in commands_of(b) if c.startswith("make ")]
)
def test_make_knows_the_targets(command: str) -> None:
    """A make command that is shown names targets that exist; to run them is their own business."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    tried = subprocess.run(
        f"{command} --dry-run", shell=True, cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )

    assert not tried.returncode, tried.stderr


def denied(call: Call) -> Answer | None:
    """Refuse the secret that the pages show as refused."""
    return ACCESS_DENIED if call.ids == ["denied"] else None


@contextlib.contextmanager
def serving(command: str) -> Iterator[int]:
    """Run a command of the README that serves, against a stub of Secrets Manager; give its port."""
    with Upstream(fault=denied) as upstream:
        for name, value in SERVED_SECRETS.items():
            upstream.put(name, value)
        port = free_port()
        environ = {
            **os.environ,
            "AWS_ENDPOINT_URL": upstream.url,
            "SECRETS_CACHE_PORT": str(port),
        }
        process = subprocess.Popen(
            command, shell=True, cwd=ROOT, env=environ, stdout=subprocess.PIPE, start_new_session=True
        )
        assert process.stdout is not None
        try:
            assert any(b'"serve.ready"' in line for line in process.stdout), "it ended before it was ready"
            yield port
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.communicate()


def serve_command() -> str:
    """Return the one command of the README that serves."""
    blocks = blocks_of(README, "sh")
    (command,) = (c for block in blocks for c in commands_of(block) if c.startswith(".venv/bin/secrets-cache serve "))
    return command


@pytest.fixture(scope="module", name="example_port")
def _example_port() -> Iterator[int]:
    with serving(serve_command()) as port:
        yield port


@pytest.fixture(scope="module", name="pages_port")
def _pages_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    config = tmp_path_factory.mktemp("docs") / "config.yaml"
    config.write_text(blocks_of(HTTP, "yaml")[0].text, encoding="utf-8")
    with serving(serve_command().replace("example_function/config.yaml", str(config))) as port:
        yield port


def run(command: str, port: int) -> str:
    """Run a command that is shown for port 8080, and return what it prints."""
    assert "http://localhost:8080/" in command
    command = command.replace("localhost:8080", f"localhost:{port}").replace("curl ", "curl --silent --show-error ", 1)
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return done.stdout.replace("\r\n", "\n")


@needs_curl
def test_the_commands_of_the_readme_run(example_port: int) -> None:
    """Served as the README says, the example's secret is had as the README says."""
    commands = [c for block in blocks_of(README, "sh") for c in commands_of(block) if c.startswith("curl ")]
    whole, key, health = (run(command, example_port) for command in commands)

    assert (demo.SECRET, json.loads(demo.SECRET)["username"], "ok") == (whole, key, json.loads(health)["status"])


def shown_answers() -> list[tuple[str, Block | None]]:
    """Return the curl commands of the pages under docs, each with the answer shown after its block, if there is one."""
    found: list[tuple[str, Block | None]] = []
    for page in PAGES:
        blocks = [*blocks_of(page), None]
        for block, following in pairwise(blocks):
            if page != README and block is not None and block.language == "sh":
                answer = following if following is not None and following.language == "http" else None
                found += [(c, answer) for c in commands_of(block) if c.startswith("curl ")]
    return found


def comparable(body: str) -> object:
    """Return a body in a form in which neither the layout of JSON nor the age of a secret counts."""
    try:
        parsed = json.loads(re.sub(r'("age_seconds": )[\d.]+', r"\g<1>0", body))
    except ValueError:
        return body.strip()
    return parsed if isinstance(parsed, dict) else body.strip()


@needs_curl
@pytest.mark.parametrize(("command", "shown"), shown_answers(), ids=str)
def test_the_answers_that_are_shown_are_the_ones_that_come(command: str, shown: Block | None, pages_port: int) -> None:
    """A command under docs runs; status, headers and body shown after it are what it prints."""
    head, _, body = run(command, pages_port).partition("\n\n")

    assert head.startswith("HTTP/1.1 ")
    if shown is not None:
        shown_head, _, shown_body = shown.text.partition("\n\n")
        status, *headers = head.splitlines()
        shown_status, *shown_headers = shown_head.splitlines()
        received = dict(header.split(": ", 1) for header in headers)

        assert shown_status == status
        for name, value in (header.split(": ", 1) for header in shown_headers):
            assert name in received
            assert name.lower() in CHANGING_HEADERS or value == received[name]
        if shown_body:
            assert comparable(shown_body) == comparable(body)
