"""
Runs a command's coroutine to its end, and waits for nothing else.

asyncio.run waits for the threads of the loop, and so does the interpreter's end. One of them may wait for a name server
that does not answer, for much longer than the time that the command has.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

MAX_THREADS = 32

T = TypeVar("T")


def run_to_end(main: Coroutine[None, None, T]) -> T:
    """Run a coroutine as asyncio.run does; return its result. A thread that it has left behind is not waited for."""
    with asyncio.Runner() as runner:
        runner.get_loop().set_default_executor(DaemonThreads())
        return runner.run(main)


class DaemonThreads(ThreadPoolExecutor):
    """An executor whose threads nobody waits for. A `ThreadPoolExecutor` only because asyncio takes no other."""

    def __init__(self) -> None:
        super().__init__(MAX_THREADS)
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        self._free = threading.Semaphore(0)
        self._started = 0

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> "Future[T]":  # noqa: ANN401 - any function's
        """Call a function in a thread."""
        future: Future[T] = Future()
        self._calls.put((future, lambda: fn(*args, **kwargs)))
        if not self._free.acquire(blocking=False) and self._started < MAX_THREADS:
            self._started += 1
            threading.Thread(target=self._work, daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - the base class's
        """Do nothing: the threads end with the process."""

    def _work(self) -> None:
        while True:
            future, call = self._calls.get()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:  # noqa: BLE001 - the caller who waits for the future gets it
                    future.set_exception(error)
            del future, call
            self._free.release()
