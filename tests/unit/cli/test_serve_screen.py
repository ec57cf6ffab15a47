"""What `serve` shows to people. At a terminal: tests/process/test_serve.py."""

from secrets_cache.cli.serve_screen import ServeScreen
from secrets_cache.system.files import ConfigFile


def make_failure(secret: str, *, still_served: bool = False, seconds: float = 1.0) -> dict[str, object]:
    """Return a line of the log."""
    fields = {"secret": secret, "reason": f"secret {secret!r} is unavailable: no credentials"}
    facts = {"still_served": still_served, "next_try_s": seconds}
    return {"time": "now", "level": "ERROR", "event": "secret.fetch_failed", **fields, **facts}


def test_a_failure_that_goes_on_is_told_in_few_words():
    """Until a fetch succeeds, and for each secret by itself."""
    screen = ServeScreen(ConfigFile("config.yaml", b""), "")
    first = "error: secret.fetch_failed: secret {!r} is unavailable: no credentials"
    refreshed = {"time": "now", "level": "INFO", "event": "secret.refreshed", "secret": "a", "version_id": "1"}

    assert screen.describe(make_failure("a")).startswith(first.format("a"))
    assert "error: a: still failing, next try in 2.5 s" == screen.describe(make_failure("a", seconds=2.5))
    assert screen.describe(make_failure("b")).startswith(first.format("b"))
    assert "info: secret.refreshed (secret: a, version_id: 1)" == screen.describe(refreshed)
    assert screen.describe(make_failure("a")).startswith(first.format("a"))
    served = "error: b: still failing, the old value is served, next try in 1 s"
    assert served == screen.describe(make_failure("b", still_served=True))
