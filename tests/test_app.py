"""The whole graph in one loop: configuration in, answers out."""

import asyncio
import contextlib
import resource

import aiohttp
import pytest

from secrets_cache.app import fetches_late, listed_by, running
from secrets_cache.config import parse
from secrets_cache.listeners import bind
from secrets_cache.secret import Ref
from tests.conftest import PATIENCE_SECONDS
from tests.fakes import CANARY


class App:
    """What a caller sees of a running graph."""

    def __init__(self, cache, client, url) -> None:
        self.cache = cache
        self.client = client
        self.url = url

    async def get(self, path: str):
        async with self.client.get(self.url + path) as response:
            return response.status, response.headers.get("Cache-Status"), await response.text()


@contextlib.asynccontextmanager
async def app(text: str, **environ: str):
    """Run the graph that a configuration describes."""
    import os

    environ = {**os.environ, **environ}
    config = parse(text.encode(), file="config.yaml", environ=environ)
    sockets, _ = bind(0)
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    async with running(config, sockets=sockets, environ=environ) as cache, aiohttp.ClientSession() as client:
        yield App(cache, client, url)


async def until(condition) -> None:
    """Wait until something that another task brings about is so."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - what is waited for is in another thread
            await asyncio.sleep(0.005)


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
    async with app("secrets: [db]\nttl: 0.4s\nrefresh_ahead: 50%") as running_app:
        await running_app.cache.prefetch()
        upstream.put("db", f"{CANARY} 2")
        await until(lambda: upstream.count() >= 3)

        assert (200, "secrets-cache; hit", f"{CANARY} 2") == await running_app.get("/cache/db")


async def test_the_timer_survives_an_error_of_ours(upstream, caplog, monkeypatch):
    """One line in the log, and the next refresh comes all the same."""
    upstream.put("db", CANARY)
    async with app("secrets: [db]\nttl: 0.2s\nrefresh_ahead: 50%") as running_app:
        due = running_app.cache.refresh_due

        def broken() -> None:
            monkeypatch.setattr(running_app.cache, "refresh_due", due)
            raise ZeroDivisionError

        monkeypatch.setattr(running_app.cache, "refresh_due", broken)
        await until(lambda: upstream.count() >= 3)

    assert "internal.error" in [record.msg for record in caplog.records]


async def test_under_snapstart_nothing_is_fetched_before_the_first_request(upstream):
    """No secret lies in the snapshot; the first request brings them all."""
    upstream.put("one", CANARY)
    upstream.put("two", CANARY)
    environ = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
    async with app("secrets: [one, two]", **environ) as running_app:
        await asyncio.sleep(0.1)
        assert 0 == len(upstream.calls)
        assert b"pending".decode() in (await running_app.get("/health"))[2]
        assert 0 == len(upstream.calls)

        assert (200, CANARY) == (await running_app.get("/cache/one"))[::2]
        await until(lambda: upstream.count("two") == 1)

    assert fetches_late(environ)
    assert not fetches_late({"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"})


async def test_the_configuration_reaches_what_it_configures(upstream):
    """Token, allow, ttl of one secret, batch: each has its effect."""
    upstream.put("db", CANARY)
    upstream.put("prod/x", CANARY)
    text = "secrets: [{id: db, ttl: 0.05s}]\nallow: ['prod/*']\nbatch: always\nrefresh_ahead: 0\nserver: {token: t}"
    async with app(text) as running_app:
        assert 401 == (await running_app.get("/cache/db"))[0]
        running_app.client.headers["X-Aws-Parameters-Secrets-Token"] = "t"
        assert 200 == (await running_app.get("/cache/db"))[0]
        assert 200 == (await running_app.get("/cache/prod/x"))[0]
        await asyncio.sleep(0.06)
        assert "secrets-cache; fwd=stale" == (await running_app.get("/cache/db"))[1]

    assert 1 == upstream.count(operation="BatchGetSecretValue")


async def test_problems_of_the_configuration_show_in_health(upstream):
    """With the same words as in the log."""
    async with app("ttl: soon") as running_app:
        status, _, body = await running_app.get("/health")

    assert 503 == status
    assert "config.yaml:1: ttl: found 'soon'; allowed: a duration" in body


async def test_no_core_dump_is_ever_written(upstream):
    """Memory holds secrets, and a core dump is memory on a disk."""
    async with app(""):
        assert (0, 0) == resource.getrlimit(resource.RLIMIT_CORE)


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


def test_an_id_that_another_secret_has_as_its_name_belongs_to_that_one():
    """Names come before ids, whatever their order."""
    config = parse(b"secrets: [{id: a, name: b}, {id: b, name: a}, c]", file="f", environ={})

    assert [(Ref("a"), ("b",)), (Ref("b"), ("a",)), (Ref("c"), ("c",))] == [
        (item.ref, item.names) for item in listed_by(config)
    ]
