"""Objects whose module is imported when they are first needed."""

import asyncio
import importlib
import sys
import threading
from types import ModuleType

import pytest

from secrets_cache.system.lazy_import import LazyImport


@pytest.fixture(name="module")
def _module(tmp_path, monkeypatch):
    """Give the name of a module that can be imported, and has not been."""
    (tmp_path / "imported_late.py").write_text("VALUE = 5\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "imported_late"
    sys.modules.pop("imported_late", None)


async def test_the_module_is_imported_when_the_object_is_first_needed(module):
    """Not before, and once for all who need it at the same time."""
    created: list[ModuleType] = []

    def create(imported: ModuleType) -> object:
        created.append(imported)
        return object()

    lazy = LazyImport(module, create)
    assert lazy.created is None
    assert module not in sys.modules

    found = await asyncio.gather(*(lazy.get() for _ in range(5)))
    assert [await lazy.get()] * 5 == found == [lazy.created] * 5
    assert [sys.modules[module]] == created


async def test_an_import_that_fails_is_tried_again(tmp_path, module):
    """Each caller is told, and the next one may have better luck."""
    lazy = LazyImport("imported_even_later", lambda imported: imported.VALUE)
    with pytest.raises(ModuleNotFoundError):
        await lazy.get()
    assert lazy.created is None

    (tmp_path / "imported_even_later.py").write_text("VALUE = 6\n")
    importlib.invalidate_caches()
    assert 6 == await lazy.get()
    sys.modules.pop("imported_even_later")


async def test_a_caller_that_leaves_harms_no_other(module):
    """The import goes on."""
    lazy = LazyImport(module, lambda imported: imported.VALUE)
    first, second = asyncio.create_task(lazy.get()), asyncio.create_task(lazy.get())
    await asyncio.sleep(0)
    first.cancel()

    assert 5 == await second
    await lazy.aclose()


async def test_a_thread_that_dies_without_a_word_is_a_failure(module, monkeypatch):
    """As where its memory runs out at its first step: nobody waits for ever, and the next caller has another try."""
    lazy = LazyImport(module, lambda imported: imported.VALUE)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "run", lambda _: None)
        with pytest.raises(MemoryError):
            await lazy.get()

    assert 5 == await lazy.get()
