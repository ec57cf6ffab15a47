"""What fails after the registration, and what answers then."""

import json
import resource
import signal

import pytest

from tests.support.extension import broken, get, next_is_open, shut_down
from tests.support.fakes import CANARY


def test_a_fallback_that_fails_is_tried_again(api, start, tmp_path):
    """No exception ends the process."""
    before = """
from secrets_cache.extension.extensions_api import ExtensionsApi
class Api(ExtensionsApi):
    tries = 0
    def wait_for_shutdown(self, *arguments):
        self.tries += 1
        if self.tries == 1:
            raise ZeroDivisionError
        return super().wait_for_shutdown(*arguments)
import os
from secrets_cache.extension.start import run
os._exit(run(Api(os.environ["AWS_LAMBDA_RUNTIME_API"], "secrets-cache"), os.environ))
"""
    kept_from_serving = {"SECRETS_CACHE_LANES": "0", **broken(tmp_path, "aiohttp", "MemoryError")}
    with start(before=before, **kept_from_serving) as extension:
        extension.log.wait_for("MemoryError")
        extension.log.wait_for("ZeroDivisionError")
        assert next_is_open(api)
        assert 503 == get(f"{extension.url}/ping")[0]
        shut_down(api, extension)


def test_what_cannot_be_imported_leaves_the_fallback(api, start, tmp_path):
    """The function is answered, the log says why, and the process stays until SHUTDOWN. Plain YAML needs no PyYAML."""
    with start(SECRETS_CACHE_LANES="0", **broken(tmp_path, "yaml", "ImportError")) as extension:
        line = extension.event("internal.error")
        assert next_is_open(api)
        status, body = get(f"{extension.url}/cache/db")
        shut_down(api, extension)

    assert ("extension", "ImportError") == (line["where"], line["error"])
    assert (503, "upstream-unavailable") == (status, json.loads(body)["code"])
    assert CANARY not in extension.log.text


@pytest.mark.parametrize("end", ["SHUTDOWN", "SIGTERM"])
def test_a_server_that_cannot_start_leaves_the_fallback(api, start, tmp_path, end):
    """It answers, writes no core dump, and ends with 0: the limit is set before anything else can fail."""
    with start(SECRETS_CACHE_LANES="0", **broken(tmp_path, "aiohttp", "MemoryError")) as extension:
        assert "MemoryError" == extension.event("internal.error")["error"]
        assert next_is_open(api)
        assert 503 == get(f"{extension.url}/ping")[0]
        assert (0, 0) == resource.prlimit(extension.process.pid, resource.RLIMIT_CORE)
        if end == "SHUTDOWN":
            shut_down(api, extension)
        else:
            extension.process.send_signal(signal.SIGTERM)
            assert 0 == extension.exit_code()


def test_a_server_without_aiohttp_answers_what_does_not_need_it(api, start, tmp_path):
    """Other requests get an error, and no other caller notices."""
    with start(**broken(tmp_path, "aiohttp", "MemoryError")) as extension:
        assert next_is_open(api)
        assert (200, CANARY) == get(f"{extension.url}/cache/db")
        assert 500 == get(f"{extension.url}/cache/db", **{"X-Other": "x"})[0]
        assert (200, CANARY) == get(f"{extension.url}/cache/db")
        shut_down(api, extension)

    assert "connection" == extension.event("internal.error")["where"]


def test_a_client_that_cannot_be_imported_is_an_internal_error(api, start, tmp_path):
    """For the caller, and in the log."""
    with start(SECRETS_CACHE_LANES="0", **broken(tmp_path, "aiobotocore", "ImportError")) as extension:
        failed = extension.event("secret.fetch_failed")
        assert 503 == get(f"{extension.url}/cache/db")[0]
        assert next_is_open(api)
        shut_down(api, extension)

    assert ("internal-error", True) == (failed["code"], "aiobotocore could not be imported" in failed["reason"])
    assert CANARY not in extension.log.text
