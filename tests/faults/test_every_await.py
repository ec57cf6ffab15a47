"""
Whatever is raised, wherever in the package, once: callers are answered, the function never notices, and it heals.

The points are not listed: an undisturbed life says which functions it calls, and which of them wait. It is then lived
again for each of them, with something raised there.
"""

import contextlib
import http.client
import json
import os
import queue
import socket
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from secrets_cache.server import problems
from secrets_cache.system.sockets import CHANNEL
from tests.conftest import EXAMPLES, PATIENCE_SECONDS
from tests.support.extension import next_is_open
from tests.support.fakes import CANARY
from tests.support.lambda_api import LambdaApi
from tests.support.upstream import ACCESS_DENIED, Answer, Call, Upstream
from tests.support.zygote import GOES_ON, Zygote
from tools.emulator import free_port

# Each part of the points is a test of its own, which lives so many lives at a time.
PARTS, TELLERS = 4, 2
CONFIG = """
secrets: [db, {id: short, ttl: 1s}, {id: role, role_arn: "arn:aws:iam::123456789012:role/reader"}]
parameters: [/app/one]
allow: [late, denied]
fetch_timeout: 1s
refresh_ahead: 50%
env: [{secret: late, as: LATE}]
"""
REQUESTS = (
    "GET /cache/db",
    "GET /cache/db?key=none",
    "GET /cache/short",
    "GET /cache/late",
    "GET /cache/late?refresh=true",
    "GET /cache/denied",
    "GET /cache/other",
    "GET /cache/role",
    "GET /cache//app/one",
    "GET /health",
    "GET /ping",
    "HEAD /cache/db",
    "POST /cache/db",
)
STATUSES = {200, 400, 404, 405, 502, *(problem.status for problem in problems.PROBLEM_TYPES.values())}
ERRORS = {
    "RuntimeError": f"RuntimeError('{CANARY}')",
    "MemoryError": f"MemoryError('{CANARY}')",
    "OSError": f"OSError(12, 'Cannot allocate memory', '{CANARY}')",
    "RecursionError": f"RecursionError('{CANARY}')",
    "SystemExit": f"SystemExit('{CANARY}')",
    "CancelledError": f"__import__('asyncio').CancelledError('{CANARY}')",
}
# Points at which nothing of ours can catch anything, and why that is so.
UNREACHABLE = {
    "extension/start.py:run starts": "the process itself",
    "extension/startup.py:Startup.__init__ starts": "the process itself",
    "extension/extensions_api.py:ExtensionsApi.__init__ starts": "before the process's first try",
    "app.py:refresh_when_due starts": "the task does not begin; the requests still refresh",
    "server/fast_path.py:_Connection.data_received starts": "asyncio calls it, and SystemExit ends that call",
    "server/aiohttp.py:AiohttpConnection.start starts": "aiohttp's task does not begin; its caller has a time-out",
}
# Asynchronous generators that wait for another one: where the error is raised that one runs still, and to close it is a
# RuntimeError, which takes the place of the error.
NESTED = {"aws/store.py:Store.fetch_many goes on", "aws/source.py:AwsSource.fetch_many goes on"}
# Among the points are those of the calls for secrets, parameters and roles.
MODULES = {f"aws/{name}.py" for name in ("credentials", "direct", "parameterstore", "protocols", "renewal", "sts")}
# The connection is there, but not yet, or no longer, what could answer on it: it is closed.
CLOSED = "closed"
# In lines of the log that are part of the story.
STORY_LINES = ("AccessDeniedException", "secret.not_configured", "request.refused", "wrapper.unset")


@dataclass(frozen=True)
class Story:
    """What a life was like: each answer, or what came instead of one; the exit code; the log; the points it passed."""

    answers: dict[str, object]
    exit_code: int | None
    log: str
    points: dict[str, int]
    has_raised: bool

    @property
    def complaints(self) -> list[str]:
        """The lines of the log that say that something is wrong, but for those that are part of the story."""
        lines = [line for line in self.log.splitlines() if '"ERROR"' in line or '"WARNING"' in line]
        return [line for line in lines if not any(part in line for part in STORY_LINES)]


class Teller:
    """Tells one story after the other. A context manager, for one thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log, self._notes, self._config = (folder / name for name in ("log", "notes", "config.yaml"))
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._folder.mkdir()
        self._config.write_text(CONFIG)
        self._upstream = self._stack.enter_context(Upstream(fault=_denied))
        self._zygote = self._stack.enter_context(Zygote())
        for name in ("db", "short", "late", "denied", "role"):
            self._upstream.put(name, CANARY)
        self._upstream.parameters["/app/one"] = CANARY
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def tell(self, broken_at: str = "", error: str = "None") -> Story:
        """Live one life; raise `error` at the point `broken_at`."""
        for file in (self._log, self._notes):
            file.unlink(missing_ok=True)
        with LambdaApi() as api:
            port = free_port()
            environ = self._environ(api, port)
            files = {"log": str(self._log), "notes": str(self._notes)}
            pid = self._zygote.begin({"environ": environ, "broken_at": broken_at, "error": error, **files})
            is_open = next_is_open(api)
            answers = {"/event/next": is_open, **self._ask(port, api.address)}
            api.release.set()
            code = self._zygote.end(pid)
        notes = json.loads(self._notes.read_text()) if self._notes.exists() else {}
        return Story(answers, code, self._log.read_text(), notes.get("points", {}), bool(notes.get("has_raised")))

    def _environ(self, api: LambdaApi, port: int) -> dict[str, str]:
        plain = {name: value for name, value in os.environ.items() if name.startswith("AWS_") or name == "PATH"}
        return {
            **plain,
            "HOME": "/nonexistent",
            "AWS_ENDPOINT_URL": self._upstream.url,
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "SECRETS_CACHE_PORT": str(port),
            "SECRETS_CACHE_CONFIG": str(self._config),
        }

    def _ask(self, port: int, address: str) -> dict[str, object]:
        """Ask for everything once, each on a connection of its own, but for the first; then until all is well."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS / 2)
        answers: dict[str, object] = {f"{REQUESTS[0]} {number}": ask(connection, REQUESTS[0]) for number in range(3)}
        connection.close()
        for request in REQUESTS:
            answers[request] = ask_once(port, request)
        answers["by aiohttp"] = ask_once(port, REQUESTS[0], {"X-Other": "x"})
        answers["no request"] = ask_nonsense(port)
        answers["the wrapper"] = ask_as_wrapper(address)
        asked = self._upstream.count("short")
        answers["the timer"] = within(3, lambda: self._upstream.count("short") > asked)
        answers["in the end"] = within(6, lambda: ask_once(port, REQUESTS[0]) == 200)
        return answers


def _denied(call: Call) -> Answer | None:
    return ACCESS_DENIED if call.ids == ["denied"] else None


def ask(connection: http.client.HTTPConnection, request: str, headers: dict[str, str] | None = None) -> object:
    """Return the status of an answer; what happened, if there was none."""
    method, path = request.split()
    try:
        connection.request(method, path, headers=headers or {})
        with connection.getresponse() as response:
            response.read()
            return response.status
    except (ConnectionError, http.client.RemoteDisconnected):
        return CLOSED
    except (OSError, http.client.HTTPException) as error:
        return repr(error)


def ask_once(port: int, request: str, headers: dict[str, str] | None = None) -> object:
    """Ask on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS / 2)
    try:
        return ask(connection, request, headers)
    finally:
        connection.close()


def ask_nonsense(port: int) -> object:
    """Send what is no request."""
    try:
        with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS / 2) as connection:
            connection.sendall(b"NO REQUEST\r\n\r\n")
            received = connection.recv(65536)
            return int(received.split()[1]) if received.startswith(b"HTTP/1.") else CLOSED
    except TimeoutError as error:
        return repr(error)
    except OSError:
        return CLOSED


def ask_as_wrapper(address: str) -> object:
    """Return whether the exec wrapper would get its variables; CLOSED sends it to fetch by itself."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE_SECONDS / 2)
        try:
            connection.connect(CHANNEL + address.encode())
            connection.sendall(b"A\0B")
            connection.shutdown(socket.SHUT_WR)
            with connection.makefile("rb") as stream:
                # The sign of life comes first.
                return f"\0+LATE={CANARY}\0.\0".encode() == stream.read() or CLOSED
        except TimeoutError as error:
            return repr(error)
        except OSError:
            return CLOSED


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Wait until a condition holds; return whether it does."""
    deadline = time.monotonic() + seconds * PATIENCE_SECONDS / 10
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def faults_of(story: Story, undisturbed: Story, error: str) -> list[str]:
    """Return what is wrong with a life in which something was raised, in words."""
    found = [] if story.has_raised else ["nothing was raised"]
    found += ["a secret shows"] * (CANARY in story.log)
    found += [f"exit code {story.exit_code}"] * (story.exit_code != 0)
    for what, answer in story.answers.items():
        is_good = answer in {True, CLOSED, 500} or answer in STATUSES
        found += [] if is_good else [f"{what}: {answer}"]
    closed = [what for what, answer in story.answers.items() if answer == CLOSED]
    found += [f"closed: {closed}"] * (len(closed) > 1)
    is_noticed = story.answers != undisturbed.answers
    named = [line for line in story.complaints if error in line or error == "CancelledError"]
    found += ["the log does not say it"] * (is_noticed and not named)
    return found


def errors_for(point: str) -> Iterable[str]:
    """Return what is raised at a point: one kind of error for each, all of them where there is time."""
    # A cancellation comes out of what is waited for.
    kinds = list(ERRORS) if point.endswith(GOES_ON) else list(ERRORS)[:-1]
    return kinds if EXAMPLES > 1 else [kinds[zlib.crc32(point.encode()) % len(kinds)]]


def points_of(part: int, undisturbed: Story) -> Iterator[tuple[str, str]]:
    """Give each point of a part with what is raised there."""
    for point in sorted(undisturbed.points.keys() - UNREACHABLE.keys()):
        if zlib.crc32(point.encode()) % PARTS == part:
            for error in errors_for(point):
                yield point, error


@pytest.mark.timeout(900 * EXAMPLES)
@pytest.mark.shows_secrets("the answers do, and only they")
@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_is_raised_wherever_once_is_survived(tmp_path, part):
    """At each first call of a function, at each first return from an await: answers, a line of the log, recovery."""
    failures: list[str] = []
    with contextlib.ExitStack() as stack:
        tellers = [stack.enter_context(Teller(tmp_path / str(number))) for number in range(TELLERS)]
        undisturbed = tellers[0].tell()
        assert [] == faults_of(undisturbed, undisturbed, "")[1:]
        assert CLOSED not in undisturbed.answers.values()
        assert [] == undisturbed.complaints
        assert undisturbed.points.keys() >= UNREACHABLE.keys()
        assert 400 < len(undisturbed.points)
        assert {point.partition(":")[0] for point in undisturbed.points} >= MODULES
        todo: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        for one in points_of(part, undisturbed):
            todo.put(one)

        def work(teller: Teller) -> None:
            with contextlib.suppress(queue.Empty):
                while True:
                    point, error = todo.get_nowait()
                    story = teller.tell(point, ERRORS[error])
                    said = "RuntimeError" if point in NESTED else error
                    if faults := faults_of(story, undisturbed, said):
                        failures.append(f"{error} at {point}: {'; '.join(faults)}")

        with ThreadPoolExecutor(TELLERS) as pool:
            # What a thread raises is raised here.
            list(pool.map(work, tellers))

    assert "" == "\n".join(failures)
    assert todo.empty()
