"""Several asynchronous iterators as one."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from typing import TypeVar

T = TypeVar("T")


async def merge(iterators: Iterable[AsyncIterator[T]]) -> AsyncGenerator[T, None]:
    """
    Yield what each of `iterators` yields, as soon as it does.

    Whatever ends this generator before its end (`aclose`, a cancellation, an iterator that raises) cancels the other
    iterators, and waits until they have ended.

    Raises: What the first iterator to fail raises.
    """
    # An item, in a tuple, or an iterator's task that has ended.
    arrived: asyncio.Queue[tuple[T] | asyncio.Task[None]] = asyncio.Queue()

    async def drain(iterator: AsyncIterator[T]) -> None:
        async for item in iterator:
            arrived.put_nowait((item,))

    tasks: list[asyncio.Task[None]] = []
    try:
        for iterator in iterators:
            tasks.append(asyncio.get_running_loop().create_task(drain(iterator)))
            tasks[-1].add_done_callback(arrived.put_nowait)
        under_way = len(tasks)
        while under_way:
            found = await arrived.get()
            if isinstance(found, tuple):
                yield found[0]
            else:
                under_way -= 1
                found.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
