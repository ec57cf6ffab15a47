"""Modules from one file."""

import importlib
import marshal
import sys
from pathlib import Path

import pytest

from secrets_cache.system.bundle import Bundle

SOURCES = {
    "bundled": ("bundled/__init__.pyc", "VALUE = 1"),
    "bundled.part": ("bundled/part.pyc", "from bundled import VALUE as IMPORTED\nfrom . import loose"),
}


def write(file: Path, version: int = sys.hexversion, sources: dict[str, tuple[str, str]] = SOURCES) -> str:
    """Write a file as the layer's build does; return its path."""
    codes = {name: marshal.dumps(compile(source, place, "exec")) for name, (place, source) in sources.items()}
    index, left = {}, sum(map(len, codes.values()))
    for name, code in codes.items():
        index[name] = sources[name][0], left, len(code)
        left -= len(code)
    file.write_bytes(marshal.dumps((version, index)) + b"".join(codes.values()))
    return str(file)


@pytest.fixture(autouse=True)
def _forgotten():
    """Forget afterwards what was imported."""
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "bundled"]:
        del sys.modules[name]


def test_a_module_is_imported_from_the_file_as_from_its_place(tmp_path):
    """It knows its place; what the file does not have comes from there; later, everything does."""
    package = tmp_path / "bundled"
    package.mkdir()
    (package / "loose.py").write_text("LOOSE = 2\n", "utf-8")
    with Bundle(write(tmp_path / "start.bundle")):
        part = importlib.import_module("bundled.part")

    assert (1, 2) == (part.IMPORTED, part.loose.LOOSE)
    assert str(package / "part.pyc") == part.__file__
    assert [str(package)] == sys.modules["bundled"].__path__
    assert ("bundled.part", "bundled") == (part.__name__, part.__package__)
    with pytest.raises(ImportError):
        importlib.reload(part)


def test_a_module_that_raises_is_tried_again(tmp_path, monkeypatch):
    """Nothing of the first try is left."""
    failing = {"bundled": ("bundled/__init__.pyc", "import os\nif 'READY' not in os.environ: raise MemoryError")}
    with Bundle(write(tmp_path / "start.bundle", sources=failing)):
        with pytest.raises(MemoryError):
            importlib.import_module("bundled")
        monkeypatch.setenv("READY", "1")
        assert importlib.import_module("bundled").__file__ == str(tmp_path / "bundled" / "__init__.pyc")


@pytest.mark.parametrize("state", ["missing", "empty", "damaged", "of another Python"])
def test_without_a_file_of_this_python_all_comes_from_its_place(tmp_path, state):
    """Byte code of another version would do anything at all."""
    file = tmp_path / "start.bundle"
    if state == "of another Python":
        write(file, version=sys.hexversion - 1)
    elif state != "missing":
        file.write_bytes({"empty": b"", "damaged": b"raise SystemExit(1)"}[state])
    with Bundle(str(file)), pytest.raises(ModuleNotFoundError):
        importlib.import_module("bundled")


def test_nothing_is_left_of_it_where_an_import_fails(tmp_path):
    """No finder, and the file is closed."""
    before = list(sys.meta_path)
    with pytest.raises(ModuleNotFoundError), Bundle(write(tmp_path / "start.bundle")):
        importlib.import_module("bundled.nothing")

    assert before == sys.meta_path
