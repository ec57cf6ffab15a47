"""What AWS, or a server in its place, cannot put into our answers and our log: from its bytes to ours."""

import contextlib
import json
import logging
import os
import re
from collections.abc import AsyncIterator

import pytest

from secrets_cache.app import run_application
from secrets_cache.config import parse
from secrets_cache.system.logs import JsonFormatter
from secrets_cache.system.sockets import bind, open_sockets
from tests.conftest import PATIENCE_SECONDS
from tests.support import upstream as stub
from tests.support.fakes import CANARY, FakeClock
from tests.support.http_server import Setup
from tests.support.upstream import Answer, Upstream, arn_of

pytestmark = pytest.mark.usefixtures("fast_paths")

INJECTED = "X-Injected"
LINE_ENDS = {
    "CR LF": f"a\r\n{INJECTED}: 1",
    "LF": f"a\n{INJECTED}: 1",
    "CR": f"a\r{INJECTED}: 1",
    "a body": f"a\r\n\r\n{INJECTED}: 1",
    "a response": f"a\r\n\r\nHTTP/1.1 200 OK\r\n{INJECTED}: 1\r\n\r\n",
    "NEL": f"a\u0085{INJECTED}: 1",
    "a line separator": f"a\u2028{INJECTED}: 1",
    "letters that are cut to CR LF": f"a\u010d\u010a{INJECTED}: 1",
}
OTHERS = {
    "NUL": "a\x00b",
    "a quote": 'a"b',
    "a blank": "a b",
    "an escape": "a\x1b[31m",
    "DEL": "a\x7f",
    "not ASCII": "\u00e9",
    "a lone surrogate": "a\ud800",
    "empty": "",
    "long": "a" * 10_000,
}


@contextlib.asynccontextmanager
async def serving(text: str) -> AsyncIterator[Setup]:
    """Run the graph of a configuration; only the connection of what it gives is of use."""
    config = parse(text.encode(), file="config.yaml", environ=os.environ)
    sockets = open_sockets(bind(0)[0])
    setup = Setup(FakeClock())
    setup.port, setup.callers = sockets[0].getsockname()[1], []
    async with run_application(config, sockets=sockets, environ=os.environ):
        yield setup
        for caller in setup.callers:
            await caller.close()


async def answer(setup: Setup, target: str) -> tuple[str, bytes]:
    """Return the head and the body of an answer, as they came."""
    lines = "Host: localhost\r\nConnection: close\r\n"
    caller = await setup.connect()
    head = await caller.answer(f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode())
    return head.decode("latin-1"), await caller.rest()


def assert_clean(head: str, caplog: pytest.LogCaptureFixture) -> None:
    """Check that a head has known fields only, each a line of its own, and that a log line is one."""
    names = [line.partition(": ")[0] for line in head.removesuffix("\r\n\r\n").split("\r\n")[1:]]
    assert INJECTED not in names
    assert not re.search(r"[^\x20-\x7e\r\n]|\r(?!\n)|(?<!\r)\n", head)
    assert len(names) == len(set(names))
    for record in caplog.records:
        line = JsonFormatter().format(record)
        assert "\n" not in line
        assert "\r" not in line


def answers_that_inject() -> dict[str, Answer]:
    """Return what AWS answers, by the secret's name: one part of it each time is none that AWS would send."""
    found = {"ARN": arn_of("db"), "Name": "db", "VersionId": "v-1", "SecretString": CANARY, "CreatedDate": 1766000000.0}
    texts = [*LINE_ENDS.values(), *OTHERS.values()]
    parts = [{part: text} for part in ("ARN", "Name", "VersionId") for text in texts]
    answers = [Answer(body=json.dumps({**found, **part}).encode()) for part in parts]
    answers += [stub.aws_error(f"AccessDenied{text}", CANARY) for text in LINE_ENDS.values()]
    return {f"secret-{number}": answer for number, answer in enumerate(answers)}


async def test_what_is_no_name_no_version_and_no_code_is_no_answer(
    upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    """What goes into ETag or into the log is printable ASCII, or AWS has not answered; nothing of it is told."""
    answers = answers_that_inject()
    upstream.fault = lambda call: answers[call.ids[0]]
    codes = set()
    # They are asked for again and again until the time is up, all at once.
    async with serving(f"secrets: {[*answers]}\nbatch: never\nfetch_timeout: {PATIENCE_SECONDS / 15}s") as setup:
        for name in answers:
            head, body = await answer(setup, f"/cache/{name}")
            assert_clean(head, caplog)
            assert head.startswith("HTTP/1.1 50"), name
            assert INJECTED.encode() not in body
            assert CANARY.encode() not in body
            codes.add(json.loads(body)["aws_code"])
        head, body = await answer(setup, "/health")

    assert_clean(head, caplog)
    assert INJECTED.encode() not in body
    assert INJECTED not in caplog.text
    # The time may be up in the middle of a call.
    assert {"malformed-answer"} == codes - {"timeout"}


@pytest.mark.parametrize("text", [*LINE_ENDS.values()], ids=[*LINE_ENDS])
async def test_values_are_bodies_whatever_they_look_like(
    upstream: Upstream, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    """Byte for byte, and measured in bytes; a key is found by what it is, and not told otherwise."""
    value = f"{CANARY}{text}"
    upstream.put("text", value)
    upstream.put("json", json.dumps({text: value}))
    key = "".join(f"%{byte:02x}" for byte in text.encode())
    async with serving("secrets: [text, json]") as setup:
        for target in ("/cache/text", f"/cache/json?key={key}"):
            head, body = await answer(setup, target)
            assert_clean(head, caplog)
            assert value.encode() == body
            assert f"\r\nContent-Length: {len(body)}\r\n" in head
        head, body = await answer(setup, f"/cache/json?key={key}x")

    assert_clean(head, caplog)
    assert "key-not-found" == json.loads(body)["code"]
    assert CANARY.encode() not in body


@pytest.mark.parametrize("text", [*LINE_ENDS.values()], ids=[*LINE_ENDS])
async def test_errors_of_aws_are_told_as_one_line_of_text(
    upstream: Upstream, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    """AWS's words stand in detail and log, where they end no line."""
    upstream.fault = stub.aws_error("AccessDeniedException", text)
    async with serving("secrets: [db]") as setup:
        head, body = await answer(setup, "/cache/db")
    assert_clean(head, caplog)
    assert head.startswith("HTTP/1.1 502")
    assert b"\n" not in body
    assert b"\r" not in body
    assert "AccessDeniedException" == json.loads(body)["aws_code"]


@pytest.mark.parametrize("text", [*LINE_ENDS.values()], ids=[*LINE_ENDS])
async def test_names_that_callers_make_up_are_told_as_one_line_of_text(
    upstream: Upstream, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    """A name that `allow` covers goes to AWS, into a problem's detail and into the log: there it ends no line."""
    name = "".join(f"%{byte:02x}" for byte in text.encode())
    async with serving("allow: ['*']") as setup:
        head, body = await answer(setup, f"/cache/{name}")

    assert_clean(head, caplog)
    assert "secret-not-found" == json.loads(body)["code"]
    assert b"\n" not in body
    assert [[text]] == [call.ids for call in upstream.calls]
    assert [logging.ERROR] == [record.levelno for record in caplog.records if record.msg == "secret.fetch_failed"]
