"""Several asynchronous iterators as one."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from secrets_cache.aws.merge import merge


class Numbers:
    """
    Yields numbers, and then waits for ever.

    Attributes:
        has_ended: Whether the wait was cancelled.
    """

    def __init__(self, *numbers: int) -> None:
        self._numbers = numbers
        self.has_ended = False

    async def each(self):
        for number in self._numbers:
            yield number
        try:
            await asyncio.Event().wait()
        finally:
            # Ending takes a moment.
            await asyncio.sleep(0)
            self.has_ended = True


async def count(end: int) -> AsyncIterator[int]:
    """Yield the numbers from 0."""
    for number in range(end):
        await asyncio.sleep(0)
        yield number


async def fail():
    """Yield 1, and fail."""
    yield 1
    raise ZeroDivisionError


async def test_everything_is_yielded_once():
    """Of all iterators, of empty ones nothing; and then it ends."""
    assert [0, 0, 1, 2] == sorted([number async for number in merge([count(3), count(0), count(1)])])
    nothing: list[AsyncIterator[int]] = []
    assert [] == [number async for number in merge(nothing)]


async def test_an_item_is_yielded_as_soon_as_it_is_known():
    """An iterator that waits holds up no other one."""
    results = merge([Numbers(5).each(), count(2)])

    assert [0, 1, 5] == sorted([await anext(results) for _ in range(3)])
    await results.aclose()


async def test_closing_it_ends_every_iterator():
    """And returns when they have ended, so that nothing runs on without an owner."""
    sources = [Numbers(1), Numbers(2), Numbers()]
    results = merge([source.each() for source in sources])
    await anext(results)

    await results.aclose()

    assert all(source.has_ended for source in sources)
    assert {asyncio.current_task()} == asyncio.all_tasks()


async def test_cancelling_its_consumer_ends_every_iterator():
    """While it waits for the next item."""
    source = Numbers()
    began = asyncio.Event()

    async def consume() -> None:
        began.set()
        async for _ in merge([source.each()]):
            pass

    task = asyncio.create_task(consume())
    await began.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert source.has_ended


async def test_an_iterator_that_fails_ends_the_others():
    """Its exception is the consumer's; what came before it is yielded."""
    source = Numbers()
    results = merge([source.each(), fail()])

    assert 1 == await anext(results)
    with pytest.raises(ZeroDivisionError):
        await anext(results)
    assert source.has_ended
