"""`serve` on SIGHUP: the configuration is read again while it serves."""

import signal
from pathlib import Path

import pytest

from tests.conftest import PATIENCE_SECONDS
from tests.process.test_serve import Asking
from tests.support.extension import get
from tests.support.fakes import CANARY
from tests.support.processes import Process, config, serve


def write(tmp_path: Path, text: str) -> str:
    """Write the configuration; return its path."""
    return config(tmp_path, text)["SECRETS_CACHE_CONFIG"]


def hang_up(process: Process, event: str) -> dict[str, object]:
    """Send SIGHUP; return the fields of the event that follows."""
    process.process.send_signal(signal.SIGHUP)
    return process.event(event)


def test_what_is_new_is_fetched_what_is_gone_is_dropped_and_the_rest_is_kept(upstream, tmp_path):
    """The port stays open, and what only a new process can change is named."""
    for name in ("old", "kept", "new"):
        upstream.put(name, CANARY)
    with serve(write(tmp_path, "secrets: [old, kept]")) as process:
        process.event("serve.ready")
        write(tmp_path, "secrets: [kept, new]\nfetch_timeout: 9s\nserver: {aws_port: 1, token: abc}")
        reloaded = hang_up(process, "config.reloaded")

        assert (2, 0) == (reloaded["secrets"], reloaded["failed"])
        settings = ["fetch_timeout", "server.aws_port", "server.token"]
        assert settings == process.event("config.restart_needed")["settings"]
        assert [404, 200, 200] == [get(f"{process.url}/cache/{name}")[0] for name in ("old", "kept", "new")]
        assert 1 == upstream.count("kept")
        process.process.send_signal(signal.SIGTERM)
        assert 0 == process.exit_code()


def test_a_file_that_was_not_there_at_the_start_is_read(upstream, tmp_path):
    """Nothing asks for a new process, no answer says that there is no file; and once read, it must not be missing."""
    upstream.put("db", CANARY)
    with Process(("-m", "secrets_cache", "serve"), {"LAMBDA_TASK_ROOT": str(tmp_path)}) as process:
        process.event("serve.ready")
        (tmp_path / "config.yaml").write_text("secrets: [db]")
        hang_up(process, "config.reloaded")

        assert (200, CANARY) == get(f"{process.url}/cache/db")
        assert "there is no config.yaml" not in get(f"{process.url}/cache/other")[1]
        (tmp_path / "config.yaml").unlink()
        assert "no such file any more" in str(hang_up(process, "config.not_reloaded")["reason"])
        assert (200, CANARY) == get(f"{process.url}/cache/db")
        assert "config.restart_needed" not in {line["event"] for line in process.log.events()}
        process.process.send_signal(signal.SIGTERM)
        assert 0 == process.exit_code()


@pytest.mark.parametrize(
    ("text", "strict", "said"),
    [
        (None, "", "there is no such file any more"),
        ("\n", "", "it is empty"),
        ("secrets: [unclosed", "", "the file cannot be read"),
        ("secrets: [new]\ntll: 5", "1", "it has problems, and SECRETS_CACHE_STRICT is set"),
    ],
)
def test_what_cannot_be_read_changes_nothing(upstream, tmp_path, text, strict, said):
    """The problem is logged, and the next SIGHUP may find a better file."""
    for name in ("db", "new"):
        upstream.put(name, CANARY)
    file = Path(write(tmp_path, "secrets: [db]"))
    with serve(file, SECRETS_CACHE_STRICT=strict) as process:
        process.event("serve.ready")
        file.unlink() if text is None else write(tmp_path, text)
        assert str(hang_up(process, "config.not_reloaded")["reason"]).startswith(said)
        if said != "it is empty":
            process.event("config.invalid")
        assert [200, 404] == [get(f"{process.url}/cache/{name}")[0] for name in ("db", "new")]
        assert 200 == get(f"{process.url}/health")[0]
        write(tmp_path, "secrets: [new]")
        hang_up(process, "config.reloaded")

        assert [404, 200] == [get(f"{process.url}/cache/{name}")[0] for name in ("db", "new")]


def test_a_request_under_way_gets_its_answer(upstream, tmp_path):
    """Also one for what is gone now; and a setting that is wrong counts with its default, as at the start."""
    upstream.put("db", CANARY)
    with serve(write(tmp_path, "secrets: [db]")) as process:
        process.event("serve.ready")
        upstream.delay = 1.0
        upstream.arrived.clear()
        asking = Asking(f"{process.url}/cache/db?refresh=true")
        assert upstream.arrived.wait(PATIENCE_SECONDS)
        write(tmp_path, "ttl: soon")
        hang_up(process, "config.reloaded")
        asking.join()

        assert (200, CANARY) == asking.got
        assert 404 == get(f"{process.url}/cache/db")[0]
        assert 503 == get(f"{process.url}/health")[0]
