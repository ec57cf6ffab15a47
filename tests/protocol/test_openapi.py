"""The OpenAPI description: valid, of the same words as the code, and what the live server does."""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
import yaml
from schemathesis.specs.openapi import checks
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from secrets_cache import __version__
from secrets_cache.core.freshness import State
from secrets_cache.core.results import CacheStatus, EntryKind
from secrets_cache.server import native_request, problems
from secrets_cache.server.access import TOKEN_HEADER
from tests.conftest import EXAMPLES, PATIENCE_SECONDS
from tests.support import upstream as stub
from tests.support.fakes import CANARY
from tests.support.processes import Process, config, wait_until
from tests.support.upstream import Answer, Call, Upstream
from tools.emulator import ROOT

Document = dict[str, Any]
TOKEN = f"{CANARY}-token"
# Those of the first line may be asked for a key: it is there, or not, or there is another error.
OBJECTS = ["json", "prod/db", "gone", "denied", "broken", "hanging", "on-demand", "nobody"]
TEXTS = ["text", "binary"]
# Of a secret that does not come. Enough for the others on a busy machine.
FETCH_TIMEOUT = PATIENCE_SECONDS / 30
MAX_EXAMPLES = 25
CONFORMANCE = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
METHODS = {"get", "head"}


def described() -> Document:
    """Return the document."""
    document: Document = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text(encoding="utf-8"))
    return document


def resolved(document: Document, node: Any) -> Any:
    """Return what a reference leads to."""
    while "$ref" in node:
        found: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    """Return path, method and description of each operation."""
    for path, item in document["paths"].items():
        for method in METHODS & set(item):
            yield path, method, item[method]


# By itself, and compared with the code.


def test_it_is_valid_openapi() -> None:
    """As OpenAPI 3.1 says, and every reference leads somewhere."""
    document = described()

    assert [] == [error.message for error in OPENAPI_31_VALIDATOR.iter_errors(document)]
    for reference in re.findall(r"\$ref: \"(.+?)\"", (ROOT / "docs" / "openapi.yaml").read_text(encoding="utf-8")):
        assert resolved(document, {"$ref": reference})


def test_it_is_of_this_version_and_names_the_token() -> None:
    """The version is the package's, the security scheme its header."""
    document = described()

    assert __version__ == document["info"]["version"]
    scheme = document["components"]["securitySchemes"]["token"]
    assert (TOKEN_HEADER, "header") == (scheme["name"], scheme["in"])


def test_it_has_the_paths_and_methods_of_the_server() -> None:
    """Nothing else answers."""
    document = described()

    assert [f"{native_request.PREFIX}{{name}}", "/health", "/metrics", "/ping"] == list(document["paths"])
    assert [METHODS] * 4 == [METHODS & set(item) for item in document["paths"].values()]


def test_its_parameters_are_those_that_are_understood() -> None:
    """In their order, and each with its values."""
    document = described()
    given = [resolved(document, one) for one in document["paths"]["/cache/{name}"]["parameters"]]
    queries = {one["name"]: resolved(document, one["schema"]) for one in given if one["in"] == "query"}

    assert native_request.PARAMETERS == tuple(queries)
    for word in ("true", "TRUE", "1", "False", "0"):
        assert re.search(queries["refresh"]["pattern"], word)
        native_request.parse_native_request("/cache/x", f"refresh={word}")
    assert 256 == queries["version_id"]["maxLength"] == queries["version_stage"]["maxLength"]


def test_its_codes_and_statuses_are_those_of_the_errors() -> None:
    """Each code of the server with its status, and no other."""
    document = described()
    kinds = [*vars(problems).values(), *problems.PROBLEM_TYPES.values()]
    codes = {(kind.status, kind.code) for kind in kinds if isinstance(kind, problems.ProblemType)}
    told = set()
    for _, _, operation in operations(document):
        for status, response in operation["responses"].items():
            content = resolved(document, response).get("content", {}).get(problems.CONTENT_TYPE)
            code = content["schema"].get("properties", {}).get("code", {}) if content else {}
            told |= {
                (int(status), one) for one in [*code.get("enum", []), *([code["const"]] if "const" in code else [])]
            }

    assert codes == told
    assert {code for _, code in codes} == set(document["components"]["schemas"]["Code"]["enum"])


def test_its_words_are_those_of_the_code() -> None:
    """How an answer came about, what is listed, and the states of a secret."""
    components = described()["components"]
    secrets = components["schemas"]["Health"]["properties"]["secrets"]["items"]["properties"]

    assert [f"secrets-cache; {served.value}" for served in CacheStatus] == components["headers"]["Cache-Status"][
        "schema"
    ]["enum"]
    assert {state.value for state in State} == set(secrets["state"]["enum"])
    assert {kind.value for kind in EntryKind} == set(secrets["kind"]["enum"])


# Against the server.


def fault(call: Call) -> Answer | None:
    """Return what goes wrong with a secret of this name."""
    if "SecretId" not in call.arguments:
        return stub.ACCESS_DENIED
    faults = {"denied": stub.ACCESS_DENIED, "broken": stub.INTERNAL, "hanging": stub.HANG}
    return faults.get(call.ids[0])


@pytest.fixture(name="live")
def _live(upstream: Upstream, tmp_path, fast_paths) -> Iterator[Process]:
    """Give a server of its own, with secrets that are there, are not, may not be read, and do not come."""
    upstream.fault = fault
    for name in ("json", "prod/db", "on-demand"):
        upstream.put(name, f'{{"password":"{CANARY}","port":5432,"hosts":["a","b"],"":{{"~/":null}}}}')
    upstream.put("text", f"{CANARY} \u00e9")
    upstream.put("binary", CANARY.encode() + bytes(range(256)))
    listed = [name for name in (*OBJECTS, *TEXTS) if name not in {"nobody", "on-demand"}]
    text = f"secrets: {listed}\nallow: [on-*]\nfetch_timeout: {FETCH_TIMEOUT}s\nserver: {{token: {TOKEN}}}"
    file = config(tmp_path, text)["SECRETS_CACHE_CONFIG"]
    with Process(("-m", "secrets_cache", "serve", "--config", file), {}) as process:
        process.event("serve.ready")

        def is_served(name: str) -> bool:
            return requests.head(f"{process.url}/cache/{name}", headers={TOKEN_HEADER: TOKEN}).status_code == 200

        # The client's library may still be imported when the time for the first fetch is up.
        wait_until(lambda: all(map(is_served, ("json", "prod/db", *TEXTS))))
        yield process
        assert "internal.error" not in process.log.text
        assert CANARY not in process.log.text


def for_live() -> Document:
    """Return the document for this server: a token is needed, and some of the names that are asked for exist."""
    document = described()
    document["security"] = [{"token": []}]
    name = document["components"]["parameters"]["name"]
    name["schema"] = {"anyOf": [{"enum": OBJECTS}, name["schema"]]}
    del name["examples"]
    return document


def settings_of(request: pytest.FixtureRequest) -> str:
    """Return the settings of a run: the same requests each time, or ever new ones where there are more of them."""
    seed = request.config.getoption("--hypothesis-seed") or 4711
    return f"""
seed = {seed}
workers = 4
headers = {{ "{TOKEN_HEADER}" = "{TOKEN}" }}
request-timeout = {PATIENCE_SECONDS}
[generation]
max-examples = {MAX_EXAMPLES * EXAMPLES}
deterministic = {"true" if EXAMPLES == 1 else "false"}
database = "none"
# What AWS does is an answer: only 500 is an internal error.
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 502, 503, 504]
"""


@pytest.mark.hypothesis
@pytest.mark.parametrize("fast_paths", ["1"], indirect=True)
def test_the_live_server_does_what_it_says(
    live: Process, upstream: Upstream, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Every check of schemathesis, on valid requests and on others; and AWS is asked, so they are no empty ones."""
    (tmp_path / "openapi.yaml").write_text(yaml.safe_dump(for_live()), encoding="utf-8")
    (tmp_path / "schemathesis.toml").write_text(settings_of(request), encoding="utf-8")
    program = Path(sys.executable).with_name("schemathesis")
    reports = ["--report", "har", "--report-har-path", "report.har"]
    ran = subprocess.run(
        [program, "--config-file", "schemathesis.toml", "run", "openapi.yaml", "--url", live.url, *reports],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    entries = json.loads((tmp_path / "report.har").read_text(encoding="utf-8"))["log"]["entries"]
    statuses = Counter(entry["response"]["status"] for entry in entries)

    assert 0 == ran.returncode, (ran.stdout + ran.stderr).replace(CANARY, "...")
    assert {200, 304, 400, 401, 404, 405, 502, 503, 504} <= set(statuses)
    assert 500 not in statuses
    assert MAX_EXAMPLES < len(entries)


EXACTLY = [
    (200, "/cache/{name}", {"name": "json"}, {}, {}),
    (200, "/cache/{name}", {"name": "text"}, {}, {}),
    (200, "/cache/{name}", {"name": "binary"}, {}, {}),
    (200, "/cache/{name}", {"name": "json"}, {"key": "/hosts/0"}, {}),
    (200, "/cache/{name}", {"name": "json"}, {"key": "port", "refresh": "TRUE"}, {}),
    (304, "/cache/{name}", {"name": "json"}, {}, {"If-None-Match": "*"}),
    (400, "/cache/{name}", {"name": "text"}, {"key": "x"}, {}),
    (400, "/cache/{name}", {"name": "json"}, {"unknown": "x"}, {}),
    (401, "/cache/{name}", {"name": "json"}, {}, {TOKEN_HEADER: "wrong"}),
    (403, "/cache/{name}", {"name": "json"}, {}, {"Via": "1.1 x"}),
    (404, "/cache/{name}", {"name": "nobody"}, {}, {}),
    (404, "/cache/{name}", {"name": "gone"}, {}, {}),
    (404, "/cache/{name}", {"name": "json"}, {"key": "x"}, {}),
    (502, "/cache/{name}", {"name": "denied"}, {}, {}),
    (503, "/cache/{name}", {"name": "broken"}, {}, {}),
    (504, "/cache/{name}", {"name": "hanging"}, {}, {}),
    (503, "/health", {}, {}, {}),
    (401, "/health", {}, {}, {TOKEN_HEADER: "wrong"}),
    (403, "/health", {}, {}, {"Origin": "null"}),
    (200, "/metrics", {}, {}, {}),
    (200, "/metrics", {}, {}, {"Accept": "text/plain"}),
    (401, "/metrics", {}, {}, {TOKEN_HEADER: "wrong"}),
    (403, "/metrics", {}, {}, {"Origin": "null"}),
    (200, "/ping", {}, {}, {}),
    (403, "/ping", {}, {}, {"Host": "evil.example"}),
]


def test_each_documented_answer_is_given_and_is_as_documented(live: Process) -> None:
    """Every status of every path has a request that gets it, but 500, a fault of ours, and what is not so here."""
    schema = schemathesis.openapi.from_dict(for_live())
    schema.config.update(base_url=live.url)
    got = set()
    for status, path, names, query, headers in EXACTLY:
        for method in METHODS:
            operation = schema[path][method.upper()]
            case = operation.Case(path_parameters=names, query=query, headers={TOKEN_HEADER: TOKEN, **headers})
            response = case.call(timeout=PATIENCE_SECONDS)
            assert (status, path, query) == (response.status_code, path, query)
            case.validate_response(response, checks=CONFORMANCE)
            got.add((path, str(status)))
    for path in ("/cache/x", "/health", "/metrics", "/ping"):
        refused = requests.post(f"{live.url}{path}", timeout=PATIENCE_SECONDS)
        assert (405, "GET, HEAD") == (refused.status_code, refused.headers["Allow"])
        got.add((path.replace("x", "{name}"), "405"))

    told = {(path, status) for path, _, operation in operations(described()) for status in operation["responses"]}
    elsewhere = {
        ("/health", "200"),
        ("/metrics", "404"),
        ("/ping", "503"),
        *((path, "500") for path in described()["paths"]),
    }
    assert told - elsewhere == got
