"""Hostile callers, over real sockets: what each one gets, and that nobody else notices."""

import asyncio
import contextlib
import json
import logging
import re
from collections import Counter

import pytest

from secrets_cache.server.access import TOKEN_HEADER, accepts_token
from secrets_cache.server.refusals import MAX_LOGGED
from secrets_cache.system.logs import JsonFormatter
from tests.conftest import PATIENCE_SECONDS
from tests.support.fakes import CANARY, FakeClock
from tests.support.hostile import FAMILIES, MARK, TOKEN, Family, Hostile, rows
from tests.support.http_server import Setup
from tools.emulator import ROOT

LAST = f"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{TOKEN_HEADER}: {TOKEN}\r\n\r\n".encode()
AT_ONCE = 50
WARNINGS = {"secret.not_configured", "request.refused"}
# Of what callers send, nothing long reaches the log.
MAX_LINE = 400
# Every field that an answer may have.
FIELDS = {
    "Allow",
    "Cache-Control",
    "Cache-Status",
    "Connection",
    "Content-Length",
    "Content-Type",
    "Date",
    "ETag",
    "Last-Modified",
    "Server",
}


class Answer:
    """One answer, taken from the front of what came back."""

    def __init__(self, received: bytearray, *, has_body: bool) -> None:
        end = received.find(b"\r\n\r\n")
        self.head = bytes(received[:end])
        status, *lines = self.head.decode("latin-1").split("\r\n")
        # A head that has not come whole may end within a line.
        self.fields = dict(line.split(": ", 1) for line in lines if end >= 0)
        self.length = end + 4 + (int(self.fields.get("Content-Length", "0")) if has_body else 0)
        self.body = bytes(received[end + 4 : self.length])
        self.is_whole = end >= 0 and len(received) >= self.length
        if not self.is_whole:
            return
        status, code = status.split(" ")[1], ""
        if self.body and self.fields["Content-Type"] == "application/problem+json":
            code = json.loads(self.body)["code"]
        elif CANARY.encode() in self.body:
            code = "value"
        self.outcome = f"{status} {code}".strip()

    def faults(self) -> list[str]:
        """Return what is wrong with it, whatever it answers."""
        found = [f"the field {name}" for name in self.fields if name not in FIELDS]
        if re.search(rb"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\xff]", self.head) or re.search(
            rb"\r(?!\n)|(?<!\r)\n", self.head
        ):
            found.append("a control character in its head")
        if MARK.encode() in self.head:
            found.append("something of the request in its head")
        if CANARY.encode() in self.head or (CANARY.encode() in self.body and not self.outcome.startswith("200")):
            found.append("something secret")
        return found


class Conversation:
    """One hostile request's connection, from the first byte to the end."""

    def __init__(self, case: Hostile) -> None:
        self._case = case
        self._rest = bytearray()
        self._answers: list[Answer] = []
        self._came = asyncio.Event()

    async def go(self, setup: Setup) -> str:
        """Have it; return what went wrong."""
        witness = await setup.connect()
        async with asyncio.timeout(PATIENCE_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", setup.port)
        receiving = asyncio.create_task(self._receive(reader))
        expected = [*self._case.answers]
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                for piece in self._case.pieces:
                    writer.write(piece)
                    # Who is answered now shows that it was read: on one loop, and in that order.
                    assert (await witness.answer()).startswith(b"HTTP/1.1 200")
                if self._case.is_open:
                    while len(self._answers) < len(expected) and not receiving.done():
                        self._came.clear()
                        await self._came.wait()
                    writer.write(LAST)
                    expected.append("200")
                await receiving
        except TimeoutError:
            expected.append("an end")
        finally:
            receiving.cancel()
            writer.transport.abort()
            await asyncio.gather(receiving, writer.wait_closed(), return_exceptions=True)
        assert (await witness.answer()).startswith(b"HTTP/1.1 200")
        return self._faults(expected)

    async def _receive(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                self._rest += data
                self._take()
        self._came.set()

    def _take(self) -> None:
        """Take the whole answers out of what came."""
        while self._rest:
            has_body = bool(self._answers) or not self._case.pieces[0].startswith(b"HEAD ")
            answer = Answer(self._rest, has_body=has_body)
            if not answer.is_whole:
                return
            self._answers.append(answer)
            del self._rest[: answer.length]
            self._came.set()

    def _faults(self, expected: list[str]) -> str:
        outcomes = [answer.outcome for answer in self._answers]
        faults = [fault for answer in self._answers for fault in answer.faults()]
        if self._rest:
            faults.append("half an answer")
        if outcomes != expected and not (self._case.may_be_cut_off and not outcomes):
            faults.append(f"{outcomes[:25]} instead of {expected[:25]}")
        return "; ".join(faults)


@pytest.mark.parametrize("is_fast", [True, False], ids=["fast", "library"])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
async def test_a_hostile_request_gets_what_it_should_and_nobody_else_notices(
    clock: FakeClock, caplog: pytest.LogCaptureFixture, family: Family, *, is_fast: bool
) -> None:
    """Exact answers, an end where there must be one, others served, nothing secret, little echoed, no forged line."""
    setup = Setup(clock)
    setup.uses_fast_path = is_fast
    setup.tokens = (TOKEN,) if family.needs_token else None
    places = asyncio.Semaphore(AT_ONCE)

    async def have(case: Hostile) -> str:
        async with places:
            return await Conversation(case).go(setup)

    async with setup.running():
        await setup.cache.prefetch()
        faults = await asyncio.gather(*map(have, family.cases))

    wrong = {case.name: fault for case, fault in zip(family.cases, faults, strict=True) if fault}
    assert {} == wrong
    written = [JsonFormatter().format(record) for record in caplog.records]
    assert not [line for line in written if "\n" in line or "\r" in line or len(line) > MAX_LINE]
    # Of what is hostile, this is all that may warn anybody, and all that repeats anything.
    events = Counter(record.msg for record in caplog.records if record.levelno >= logging.WARNING)
    assert events.keys() <= WARNINGS
    assert all(count <= MAX_LOGGED for count in events.values())
    assert not [line for line in written if MARK in line and json.loads(line)["event"] not in WARNINGS]


def test_the_list_is_as_long_as_it_says() -> None:
    """No two cases of a family have one name: the later would hide the earlier."""
    for family in FAMILIES:
        assert [] == [name for name, count in Counter(case.name for case in family.cases).items() if count > 1]
        assert all(case.answers for case in family.cases)
    assert 600 < sum(len(family.cases) for family in FAMILIES)


def test_the_table_of_the_documentation_is_the_list() -> None:
    """Each family has its row, with what it gets and how many cases it has."""
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")

    assert rows() == [row for row in rows() if row in page]


class Once(str):
    """Text that may be compared in constant time only, and tells how often it was made ready for that."""

    __slots__ = ("times",)

    def encode(self, *_: str) -> bytes:
        self.times = getattr(self, "times", 0) + 1
        return Bytes(super().encode())

    def __eq__(self, _: object) -> bool:
        raise AssertionError("compared letter by letter")

    __hash__ = None  # type: ignore[assignment]


class Bytes(bytes):
    """Bytes that may be compared in constant time only."""

    __slots__ = ()

    def __eq__(self, _: object) -> bool:
        raise AssertionError("compared letter by letter")

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(("sent", "is_known"), [("first", True), ("last", True), ("neither", False)])
def test_a_guess_is_compared_with_every_token_in_constant_time(sent: str, *, is_known: bool) -> None:
    """Whichever fits, and whether one does: how long it takes tells nothing."""
    tokens = [Once("first"), Once("second"), Once("last")]

    assert is_known == accepts_token(tokens, [Once(sent)])
    assert [1, 1, 1] == [token.times for token in tokens]
