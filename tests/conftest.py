"""Fixtures, and the rule that no test's secrets may show."""

import functools
import logging
import os
import re
import signal
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import JSONFileLoader
from hypothesis import settings

from secrets_cache.aws.choice import Clients
from secrets_cache.aws.direct import DirectClient
from secrets_cache.aws.endpoints import BOTOCORE_VARIABLES
from secrets_cache.system.clock import SystemClock
from tests.support.container import Container
from tests.support.fakes import CANARY, FakeClock, FakeSource
from tests.support.lambda_api import LambdaApi
from tests.support.locks import locked
from tests.support.upstream import Upstream
from tools import sandbox
from tools.emulator import ROOT, built_layer, unpack
from tools.layer import interpreter

# The bound of every wait in the tests, by one factor: long enough where several tests share a core.
PATIENCE_SECONDS = 30 * float(os.environ.get("SECRETS_CACHE_TEST_PATIENCE", "1"))
# And one for the examples of every property test: `make fuzz` has more of them.
EXAMPLES = int(os.environ.get("SECRETS_CACHE_TEST_EXAMPLES", "1"))
settings.register_profile("ours", max_examples=100 * EXAMPLES, deadline=None)
settings.load_profile("ours")

for variable in [name for name in os.environ if name.startswith(("AWS_", "SECRETS_CACHE_", "CACHE_TIMEOUT"))]:
    if not variable.startswith("SECRETS_CACHE_TEST_"):
        del os.environ[variable]
# A shell's background job ignores it, and so would all that the tests start.
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
os.environ.update(
    AWS_REGION="eu-west-1",
    AWS_ACCESS_KEY_ID="AKIDEXAMPLE",
    AWS_SECRET_ACCESS_KEY=f"{CANARY}-key",
    AWS_SESSION_TOKEN=f"{CANARY}-session",
    AWS_EC2_METADATA_DISABLED="true",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give xdist what tells its processes which test is next."""
    from tests.support.scheduling import Scheduling

    return Scheduling(config, log)


@pytest.fixture(autouse=True)
def no_secret_shows(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[None]:
    """Fail any test whose log or output holds a canary, unless it is marked `shows_secrets` with the reason."""
    logging.getLogger("secrets_cache").setLevel(logging.DEBUG)
    yield
    written = "".join(capfd.readouterr())
    if request.node.get_closest_marker("shows_secrets") is None:
        assert CANARY not in caplog.text
        assert CANARY not in repr([record.args for record in caplog.get_records("call")])
        assert CANARY not in written


@pytest.fixture(scope="session", autouse=True)
def _parsed_once() -> Iterator[None]:
    """Let botocore parse each of its data files once: most of what a client costs, and tests make a thousand."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(JSONFileLoader, "load_file", staticmethod(functools.cache(JSONFileLoader().load_file)))
        yield


@pytest.fixture(name="remembering")
def _remembering(no_secret_shows: None) -> None:
    """Let the fast path remember, which it does not where each request is logged."""
    logging.getLogger("secrets_cache").setLevel(logging.INFO)


@pytest.fixture(name="clock")
def _clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(name="source")
async def _source() -> FakeSource:
    return FakeSource()


@pytest.fixture(name="upstream")
def _upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    with Upstream() as upstream:
        monkeypatch.setenv("AWS_ENDPOINT_URL", upstream.url)
        yield upstream


@pytest.fixture(name="opt", scope="session")
def _opt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the built layer as Lambda unpacks it into /opt, where this machine lets a test have an /opt of its own."""
    reason = sandbox.why_impossible()
    if reason is not None and not os.environ.get("CI"):
        pytest.skip(f"there can be no /opt of its own here: {reason}")
    assert reason is None
    # One for all processes that run tests: whichever comes first unpacks it.
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    opt = shared / "layer" / "opt"
    with locked(shared / "layer.lock"):
        if not opt.exists():
            partial = opt.with_name("partial")
            unpack(built_layer(), partial)
            partial.rename(opt)
    return opt


@pytest.fixture(name="real", scope="session")
def _real() -> interpreter.Interpreter:
    """Give the interpreter that ships and that the layer under test has. Elsewhere skip, but never in CI."""
    line = (built_layer().parent / str(interpreter.HOST)).read_text("utf-8")
    found = re.search(r": CPython (\S+) \(python-build-standalone\)", line)
    if found is None and not os.environ.get("CI"):
        pytest.skip(line)
    assert found is not None, line
    return interpreter.from_uv(str(interpreter.HOST), ROOT / ".cache" / "python", found[1])


@pytest.fixture(name="script", scope="session")
def _script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the wrapper's script for a machine without the layer."""
    text = (ROOT / "wrapper" / "get-secrets-layer").read_text(encoding="utf-8")
    packages = ":".join(str(path) for path in (ROOT, sysconfig.get_path("purelib")))
    script = tmp_path_factory.mktemp("opt") / "get-secrets-layer"
    ours = text.replace("/opt/secrets-cache/bin/python3", sys.executable).replace(
        'sys.path.append("/opt/secrets-cache/packages")',
        f"sys.path.extend({packages.split(':')!r} + [p for p in {sys.path!r} if 'site-packages' in p])",
    )
    assert ours.count(sys.executable) == 1
    script.write_text(ours, encoding="utf-8")
    script.chmod(0o755)
    return script


@pytest.fixture(name="fast_paths", params=["1", "0"], ids=["fast", "library"])
def _fast_paths(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test on the fast paths, and on the libraries."""
    for name in BOTOCORE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.setenv("SECRETS_CACHE_LANES", request.param)
    client = Clients(os.environ, timeout_seconds=1, clock=SystemClock()).create("secretsmanager")
    assert (request.param == "1") == isinstance(client, DirectClient)


@pytest.fixture(name="api")
def _api() -> Iterator[LambdaApi]:
    """Give a stub of the Extensions API."""
    with LambdaApi() as api:
        yield api


@pytest.fixture(name="container")
def _container() -> Iterator[Container]:
    """Give a container's endpoint that gives credentials."""
    with Container() as container:
        yield container
