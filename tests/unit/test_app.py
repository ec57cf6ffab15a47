"""The whole graph in one loop: configuration in, answers out."""

import asyncio
import contextlib
import json
import logging
from typing import Any

import aiohttp
import pytest

from secrets_cache.app import build_cache, refresh_when_due, run_application
from secrets_cache.aws.endpoints import BOTOCORE_VARIABLES
from secrets_cache.config import parse
from secrets_cache.core.secret import Ref
from secrets_cache.system.sockets import bind, open_sockets
from tests.conftest import PATIENCE_SECONDS
from tests.support import upstream as stub
from tests.support.fakes import CANARY
from tests.unit.aws.test_sts import DENIED


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing of this machine keep the fast paths out; a test that uses `fast_paths` runs without them as well."""
    for name in BOTOCORE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/nonexistent")


class App:
    """What a caller sees of a running graph."""

    def __init__(self, application, client, url) -> None:
        self.application = application
        self.client = client
        self.url = url

    async def settled(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.application.prefetching

    def tick(self, clock, seconds: float) -> None:
        """Let time pass, and let the timer look at the clock."""
        clock.tick(seconds)
        self.application.cache.changed.set()

    async def get(self, path: str):
        async with self.client.get(self.url + path) as response:
            return response.status, response.headers.get("Cache-Status"), await response.text()


@contextlib.asynccontextmanager
async def app(text: str, *, clock=None, **environ: str):
    """Run the graph that a configuration describes, on the machine's clock or another one."""
    import os

    environ = {**os.environ, **environ}
    config = parse(text.encode(), file="config.yaml", environ=environ)
    sockets = open_sockets(bind(0)[0])
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    async with (
        run_application(config, sockets=sockets, environ=environ, clock=clock) as application,
        aiohttp.ClientSession() as client,
    ):
        yield App(application, client, url)


async def until(condition) -> None:
    """Wait until something that another task brings about is so."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - what is waited for is in another thread
            await asyncio.sleep(0.005)


@pytest.mark.usefixtures("fast_paths")
async def test_what_is_listed_is_prefetched_and_served_under_each_of_its_names(upstream):
    """Name, alias and ARN; one call for all of them."""
    upstream.put("prod/db", CANARY)
    async with app("secrets: [{id: prod/db, name: db}]") as running_app:
        for name in ("db", "prod/db", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbCdEf"):
            assert (200, CANARY) == (await running_app.get(f"/cache/{name}"))[::2]

    assert 1 == upstream.count()


async def test_a_refresh_comes_by_itself_before_the_value_expires(upstream):
    """The timer refreshes ahead; nobody has to ask."""
    upstream.put("db", f"{CANARY} 1")
    async with app("secrets: [db]\nttl: 1s\nrefresh_ahead: 80%") as running_app:
        await running_app.settled()
        upstream.put("db", f"{CANARY} 2")
        await until(lambda: upstream.count() >= 3)

        assert (200, "secrets-cache; hit", f"{CANARY} 2") == await running_app.get("/cache/db")


async def test_a_thousand_names_besides_the_listed_ones_are_kept(source, clock, caplog):
    """The least recently used goes first; what is listed never."""
    # A line for each of them would take longer than all else.
    caplog.set_level(logging.WARNING, "secrets_cache")
    names = ["listed", *(f"n{number}" for number in range(1001))]
    source.values.update(dict.fromkeys(names, 1))
    config = parse(b"secrets: [listed]\nallow: ['n*']", file="config.yaml", environ={})
    cache = build_cache(config, source, clock)
    for name in (*names, "listed", "n1000", "n1", "n0"):
        await cache.get(name)
    await cache.aclose()

    assert [(Ref("listed"),)] == source.asked_together
    assert [0, 1, 1, 2] == [source.fetched.count(Ref(name)) for name in ("listed", "n1000", "n1", "n0")]


@pytest.mark.parametrize("error", [ZeroDivisionError, asyncio.CancelledError, SystemExit])
@pytest.mark.parametrize("broken", ["refresh_due", "seconds_to_next_refresh"])
async def test_the_timer_survives_an_error_of_ours(caplog, broken, error):
    """One line in the log, and the next refresh comes all the same."""

    class Due:
        """A cache in which something is always due, and that breaks the first time."""

        def __init__(self) -> None:
            self.changed = asyncio.Event()
            self.again = asyncio.Event()
            self.calls = 0

        def seconds_to_next_refresh(self) -> float:
            self.breaks("seconds_to_next_refresh")
            return 0.0

        def refresh_due(self) -> None:
            self.breaks("refresh_due")
            self.again.set()

        def breaks(self, name: str) -> None:
            self.calls += name == broken
            if self.calls == 1 and name == broken:
                raise error

    cache: Any = Due()
    task = asyncio.create_task(refresh_when_due(cache, pause_seconds=0.01))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await cache.again.wait()
    task.cancel()

    assert ["internal.error"] == [record.msg for record in caplog.records]


async def test_the_timer_pauses_after_an_error_of_ours(caplog):
    """What fails at once, again and again, must not take the processor for itself."""

    class Broken:
        changed = asyncio.Event()
        calls = 0

        def seconds_to_next_refresh(self) -> float:
            self.calls += 1
            raise ZeroDivisionError

        def refresh_due(self) -> None:
            """Never called."""

    cache: Any = Broken()
    task = asyncio.create_task(refresh_when_due(cache, pause_seconds=3600))
    for _ in range(100):
        await asyncio.sleep(0)
    task.cancel()

    assert 1 == cache.calls


async def test_under_snapstart_nothing_is_fetched_before_the_first_request(upstream):
    """No secret lies in the snapshot; the first request brings them all."""
    upstream.put("one", CANARY)
    upstream.put("two", CANARY)
    environ = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
    async with app("secrets: [one, two]", **environ) as running_app:
        assert running_app.application.prefetching is None
        assert "pending" in (await running_app.get("/health"))[2]
        assert 0 == len(upstream.calls)

        assert (200, CANARY) == (await running_app.get("/cache/one"))[::2]
        await until(lambda: upstream.count("two") == 1)


async def test_the_configuration_reaches_what_it_configures(upstream, clock):
    """Token, allow, ttl of one secret, batch: each has its effect."""
    upstream.put("db", CANARY)
    upstream.put("prod/x", CANARY)
    text = "secrets: [{id: db, ttl: 5s}]\nallow: ['prod/*']\nbatch: always\nrefresh_ahead: 0\nserver: {token: t}"
    async with app(text, clock=clock) as running_app:
        assert 401 == (await running_app.get("/cache/db"))[0]
        running_app.client.headers["X-Aws-Parameters-Secrets-Token"] = "t"
        assert 200 == (await running_app.get("/cache/db"))[0]
        assert 200 == (await running_app.get("/cache/prod/x"))[0]
        clock.tick(6)
        assert "secrets-cache; fwd=stale" == (await running_app.get("/cache/db"))[1]

    assert 1 == upstream.count(operation="BatchGetSecretValue")


async def test_problems_of_the_configuration_show_in_health(upstream):
    """With the same words as in the log."""
    async with app("ttl: soon") as running_app:
        status, _, body = await running_app.get("/health")

    assert 503 == status
    assert "config.yaml:1: ttl: found 'soon'; allowed: a duration" in body


async def test_a_required_secret_that_is_missing_shows_in_the_log_and_in_health(upstream, clock, caplog):
    """In the same words, which say which it is and why; and no longer once it is there."""
    upstream.put("db", CANARY)
    upstream.faults.append(stub.ACCESS_DENIED)
    async with app("secrets: [{id: db, required: true}]", clock=clock) as running_app:
        await running_app.settled()
        body = json.loads((await running_app.get("/health"))[2])
        texts = [record.args["text"] for record in caplog.records if record.msg == "secret.required_missing"]
        running_app.tick(clock, 2)
        await until(lambda: upstream.count() == 2)
        assert (200, CANARY) == (await running_app.get("/cache/db"))[::2]
        assert [] == json.loads((await running_app.get("/health"))[2])["problems"]

    assert texts == body["problems"]
    assert ["required secret 'db' could not be fetched: AWS refused secret 'db' with AccessDeniedException"] == [
        text.partition(": User")[0] for text in texts
    ]


@pytest.mark.usefixtures("fast_paths")
async def test_leaving_stops_everything(upstream):
    """No task, no socket, no connection is left."""
    upstream.put("db", CANARY)
    upstream.delay = PATIENCE_SECONDS
    before = asyncio.all_tasks()
    async with app("secrets: [db]") as running_app:
        port_url = running_app.url
        await until(lambda: upstream.calls)

    assert before == asyncio.all_tasks()
    async with aiohttp.ClientSession() as client:
        with pytest.raises(aiohttp.ClientConnectorError):
            await client.get(port_url)


async def test_parameters_are_prefetched_and_served_as_secrets_are(upstream):
    """By name, by ARN, with one slash or two; a path as a whole and each below it; from one call each."""
    upstream.parameters.update({"/prod/flag": f"{CANARY} flag", "/app/a": CANARY, "/app/b/c": f"{CANARY} c"})
    arn = "arn:aws:ssm:eu-west-1:123456789012:parameter/prod/flag"
    async with app("parameters: [/prod/flag, /app/]") as running_app:
        await running_app.settled()
        for name in ("/prod/flag", "prod/flag", "%2Fprod%2Fflag", arn):
            assert (200, f"{CANARY} flag") == (await running_app.get(f"/cache/{name}"))[::2]
        assert (200, f"{CANARY} c") == (await running_app.get("/cache//app/b/c"))[::2]
        assert (200, CANARY) == (await running_app.get("/cache/app/?key=a"))[::2]
        status, _, body = await running_app.get("/cache//app/nope")
        assert 2 == len(upstream.calls)

        assert (404, "secret-not-found") == (status, json.loads(body)["code"])
        health = json.loads((await running_app.get("/health"))[2])
    assert ["/prod/flag", "/app/"] == [item["name"] for item in health["secrets"]]


async def test_parameters_are_refreshed_as_secrets_are(upstream, clock):
    """By the timer, a path as a whole."""
    upstream.parameters.update({"/prod/flag": CANARY, "/app/a": CANARY})
    async with app("parameters: [/prod/flag, /app/]", clock=clock) as running_app:
        await running_app.settled()
        upstream.parameters.update({"/prod/flag": f"{CANARY} other", "/app/a": f"{CANARY} other"})
        running_app.tick(clock, 595)
        for operation in ("GetParameter", "GetParametersByPath"):
            await until(lambda wanted=operation: upstream.count(operation=wanted) == 2)
        await until(lambda: not running_app.application.cache.in_flight)
        for name in ("prod/flag", "app/a"):
            assert (200, f"{CANARY} other") == (await running_app.get(f"/cache/{name}"))[::2]


async def test_a_secret_of_another_role_and_region(upstream):
    """The role is assumed once, with what its trust policy wants; what fails there is told as the role's."""
    upstream.put("db", CANARY)
    role = "{id: db, name: %s, region: us-west-2, role_arn: 'arn:aws:iam::123456789012:role/reader', external_id: '%s'}"
    upstream.fault = lambda call: stub.Answer(403, DENIED) if call.arguments.get("ExternalId") == "wrong" else None
    async with app(f"secrets: [{role % ('a', '123')}, {role % ('b', 'wrong')}]") as running_app:
        assert (200, CANARY) == (await running_app.get("/cache/a"))[::2]
        status, _, body = await running_app.get("/cache/b")

    assert (502, True) == (status, "AWS refused role 'arn:aws:iam::123456789012:role/reader'" in body)
    assert {"us-west-2"} == {call.region for call in upstream.calls}


@pytest.mark.parametrize("text", ["server: {token: t}\nsecrets: [db", "secrets: [db]\nserver:\n\ttoken: t"])
@pytest.mark.parametrize(("token", "statuses"), [("", (404, 404, 503)), ("t", (401, 401, 401))])
async def test_a_file_that_cannot_be_parsed_opens_nothing(upstream, text, token, statuses):
    """Its token is unknown, but so is its list: without a token nothing can be had, whatever the environment names."""
    upstream.put("db", CANARY)
    named = {"SECRETS_CACHE_SECRETS": "db", "SECRET_ARN": "db", "DB": "secretsmanager://db"}
    layer = {"PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": "8080", "AWS_SESSION_TOKEN": "s"}
    async with app(text, SECRETS_CACHE_TOKEN=token, **named, **layer) as running_app:
        received = [(await running_app.get(path))[0] for path in ("/cache/db", "/cache/", "/health")]
        of_layer = [(await running_app.get(path))[0] for path in ("/secretsmanager/get?secretId=db", "/v1/db")]

    assert (list(statuses), [403, 403]) == (received, of_layer)
    assert [] == upstream.calls
