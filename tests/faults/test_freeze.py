"""
The whole process frozen and thawed, as Lambda does between invocations, and with clocks that are set meanwhile.

A freeze is SIGSTOP. Most last a moment, in which an hour passes on the wall clock, and on the monotonic one or not:
what AWS does not say of its freezes, and what a SnapStart snapshot does.
"""

import contextlib
import http.client
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from secrets_cache.config.environment import uses_fast_paths
from tests.conftest import PATIENCE_SECONDS
from tests.support import upstream as stub
from tests.support.extension import next_is_open, shut_down
from tests.support.fakes import CANARY
from tests.support.processes import EXTENSION, Clocks, Process, config, frozen, wait_until

HOUR = 3600.0
OLD, NEW = f"{CANARY} old", f"{CANARY} new"
both_paths = pytest.mark.parametrize("start", ["1", "0"], ids=["fast", "library"], indirect=True)
# Which clocks see the time of a freeze.
clocks_seeing = pytest.mark.parametrize("monotonic", [0.0, HOUR], ids=["wall clock", "both clocks"])


@pytest.fixture(name="clocks")
def _clocks(tmp_path):
    """Give the clocks of the process that `start` makes."""
    return Clocks(tmp_path)


@pytest.fixture(name="start")
def _start(request, api, upstream, tmp_path, clocks):
    """Give a function that starts an extension with the secret `db`, on the fast paths unless asked otherwise."""
    upstream.put("db", OLD)
    fast_paths = getattr(request, "param", "1")
    assert uses_fast_paths({"SECRETS_CACHE_LANES": fast_paths}) == (fast_paths == "1")

    @contextlib.contextmanager
    def start(text: str = "secrets: [db]", *, settled: bool = True) -> Iterator[Process]:
        option, code, name = EXTENSION
        # However slow the machine is, no attempt is given up unless the test is about that.
        text = text if "fetch_timeout" in text else f"{text}\nfetch_timeout: 30s"
        environ = {"AWS_LAMBDA_RUNTIME_API": api.address, "SECRETS_CACHE_LANES": fast_paths, **config(tmp_path, text)}
        with Process((option, f"{clocks.code}\n{code}", name), environ) as extension:
            if settled:
                extension.event("extension.ready")
                assert next_is_open(api)
                # The init does not wait for a prefetch that takes more than two seconds.
                wait_until(lambda: "pending" not in states(extension))
            yield extension
            shut_down(api, extension)
            assert "internal.error" not in extension.log.text

    return start


class Caller:
    """A connection that is kept."""

    def __init__(self, extension: Process) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", extension.port, timeout=PATIENCE_SECONDS)

    def send(self, path: str = "/cache/db") -> None:
        self._connection.request("GET", path)

    def answer(self) -> tuple[int, str | None, str]:
        response = self._connection.getresponse()
        return response.status, response.headers["Cache-Status"], response.read().decode()

    def get(self, path: str = "/cache/db") -> tuple[int, str | None, str]:
        """Return status, Cache-Status and body."""
        self.send(path)
        return self.answer()

    def close(self) -> None:
        self._connection.close()


@contextlib.contextmanager
def callers(extension: Process, count: int = 1) -> Iterator[list[Caller]]:
    """Give so many callers."""
    made = [Caller(extension) for _ in range(count)]
    try:
        yield made
    finally:
        for caller in made:
            caller.close()


def states(extension: Process) -> set[str]:
    """Return the states that the listed secrets are in."""
    with callers(extension) as (caller,):
        return {secret["state"] for secret in json.loads(caller.get("/health")[2])["secrets"]}


def hit(value: str = NEW) -> tuple[int, str, str]:
    """Return a good answer from memory."""
    return 200, "secrets-cache; hit", value


def fetched(value: str = NEW) -> tuple[int, str, str]:
    """Return a good answer for which AWS was asked, since what was held had expired."""
    return 200, "secrets-cache; fwd=stale", value


# While nothing is under way.


@both_paths
@pytest.mark.parametrize("ahead", ["0", "10%"], ids=["no timer", "timer"])
def test_what_expired_in_a_freeze_is_never_served(start, upstream, ahead):
    """For longer than the ttl, in real time: the bytes that the fast path remembers do not survive it either."""
    with start(f"secrets: [db]\nttl: 1s\nrefresh_ahead: {ahead}") as extension, callers(extension) as (caller,):
        for _ in range(3):
            assert OLD == caller.get()[2]
        with frozen(extension.process.pid, 1.2):
            upstream.put("db", NEW)
            caller.send()
        status, how, value = caller.answer()

    assert (200, NEW) == (status, value)
    assert ahead != "0" or how == "secrets-cache; fwd=stale"


@both_paths
@clocks_seeing
def test_an_hour_of_a_freeze_costs_one_call(start, upstream, clocks, monotonic):
    """Whichever clock has seen it: the first request fetches, the next ones are answered from memory."""
    with start("secrets: [db]\nttl: 1m\nrefresh_ahead: 0") as extension, callers(extension) as (caller,):
        assert [hit(OLD)] * 2 == [caller.get(), caller.get()]
        with frozen(extension.process.pid):
            upstream.put("db", NEW)
            clocks.step(wall=HOUR, monotonic=monotonic)

        assert [fetched(), hit(), hit()] == [caller.get() for _ in range(3)]
        assert 2 == upstream.count()


@both_paths
def test_what_may_be_stale_is_marked(start, upstream, clocks):
    """With stale-while-revalidate the first request has the old value and is told; the new one is on its way."""
    text = "secrets: [db]\nttl: 1m\nstale_while_revalidate: 2h"
    with start(text) as extension, callers(extension) as (caller,):
        assert hit(OLD) == caller.get()
        with frozen(extension.process.pid):
            upstream.put("db", NEW)
            clocks.step(wall=HOUR)

        assert (200, "secrets-cache; hit; detail=stale", OLD) == caller.get()
        extension.log.wait_for("secret.refreshed")
        assert hit() == caller.get()
        with frozen(extension.process.pid):
            clocks.step(wall=3 * HOUR)
        assert fetched() == caller.get()
        assert 3 == upstream.count()


@both_paths
def test_a_wall_clock_that_is_set_costs_one_call_each_time(start, upstream, clocks):
    """Forward, back behind the fetch, and forward again: expired each time, and then all is well."""
    with start("secrets: [db]\nttl: 1m\nrefresh_ahead: 0") as extension, callers(extension) as (caller,):
        assert hit(OLD) == caller.get()
        upstream.put("db", NEW)
        for calls, step in enumerate((HOUR, -HOUR, -HOUR, 2 * HOUR), 2):
            clocks.step(wall=step)
            assert [fetched(), hit(), hit()] == [caller.get() for _ in range(3)]
            assert calls == upstream.count()


def test_a_wall_clock_that_steps_a_little_changes_nothing(start, upstream, clocks):
    """What is still young by every measure is still fresh."""
    with start("secrets: [db]\nttl: 1h\nrefresh_ahead: 0") as extension, callers(extension) as (caller,):
        for step in (HOUR / 2, -HOUR / 4):
            clocks.step(wall=step)
            assert hit(OLD) == caller.get()
        assert 1 == upstream.count()


def test_the_end_that_is_told_in_a_freeze(start, api, clocks):
    """SHUTDOWN that comes while nobody can hear it is heard at the thaw; the exit code is 0."""
    with start() as extension:
        with frozen(extension.process.pid):
            api.release.set()
            clocks.step(wall=HOUR, monotonic=HOUR)
        assert 0 == extension.exit_code()
        extension.log.join()
        assert "SHUTDOWN" == extension.event("extension.stopped")["reason"]


def test_a_signal_that_is_sent_in_a_freeze(start):
    """SIGTERM likewise."""
    with start() as extension:
        with frozen(extension.process.pid):
            extension.process.send_signal(signal.SIGTERM)
        assert 0 == extension.exit_code()
        extension.log.join()
        assert "SIGTERM" == extension.event("extension.stopped")["reason"]


# In the middle of a fetch.


class Held:
    """A fault that holds one call until it is let go, and then gives it `answer`; None for what there is."""

    def __init__(self, answer: stub.Fault | None) -> None:
        self._answer = answer
        self._is_held = True
        self.go = threading.Event()

    def __call__(self, call: stub.Call) -> stub.Answer | None:
        if not self._is_held:
            return None
        self._is_held = False
        # The whole stub waits; who is frozen does not notice.
        assert self.go.wait(PATIENCE_SECONDS)
        return self._answer(call) if callable(self._answer) else self._answer


def freeze_in_fetch(extension: Process, upstream: stub.Upstream, clocks: Clocks, held: Held) -> list[tuple[int, str]]:
    """Freeze a process whose caller waits for AWS, which answers meanwhile; return what two callers then get."""
    upstream.fault = held
    with callers(extension, 2) as (first, second):
        calls, answered = len(upstream.calls), upstream.answered
        first.send("/cache/late")
        wait_until(lambda: len(upstream.calls) > calls)
        with frozen(extension.process.pid):
            held.go.set()
            wait_until(lambda: upstream.answered > answered)
            upstream.put("late", NEW)
            clocks.step(wall=HOUR)
            second.send("/cache/late")
        return [(status, value) for status, _, value in (first.answer(), second.answer())]


@both_paths
@pytest.mark.parametrize(
    "fault", [stub.RESET, stub.CUT, stub.EXPIRED_SIGNATURE, stub.INTERNAL], ids=["reset", "cut", "signature", "500"]
)
def test_a_fetch_that_fails_in_a_freeze_is_made_again(start, upstream, clocks, fault):
    """With a new signature, and on a new connection where the old one is dead; no caller sees anything of it."""
    upstream.put("late", OLD)
    with start("secrets: [db]\nallow: [late]\nttl: 1m") as extension:
        assert [(200, NEW)] * 2 == freeze_in_fetch(extension, upstream, clocks, Held(fault))
        # The one that failed, the one in its place, and one for who asked later: the first fetch is an hour old.
        assert 3 == upstream.count("late")
        assert "secret.fetch_failed" not in extension.log.text


@both_paths
def test_an_answer_that_came_in_a_freeze_is_not_for_those_who_ask_after_it(start, upstream, clocks):
    """It is as old as the freeze is long: who had asked before gets it, who asks now gets what AWS says now."""
    upstream.put("late", OLD)
    with start("secrets: [db]\nallow: [late]\nttl: 1m") as extension:
        assert [(200, OLD), (200, NEW)] == freeze_in_fetch(extension, upstream, clocks, Held(None))
        assert 2 == upstream.count("late")


@both_paths
def test_a_signature_that_expired_in_a_freeze_is_replaced(start, upstream):
    """The stub judges X-Amz-Date as AWS does, but allows two seconds, not five minutes."""

    def judge(call: stub.Call) -> stub.Answer | None:
        signed = datetime.strptime(call.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return stub.EXPIRED_SIGNATURE if (datetime.now(UTC) - signed).total_seconds() > 2 else None

    upstream.put("late", NEW)
    held = Held(judge)
    with start("secrets: [db]\nallow: [late]") as extension, callers(extension) as (caller,):
        upstream.fault = held
        caller.send("/cache/late")
        wait_until(lambda: upstream.count("late"))
        with frozen(extension.process.pid, 2.1):
            pass
        # It left before the freeze, and is judged after it.
        held.go.set()
        assert (200, "secrets-cache; fwd=miss", NEW) == caller.answer()

    dates = [call.headers["x-amz-date"] for call in upstream.calls if call.ids == ["late"]]
    assert 2 == len(set(dates)) == len(dates)


def many(upstream: stub.Upstream, count: int) -> tuple[str, list[str]]:
    """Put so many secrets; return the list of them in a configuration, and the paths that they are asked by."""
    names = [f"n{number}" for number in range(count)]
    for name in names:
        upstream.put(name, NEW)
    return f"secrets: [{', '.join(names)}]", [f"/cache/{name}" for name in names]


def ask_all(extension: Process, paths: list[str]) -> list[tuple[int, str | None, str]]:
    """Ask for all at once, each on its own connection."""
    with callers(extension, len(paths)) as asking:
        for caller, path in zip(asking, paths, strict=True):
            caller.send(path)
        return [caller.answer() for caller in asking]


def test_those_that_waited_for_a_connection_in_a_freeze_are_not_told_of_a_time_out(start, upstream):
    """There are twenty connections; a caller that waits for one has not waited for AWS while all were frozen."""
    text, paths = many(upstream, 45)
    dead: set[int] = set()

    def silent_on_old_ones(call: stub.Call) -> stub.Answer | None:
        return stub.HANG if call.connection in dead or not dead else None

    upstream.fault = silent_on_old_ones
    with start(f"{text}\nbatch: never\nfetch_timeout: 2s", settled=False) as extension:
        wait_until(lambda: len(upstream.calls) >= 20)
        with frozen(extension.process.pid, 2.2):
            # Their packets go nowhere from now on.
            dead.update(call.connection for call in upstream.calls)
            assert 20 == len(dead)
        answers = ask_all(extension, paths)

        assert {(200, NEW)} == {answer[::2] for answer in answers}
        assert "secret.fetch_failed" not in extension.log.text


# In the middle of an answer, and of a caller's coming.


def connections_of(extension: Process) -> int:
    """Return how many callers' connections a process has open, whether the caller still has or not."""
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    states = [line.split()[3] for line in lines if line.split()[1].endswith(f":{extension.port:04X}")]
    # All but the listening one, and what only the kernel still knows.
    return sum(state not in {"0A", "06"} for state in states)


class SlowReader:
    """A caller that reads what it gets little by little; the rest waits in the process that answers."""

    def __init__(self, extension: Process, path: str) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.settimeout(PATIENCE_SECONDS)
        self._socket.connect(("127.0.0.1", extension.port))
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        self._received = b""

    def read(self, count: int) -> None:
        while len(self._received) < count:
            self._received += self._socket.recv(65536)

    def body(self) -> bytes:
        """Return the body, once all has come and the connection has ended."""
        with self._socket:
            while data := self._socket.recv(1 << 20):
                self._received += data
        return self._received.partition(b"\r\n\r\n")[2]

    def leave(self) -> None:
        self._socket.close()


@both_paths
def test_an_answer_that_is_frozen_half_way_arrives_whole(start, upstream, clocks):
    """It was fresh when it was asked for; and callers that go away meanwhile leave nothing behind."""
    # More than the kernel's buffers hold: 4 MiB, at most.
    size = 5 * 1024 * 1024
    large = f"{CANARY}{'x' * size}"
    upstream.put("large", large)
    with start("secrets: [db, large]\nttl: 1m") as extension:
        before = connections_of(extension)
        stays, *leave = (SlowReader(extension, "/cache/large") for _ in range(4))
        for reader in (stays, *leave):
            reader.read(size // 10)
        with frozen(extension.process.pid):
            clocks.step(wall=HOUR)
            for reader in leave:
                reader.leave()

        assert large.encode() == stays.body()
        wait_until(lambda: connections_of(extension) <= before)
        with callers(extension) as (caller,):
            assert 200 == caller.get()[0]


@both_paths
@clocks_seeing
def test_those_who_come_in_a_freeze_are_all_answered_by_one_call(start, upstream, clocks, monotonic):
    """The kernel takes their connections meanwhile; what they want has expired."""
    with start("secrets: [db]\nttl: 1m") as extension, callers(extension, 200) as coming:
        with frozen(extension.process.pid):
            for caller in coming:
                caller.send()
            upstream.put("db", NEW)
            clocks.step(wall=HOUR, monotonic=monotonic)

        answers = [caller.answer() for caller in coming]
        assert {(200, NEW)} == {answer[::2] for answer in answers}
        assert 2 == upstream.count()


def test_those_who_come_in_a_freeze_and_go_are_no_trouble(start, clocks):
    """Accepted when they have gone already, with and without a request."""
    with start() as extension, callers(extension) as (caller,):
        before = connections_of(extension)
        with frozen(extension.process.pid):
            with callers(extension, 50) as coming:
                for one in coming:
                    one.send()
            for _ in range(50):
                socket.create_connection(("127.0.0.1", extension.port), PATIENCE_SECONDS).close()
        assert hit(OLD) == caller.get()
        caller.close()
        wait_until(lambda: connections_of(extension) <= before)
        assert ["extension.ready"] == [line["event"] for line in extension.log.events()]


# Connections to AWS.


@both_paths
@pytest.mark.parametrize("seconds", [0.0, HOUR], ids=["a moment", "an hour"])
def test_connections_that_aws_closed_in_a_freeze_are_replaced(start, upstream, clocks, seconds):
    """Five at once: nobody gets an error, and each makes one call that counts."""
    text, paths = many(upstream, 5)
    with start(f"{text}\nttl: 1m") as extension:
        assert 5 == upstream.count()
        with frozen(extension.process.pid):
            upstream.hang_up()
            clocks.step(wall=seconds)
        answers = ask_all(extension, paths if seconds else [f"{path}?refresh=true" for path in paths])

        assert {(200, NEW)} == {answer[::2] for answer in answers}
        assert 10 == upstream.count()
        assert "secret.fetch_failed" not in extension.log.text


@both_paths
def test_connections_that_died_in_a_freeze_without_a_word_are_not_used_again(start, upstream, clocks):
    """Nobody tells of a connection that a gateway has forgotten; the monotonic clock does not say how old it is."""
    text, paths = many(upstream, 5)
    with start(f"{text}\nttl: 1m") as extension:
        dead = {call.connection for call in upstream.calls}
        upstream.fault = lambda call: stub.HANG if call.connection in dead else None
        with frozen(extension.process.pid):
            clocks.step(wall=HOUR)
        answers = ask_all(extension, paths)

        assert {(200, NEW)} == {answer[::2] for answer in answers}
        assert 10 == upstream.count()


# Afterwards.


def work_done(extension: Process) -> tuple[int, int]:
    """Return a process's time of CPU in ticks, and how often it has gone to sleep, so far."""
    with open(f"/proc/{extension.process.pid}/stat", encoding="ascii") as stat:  # noqa: PTH123
        fields = stat.read().rpartition(")")[2].split()
    with open(f"/proc/{extension.process.pid}/status", encoding="ascii") as status:  # noqa: PTH123
        (sleeps,) = (line.split()[1] for line in status if line.startswith("voluntary_ctxt_switches"))
    return int(fields[11]) + int(fields[12]), int(sleeps)


@both_paths
@clocks_seeing
def test_a_day_of_missed_refreshes_is_made_up_for_by_one_round(start, upstream, clocks, monotonic):
    """Fifty secrets, 1,440 ttls: fifty calls, and then the process sleeps until the next refresh is due."""
    text, paths = many(upstream, 50)
    with start(f"{text}\nttl: 1m") as extension:
        assert (3, 0) == (upstream.count(operation="BatchGetSecretValue"), upstream.count())
        with frozen(extension.process.pid):
            clocks.step(wall=24 * HOUR, monotonic=24 * monotonic)
        first = ask_all(extension, paths[:1])
        wait_until(lambda: upstream.answered == 53)
        assert {(200, NEW)} == {answer[::2] for answer in ask_all(extension, paths)}

        before = work_done(extension)
        # A window to look at: a storm would be seen in any.
        time.sleep(0.5)
        ticks, sleeps = (now - then for then, now in zip(before, work_done(extension), strict=True))

        assert [(200, NEW)] == [answer[::2] for answer in first]
        assert {1} == {upstream.count(path.rpartition("/")[2]) for path in paths}
        assert (3, 50) == (upstream.count(operation="BatchGetSecretValue"), upstream.count())
        assert 10 > ticks
        assert 10 > sleeps


@clocks_seeing
def test_a_thaw_within_the_back_off_asks_aws_nothing(start, upstream, clocks, monotonic):
    """The time that a freeze took counts, and no more than that: neither a thaw nor a clock is a reason to ask."""
    upstream.fault = stub.ACCESS_DENIED
    with start("secrets: [db]\nstale_if_error: 0") as extension, callers(extension) as (caller,):
        # Six failures in a row: the back-off is 32 s, give or take a quarter.
        while upstream.count() < 6:
            calls = upstream.count()
            with frozen(extension.process.pid):
                clocks.step(wall=100, monotonic=100 if monotonic else 0)
            assert 502 == caller.get()[0]
            assert calls < upstream.count()
        calls = upstream.count()
        for _ in range(5):
            with frozen(extension.process.pid):
                clocks.step(wall=2, monotonic=2 if monotonic else 0)
            assert [502] * 10 == [caller.get()[0] for _ in range(10)]
        assert calls == upstream.count()

        upstream.fault = None
        with frozen(extension.process.pid):
            clocks.step(wall=HOUR, monotonic=monotonic)
        with ThreadPoolExecutor(10) as pool, callers(extension, 10) as asking:
            assert {(200, OLD)} == {answer[::2] for answer in pool.map(Caller.get, asking)}
        assert calls + 1 == upstream.count()
