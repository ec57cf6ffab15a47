"""Our own protocol: paths, methods, versions, health."""

import json

import pytest

from secrets_cache.core.secret import Ref
from secrets_cache.errors import SecretRefused
from tests.support.fakes import CANARY
from tests.support.http_server import VALUES, Setup


async def test_versions_and_forced_refresh(running):
    """Parameters combine, and say which version and how."""
    assert "secrets-cache; fwd=miss" == (await running.get("/cache/text?version_stage=AWSPREVIOUS"))[1]["Cache-Status"]
    assert "secrets-cache; fwd=miss" == (await running.get(f"/cache/text?version_id={'v' * 36}"))[1]["Cache-Status"]
    assert "secrets-cache; fwd=request" == (await running.get("/cache/text?refresh=TRUE"))[1]["Cache-Status"]
    assert (
        "secrets-cache; hit"
        == (await running.get("/cache/text?refresh=false&version_stage=AWSCURRENT"))[1]["Cache-Status"]
    )
    assert [Ref("text", version_stage="AWSPREVIOUS"), Ref("text", version_id="v" * 36), Ref("text")] == (
        running.source.fetched
    )


async def test_head_is_get_without_the_body(running):
    """Same status, same headers, for good answers and for errors."""
    for path in ("/cache/json", "/cache/binary?refresh=false", "/cache/nothing", "/ping", "/nowhere"):
        await running.get(path)
        status, headers, _ = await running.get(path)
        head_status, head_headers, body = await running.get(path, "HEAD")
        assert b"" == body
        assert status == head_status
        different = {"Date"} if status != 200 or path == "/ping" else set()
        assert {k: v for k, v in headers.items() if k not in different} == {
            k: v for k, v in head_headers.items() if k not in different
        }


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/cache/unknown", "secret-not-configured"),
        ("/cache/", "secret-not-configured"),
        ("/cache//json", "secret-not-configured"),
        ("/cache/../cache/json", "secret-not-configured"),
        ("/cache/json%00", "secret-not-configured"),
        ("/cache/allowed-but-not-there", "secret-not-found"),
        ("/cache/json?key=nothing", "key-not-found"),
        ("/cache/json?key=/nested/a/7", "key-not-found"),
        ("/", "not-found"),
        ("/cache", "not-found"),
        ("/Cache/json", "not-found"),
        ("/healthy", "not-found"),
    ],
)
async def test_what_is_not_there(running, path, code):
    """404, and which of the reasons."""
    details = await running.problem(path)

    assert (404, code) == (details["status"], details["code"])


@pytest.mark.parametrize("path", ["/secretsmanager/get?secretId=json", "//systemsmanager/parameters/get/", "/v1/json"])
@pytest.mark.parametrize(
    ("aws_port", "advice"),
    [(0, "set PARAMETERS_SECRETS_EXTENSION_HTTP_PORT=2773, and ask that port"), (2773, "ask port 2773")],
)
async def test_a_path_of_awss_layer_is_served_at_another_port(setup, path, aws_port, advice):
    """404 as for any unknown path, and the detail says what to do."""
    setup.aws_port = aws_port
    async with setup.running() as running:
        details = await running.problem(path)

    reason = "this path belongs to the protocol of AWS's own layer, which this port does not serve"
    assert (404, "not-found", f"{reason}; {advice}") == (details["status"], details["code"], details["detail"])


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW", "GETS"])
async def test_only_get_and_head_are_allowed(running, method):
    """405 with Allow, everywhere."""
    for path in ("/cache/json", "/health", "/ping", "/nowhere"):
        details = await running.problem(path, method)

        assert (405, "method-not-allowed") == (details["status"], details["code"])
        assert "GET, HEAD" == running.headers["Allow"]


async def test_health_is_ok_when_everything_is_served(running):
    """200, ok, and for each secret its state; never a value."""
    await running.cache.prefetch()
    running.clock.tick(2.5)
    status, headers, body = await running.get("/health")
    health = json.loads(body)

    assert (200, "application/json", "ok", []) == (
        status,
        headers["Content-Type"],
        health["status"],
        health["problems"],
    )
    assert {
        "name": "json",
        "kind": "secret",
        "state": "fresh",
        "age_seconds": 2.5,
        "version_id": "version-1",
        "error": None,
    } == health["secrets"][0]
    assert list(VALUES) == [secret["name"] for secret in health["secrets"]]
    assert CANARY.encode() not in body


async def test_health_does_not_wait(running):
    """Secrets are pending while the first fetch is under way."""
    running.source.gate.clear()
    running.cache.start_prefetch()

    status, _, body = await running.get("/health")

    assert (503, "failing", {"pending"}) == (
        status,
        json.loads(body)["status"],
        {secret["state"] for secret in json.loads(body)["secrets"]},
    )


async def test_health_is_degraded_by_stale_values_and_failing_without_any(setup):
    """Stale values are served, so the status is 200; with a secret that failed it is 503, with AWS's code."""
    setup.names = ["json"]
    async with setup.running() as running:
        await running.cache.prefetch()
        running.source.error[""] = SecretRefused("json", code="AccessDeniedException")
        running.clock.tick(600)
        assert (200, "degraded") == await health_of(running)
        await running.problem("/cache/json")

        assert (503, "failing") == await health_of(running)
        assert b'"error": "AccessDeniedException"' in (await running.get("/health"))[2]


async def health_of(running: Setup) -> tuple[int, str]:
    """Return status and word of /health."""
    status, _, body = await running.get("/health")
    return status, json.loads(body)["status"]


async def test_health_lists_what_is_wrong_with_the_configuration(setup):
    """503 though everything valid is served."""
    setup.problems = ["config.yaml:1: ttl: found 'x'; allowed: y"]
    async with setup.running() as running:
        await running.cache.prefetch()
        status, _, body = await running.get("/health")

    assert (503, "degraded", setup.problems) == (
        status,
        json.loads(body)["status"],
        json.loads(body)["problems"],
    )


async def test_health_lists_warnings_and_stays_200(setup):
    """Whatever is listed is served, be it nothing; a problem of the configuration still makes it 503."""
    setup.warnings, setup.names = ["nothing is listed"], []
    async with setup.running() as running:
        status, _, body = await running.get("/health")
        setup.problems = ["wrong"]
        wrong, _, longer = await running.get("/health")

    assert (200, {"status": "degraded", "problems": ["nothing is listed"], "secrets": []}) == (status, json.loads(body))
    assert (503, ["wrong", "nothing is listed"]) == (wrong, json.loads(longer)["problems"])


async def test_ping(running):
    """As the Secrets Manager Agent answers it."""
    assert (200, b"healthy") == (await running.get("/ping"))[::2]
