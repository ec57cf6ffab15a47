"""The supervisor: whatever of the seams breaks, the process stays until SHUTDOWN, and callers get an answer."""

import http.client
import json
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import PATIENCE_SECONDS
from tests.support import breaking
from tests.support.extension import asking_function, link_layer, next_is_open
from tests.support.fakes import CANARY
from tests.support.pages import ROOT, rows_of
from tests.support.processes import EXTENSION, Process, config
from tests.support.seams import SEAMS, Callers, Seam
from tests.support.upstream import Upstream
from tools.emulator import Emulator

RELIABILITY = ROOT / "docs" / "reliability.md"

STATUSES = {
    Callers.SERVED: {200},
    Callers.HEALED: {200, 500, 503},
    Callers.LAST_RESORT: {503},
    Callers.REFUSED: {404, 500, 503},
}


@pytest.fixture(name="broken")
def _broken(api, upstream, container, tmp_path):
    """Give a function that makes the process of an extension in which something breaks."""
    upstream.put("db", CANARY)
    upstream.parameters["db"] = CANARY

    def broken(seam: Seam) -> Process:
        option, code, name = EXTENSION
        api.answers.update({path: list(answers) for path, answers in seam.answers.items()})
        # Wherever it goes, it is this package that it imports.
        code = f"import os, sys\nsys.path[0] = os.getcwd()\nimport tests.support.breaking as b\n{seam.before}\n{code}"
        environ = {
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": container.url + "/",
            **config(tmp_path, seam.text),
            **seam.environ,
        }
        # A measurement of coverage would break as well, and write files.
        return Process((option, code, name), {**environ, "COVERAGE_PROCESS_START": "", "COVERAGE_PROCESS_CONFIG": ""})

    return broken


def ask(extension: Process, path: str = "/cache/db", headers: dict[str, str] | None = None) -> tuple[int, str]:
    """Return status and body; 0 for no connection, or one that ended without an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", extension.port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", path, headers=headers or {})
        with connection.getresponse() as response:
            return response.status, response.read().decode()
    except ConnectionError:
        return 0, ""
    finally:
        connection.close()


def ask_until_healed(extension: Process) -> tuple[int, str]:
    """Ask until there is a secret, or it takes too long."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    answer = ask(extension)
    while answer[0] != 200 and time.monotonic() < deadline:
        time.sleep(0.1)
        answer = ask(extension)
    return answer


@pytest.mark.parametrize("seam", SEAMS, ids=lambda seam: seam.what)
def test_whatever_breaks_the_function_is_answered_and_the_process_stays(api, broken, seam):
    """The init ends, each request gets an answer, SHUTDOWN ends the process with 0, and a line of the log says why."""
    with broken(seam) as extension:
        assert next_is_open(api)
        status, body = ask(extension)
        # Past the fast paths.
        other, _ = ask(extension, headers={"X-Other": "x"})
        if seam.callers is Callers.UNHEARD:
            assert (0, 0) == (status, other)
        else:
            assert status in STATUSES[seam.callers]
            assert 400 <= other < 600 or other == 200
        if seam.callers in {Callers.SERVED, Callers.HEALED}:
            assert (200, CANARY) == ask_until_healed(extension)
        elif seam.callers is Callers.LAST_RESORT:
            assert "secrets-cache could not start; its log says why" == json.loads(body)["detail"]
        assert extension.process.poll() is None
        api.release.set()
        assert 0 == extension.exit_code()
        extension.log.join()

    complaints = [line for line in extension.log.text.splitlines() if '"ERROR"' in line or '"WARNING"' in line]
    assert seam.is_mute or bool(complaints) == bool(seam.says)
    assert not seam.says or [line for line in complaints if all(part in line for part in seam.says)]
    assert CANARY not in extension.log.text


@pytest.mark.parametrize("mebibytes", [2, 3, 4, 6, 8, 12, 16, 24])
def test_where_memory_runs_out_the_function_lives(api, broken, mebibytes):
    """Somewhere between two allocations: with an answer, if there is the memory for one, and a good end."""
    # Where memory runs out is chance, and now and then it is inside the interpreter: CPython 3.11 then goes round for
    # ever, aborts or breaks while it imports asyncio. No line of ours runs any more, so such a try says nothing of us:
    # the next one has a quarter of a mebibyte more.
    for quarters in range(4):
        before = f"""
import resource
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ({4 * mebibytes + quarters} << 18),) * 2)
"""
        with broken(Seam("memory", Callers.HEALED, before=before)) as extension:
            if not api.wait_until(lambda: "/event/next" in api.paths(), PATIENCE_SECONDS / 3):
                # An exit of ours would be a code, and not come from the import of what is ours.
                code = extension.process.poll()
                assert code in {None, -signal.SIGABRT, -signal.SIGSEGV} or ", in main" not in extension.log.text
                continue
            assert {ask(extension)[0], ask(extension, headers={"X-Other": "x"})[0]} <= {0, 200, 500, 503}
            assert extension.process.poll() is None
            api.release.set()
            assert 0 == extension.exit_code()
        break
    else:
        pytest.fail("four times it did not get to its first event")

    assert CANARY not in extension.log.text


def invoked_twice(opt: Path, upstream: Upstream, folder: Path, **environ: str) -> tuple[Emulator, list[int]]:
    """Return an environment that has ended without a crash, and the status of each answer that its function got."""
    upstream.put("db", CANARY)
    with asking_function(opt, upstream, folder, "secrets: [db]", **environ) as emulator:
        results = [emulator.invoke(), emulator.invoke()]
        emulator.shut_down()
    assert "Extension.Crash" not in emulator.log.text
    return emulator, [answer["status"] for result in results for answer in (result["at_import"], result["now"])]


LAYER_SEAMS = {
    "a library that cannot be imported": ("secrets-cache/packages/aiohttp/__init__.py", "raise MemoryError", 503),
    "a bundle that is none": ("secrets-cache/start.bundle", "raise SystemExit(1)", 200),
    "a part of ours that ends the process": ("secrets-cache/packages/secrets_cache/app.py", "raise SystemExit(1)", 503),
}


@pytest.mark.parametrize(("file", "code", "status"), LAYER_SEAMS.values(), ids=LAYER_SEAMS.keys())
def test_under_the_emulator_a_damaged_layer_does_not_fail_the_function(opt, upstream, tmp_path, file, code, status):
    """Lambda's own supervisor sees no crash, and each invocation gets its answer."""
    damaged = link_layer(opt, tmp_path / "opt")
    for compiled in (damaged / file).parent.glob("__pycache__/*"):
        compiled.unlink()
    for replaced in (damaged / file, (damaged / file).with_suffix(".pyc"), damaged / "secrets-cache" / "start.bundle"):
        replaced.unlink(missing_ok=True)
    (damaged / file).write_text(code)
    emulator, statuses = invoked_twice(damaged, upstream, tmp_path, SECRETS_CACHE_LANES="0")

    assert [status] * 4 == statuses
    assert (status == 503) == ("internal.error" in {line["event"] for line in emulator.log.events()})


@pytest.mark.parametrize("end", [">&-", "> /dev/full", "| true"], ids=["closed", "full", "broken"])
def test_under_the_emulator_a_log_that_cannot_be_written_does_not_fail_the_function(opt, upstream, tmp_path, end):
    """It is served as ever."""
    other = link_layer(opt, tmp_path / "opt")
    launcher = other / "extensions" / "secrets-cache"
    head, _, rest = launcher.read_text().partition("exec ")
    launcher.unlink()
    launcher.write_text(f"{head}exec {rest.rstrip()} {end}\n" if end[0] == ">" else f"{head}{rest.rstrip()} {end}\n")
    launcher.chmod(0o755)

    assert [200] * 4 == invoked_twice(other, upstream, tmp_path)[1]


def test_the_seams_are_those_of_the_page():
    """The page has how many of the seams leave callers with what."""
    shown = {callers: int(cases) for callers, cases, _ in rows_of(RELIABILITY, "callers get")}

    assert Counter(seam.callers.value for seam in SEAMS) == shown


def test_the_canary_of_what_breaks_is_everybodys():
    """It has one of its own, since the other one's module imports what is to be broken."""
    assert breaking.CANARY == CANARY
