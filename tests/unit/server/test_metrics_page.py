"""The page `/metrics`: who gets it, and that there is none without the library."""

import sys

import pytest

from secrets_cache.server.access import TOKEN_HEADER
from secrets_cache.server.metrics_page import MetricsPage, build_metrics_page
from tests.support.http_server import Setup
from tests.unit.server.test_prometheus import OPENMETRICS, PROMETHEUS, parsed


@pytest.fixture(name="measured")
async def _measured(setup: Setup) -> Setup:
    setup.metrics = MetricsPage(started_at=setup.clock.now().wall, by_secret=False)
    return setup


async def test_metrics_are_answered_in_either_form(measured):
    """With the content type of the form; what has happened since is in the next answer."""
    async with measured.running() as running:
        for accept, content_type in (("application/openmetrics-text", OPENMETRICS), ("*/*", PROMETHEUS)):
            await running.get("/cache/json")
            await running.get("/cache/json")
            status, headers, body = await running.get("/metrics", Accept=accept)
            _, samples = parsed(body.decode(), is_openmetrics=content_type == OPENMETRICS)

            assert (200, content_type, "no-store") == (status, headers["Content-Type"], headers["Cache-Control"])
            assert running.cache.counts.hits == samples["secrets_cache_hits_total", ()]
            assert len(running.names) == samples["secrets_cache_secrets", (("state", "fresh"),)]
        assert (200, b"") == (await running.get("/metrics", method="HEAD"))[::2]
        assert 3 == running.cache.counts.hits


async def test_metrics_start_no_fetch(measured):
    """As /health."""
    async with measured.running() as running:
        await running.get("/metrics")

        assert 0 == running.cache.counts.fetches_started
        assert [] == running.source.asked_together


async def test_metrics_need_the_token_where_there_is_one(measured):
    """And are for this machine only."""
    measured.tokens = ("t",)
    async with measured.running() as running:
        assert "token-required" == (await running.problem("/metrics"))["code"]
        assert "forbidden" == (await running.problem("/metrics", Via="x"))["code"]
        assert "method-not-allowed" == (await running.problem("/metrics", method="POST"))["code"]
        assert 200 == (await running.get("/metrics", **{TOKEN_HEADER: "t"}))[0]


async def test_without_a_page_of_metrics_the_path_is_unknown(setup):
    """As in Lambda: nobody could collect them."""
    async with setup.running() as running:
        told = await running.problem("/metrics")

    assert ("not-found", "the paths of this server are /cache/<name>, /health and /ping") == (
        told["code"],
        told["detail"],
    )


def test_without_the_library_there_is_no_page_and_the_log_names_the_library(monkeypatch, caplog):
    """As in the layer, whose Python does not hold it; the server itself goes on."""
    for name in [name for name in sys.modules if name.split(".")[0] == "prometheus_client"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [])

    assert build_metrics_page(started_at=0.0, by_secret=False) is None
    assert [("metrics.unavailable", {"missing": "prometheus_client"})] == [
        (record.msg, record.args) for record in caplog.records
    ]
