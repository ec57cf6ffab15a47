"""`/metrics` of `secrets-cache serve`, in both of its forms."""

from collections.abc import Iterator
from urllib.request import Request, urlopen

from tests.conftest import PATIENCE_SECONDS
from tests.support.fakes import CANARY
from tests.support.processes import config, serve
from tests.unit.server.test_prometheus import OPENMETRICS, PROMETHEUS, parsed


def read_metrics(url: str) -> Iterator[tuple[str, str]]:
    """Return content type and text of both forms."""
    for accept in ("application/openmetrics-text", "text/plain"):
        request = Request(f"{url}/metrics", headers={"Accept": accept})
        with urlopen(request, timeout=PATIENCE_SECONDS) as response:
            yield response.headers["Content-Type"], response.read().decode()


def test_serve_has_metrics(upstream, tmp_path):
    """With the names of secrets once they are asked for; never a value."""
    upstream.put("db", CANARY)
    file = config(tmp_path, "{secrets: [db], metrics: {by_secret: true}}")["SECRETS_CACHE_CONFIG"]
    with serve(file) as process:
        process.event("serve.ready")
        (new_type, new), (old_type, old) = read_metrics(process.url)

    assert (OPENMETRICS, PROMETHEUS) == (new_type, old_type)
    for text, is_openmetrics in ((new, True), (old, False)):
        _, samples = parsed(text, is_openmetrics=is_openmetrics)
        assert 1 == samples["secrets_cache_refreshes_total", ()]
        assert 1 == samples["secrets_cache_secret_servable", (("secret", "db"),)]
        assert 0 < samples["secrets_cache_fetch_duration_seconds_sum", ()] < PATIENCE_SECONDS
    assert "metrics.counted" not in process.log.text
