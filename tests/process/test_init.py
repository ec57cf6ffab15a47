"""The init phase of the extension's process: the prefetch, configurations and secrets that fail it or do not."""

import json

import pytest

from tests.support import upstream as stub
from tests.support.extension import get, next_is_open, shut_down
from tests.support.fakes import CANARY


def test_a_prefetch_that_hangs_does_not_hold_the_init(api, start, upstream):
    """Two seconds after the registration, neither later nor earlier, `/event/next` is called; the prefetch goes on."""
    upstream.fault = stub.HANG
    with start("secrets: [db]\nfetch_timeout: 60s") as extension:
        ready = extension.event("extension.ready")
        assert next_is_open(api)
        assert 1 == upstream.count("db")
        assert [] == [line for line in extension.log.events() if line["event"].startswith("secret.")]
        shut_down(api, extension)

    assert 2000 <= ready["took_ms"] - ready["registered_ms"] < 2800


@pytest.mark.parametrize(
    ("fault", "status", "code", "reason"),
    [
        (stub.ACCESS_DENIED, 502, "upstream-refused", "AccessDeniedException"),
        (stub.INTERNAL, 503, "upstream-unavailable", "status 500"),
        (stub.HANG, 504, "upstream-timeout", "did not answer within 0.5 s"),
    ],
)
def test_a_secret_that_cannot_be_fetched_is_logged_once_and_answered(api, start, upstream, fault, status, code, reason):
    """The process stays; callers and the log get the reason."""
    upstream.fault = fault
    with start(f"secrets: [db]\nfetch_timeout: {0.5 if fault is stub.HANG else 30}s") as extension:
        assert next_is_open(api)
        answered, body = get(f"{extension.url}/cache/db")
        health = get(f"{extension.url}/health")
        failed = extension.event("secret.fetch_failed")
        shut_down(api, extension)

    assert (status, code) == (answered, json.loads(body)["code"])
    assert reason in failed["reason"]
    assert (503, "failing") == (health[0], json.loads(health[1])["status"])


def test_a_mistake_in_the_functions_code_is_in_the_log(api, start, upstream):
    """A name, a key, a parameter: each line says what was meant or what is wrong, for clients that show no body."""
    upstream.put("of-json", f'{{"password": "{CANARY}"}}')
    with start("secrets: [{id: of-json, name: shop/database}]") as extension:
        assert next_is_open(api)
        for target in ("shop/databaze", "shop/database?key=passwort", "shop/database?kye=x"):
            assert get(f"{extension.url}/cache/{target}")[0] in {400, 404}
        shut_down(api, extension)
        logged = [line for line in extension.log.events() if line["level"] == "WARNING"]

    misspelt, *refused = logged
    assert ("secret.not_configured", "shop/database") == (misspelt["event"], misspelt["suggestion"])
    assert [
        ("request.refused", "shop/database", "key-not-found", "there is no key 'passwort'"),
        (
            "request.refused",
            "shop/database",
            "invalid-request",
            "unknown parameter 'kye'; allowed: key, version_stage, version_id, refresh",
        ),
    ] == [(line["event"], line["secret"], line["code"], line["reason"]) for line in refused]


def test_without_credentials_it_stays_and_logs_it(api, start):
    """One line that names what is missing."""
    nothing = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}
    with start(**nothing) as extension:
        assert next_is_open(api)
        assert 503 == get(f"{extension.url}/cache/db")[0]
        assert "no-credentials" == extension.event("secret.fetch_failed")["code"]
        shut_down(api, extension)


def test_a_broken_configuration_is_reported_whole_and_the_rest_is_served(api, start):
    """Every problem is one ERROR line; what is valid counts."""
    with start("secrets: [db, 'not a name']\nttl: soon\nfoo: 1", CACHE_TIMEOUT="x") as extension:
        assert next_is_open(api)
        assert (200, CANARY) == get(f"{extension.url}/cache/db")
        status, body = get(f"{extension.url}/health")
        shut_down(api, extension)
        lines = [line for line in extension.log.events() if line["event"] == "config.invalid"]

    assert ["secrets[1]", "ttl", "foo", "CACHE_TIMEOUT"] == [line["key"] for line in lines]
    assert [1, 2, 3, None] == [line.get("line") for line in lines]
    assert {"ERROR"} == {line["level"] for line in lines}
    assert (503, [line["text"] for line in lines]) == (status, json.loads(body)["problems"])


def test_a_strict_configuration_fails_the_init_through_init_error(api, start):
    """With the same text, and exit code 1."""
    with start("ttl: soon\nfoo: 1", SECRETS_CACHE_STRICT="1") as extension:
        assert 1 == extension.exit_code()
        extension.log.join()
        texts = [line["text"] for line in extension.log.events() if line["event"] == "config.invalid"]

    assert ["/register", "/init/error"] == api.paths()
    error = json.loads(api.calls[1].body)
    assert ("Extension.ConfigInvalid", "\n".join(texts)) == (error["errorType"], error["errorMessage"])


@pytest.mark.parametrize("strict", ["1", "0"])
def test_a_required_secret_that_cannot_be_fetched(api, start, upstream, strict):
    """An ERROR and a failing health; under strict, the end of the init."""
    upstream.fault = stub.ACCESS_DENIED
    with start("secrets: [{id: db, required: true}]", SECRETS_CACHE_STRICT=strict) as extension:
        missing = extension.event("secret.required_missing")
        if strict == "1":
            assert 1 == extension.exit_code()
            assert ["/register", "/init/error"] == api.paths()
            assert "Extension.RequiredSecretMissing" == json.loads(api.calls[1].body)["errorType"]
        else:
            assert next_is_open(api)
            assert 503 == get(f"{extension.url}/health")[0]
            shut_down(api, extension)

    assert ("db", "AccessDeniedException") == (missing["secret"], missing["code"])


def test_a_required_secret_that_is_slow_is_waited_for_under_strict(api, start, upstream):
    """The limit is then fetch_timeout, not two seconds."""
    upstream.delay = 2.5
    with start("secrets: [{id: db, required: true}]", SECRETS_CACHE_STRICT="1") as extension:
        ready = extension.event("extension.ready")
        assert next_is_open(api)
        shut_down(api, extension)

    assert 2500 <= ready["took_ms"]


def test_a_required_secret_that_is_there_changes_nothing(api, start):
    """No line about it."""
    with start("secrets: [{id: db, required: true}]", SECRETS_CACHE_STRICT="1") as extension:
        assert next_is_open(api)
        shut_down(api, extension)
        assert ["extension.ready", "extension.stopped"] == [line["event"] for line in extension.log.events()]


def test_an_init_error_that_cannot_be_reported_still_ends_the_init(api, start):
    """Lambda sees the exit."""
    api.answers["/init/error"] = [(500, {}, b"no")]
    with start("ttl: soon", SECRETS_CACHE_STRICT="1") as extension:
        assert 1 == extension.exit_code()
        extension.log.join()
        assert "extensions_api.failed" in [line["event"] for line in extension.log.events()]


def test_slow_imports_are_part_of_the_two_seconds(api, start, upstream):
    """A small function's share of a core makes them last for longer than the function's own start."""
    upstream.fault = stub.HANG
    before = """
import sys, time
class Slow:
    def find_spec(self, name, *_):
        if name == "aiobotocore":
            time.sleep(2)
sys.meta_path.insert(0, Slow())
"""
    with start("secrets: [db]\nfetch_timeout: 60s", before=before) as extension:
        ready = extension.event("extension.ready")
        assert next_is_open(api)
        shut_down(api, extension)

    assert 2000 <= ready["took_ms"] - ready["registered_ms"] < 3900


def test_under_snapstart_it_is_ready_without_having_fetched(api, start, upstream):
    """Nothing secret lies in the snapshot."""
    with start(AWS_LAMBDA_INITIALIZATION_TYPE="snap-start") as extension:
        assert next_is_open(api)
        assert 0 == len(upstream.calls)
        assert (200, CANARY) == get(f"{extension.url}/cache/db")
        shut_down(api, extension)


def test_without_a_configuration_it_is_logged_where_the_file_was_looked_for(api, start, tmp_path):
    """One warning, and one for a name that is asked for; the response names the path, and so does /health."""
    path = f"{tmp_path}/none/config.yaml"
    with start(SECRETS_CACHE_CONFIG="", LAMBDA_TASK_ROOT=f"{tmp_path}/none") as extension:
        assert next_is_open(api)
        (status, body), _ = (get(f"{extension.url}/cache/db") for _ in range(2))
        health = get(f"{extension.url}/health")
        shut_down(api, extension)
        logged = [line for line in extension.log.events() if line["level"] == "WARNING"]

    assert [("config.missing", path), ("secret.not_configured", path)] == [
        (line["event"], line["file"]) for line in logged
    ]
    sentence = f"there is no config.yaml (looked for {path})"
    assert (404, True) == (status, sentence in json.loads(body)["detail"])
    (problem,) = json.loads(health[1])["problems"]
    assert (200, "degraded", True) == (health[0], json.loads(health[1])["status"], sentence in problem)


def test_the_configuration_may_be_all_in_variables(api, start, tmp_path):
    """No file, and no warning."""
    environ = {"SECRETS_CACHE_CONFIG": "", "LAMBDA_TASK_ROOT": f"{tmp_path}/none"}
    text = "secrets: [{id: db, name: mine}]"
    with start(**environ, SECRETS_CACHE_CONFIG_YAML=text, SECRETS_CACHE_SECRETS="other") as extension:
        assert next_is_open(api)
        assert (200, CANARY) == get(f"{extension.url}/cache/mine")
        assert 404 == get(f"{extension.url}/cache/other")[0]
        shut_down(api, extension)

    assert "config.missing" not in extension.log.text


def test_variables_of_awss_layer_without_a_port_for_its_protocol_are_a_warning(api, start):
    """One, at the start: calls to AWS's port are refused. A call to the other port is told the same."""
    with start(SECRETS_MANAGER_TTL="60", PARAMETERS_SECRETS_EXTENSION_LOG_LEVEL="debug") as extension:
        assert next_is_open(api)
        status, body = get(f"{extension.url}/secretsmanager/get?secretId=db")
        shut_down(api, extension)
        (warning,) = [line for line in extension.log.events() if line["level"] == "WARNING"]

    names = ["SECRETS_MANAGER_TTL", "PARAMETERS_SECRETS_EXTENSION_LOG_LEVEL"]
    assert ("aws_port.unset", names) == (warning["event"], warning["variables"])
    assert (404, True) == (status, "set PARAMETERS_SECRETS_EXTENSION_HTTP_PORT=2773" in json.loads(body)["detail"])
