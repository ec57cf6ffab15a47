"""asyncio without what only other programs need: the same names, most of them imported later."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from secrets_cache.system.light_asyncio import HOMES
from tools.emulator import ROOT

# Modules that a start does not import.
LIBRARIES = {"aws/aiobotocore.py", "server/aiohttp.py", "server/aiohttp_parser.py"}
PATHS = [str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))]
LIGHT = f"""
import sys
sys.path += {PATHS!r}
from secrets_cache.system import light_asyncio
light_asyncio.install()
import asyncio
"""


def run(code: str, before: str = LIGHT) -> str:
    """Run code in a new interpreter that has imported nothing yet; return what it prints."""
    command = [sys.executable, "-I", "-S", "-W", "error", "-c", before + code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_program_that_uses_known_names_imports_no_more():
    """Neither the rest of asyncio nor what shows errors."""
    code = """
async def main():
    event, queue = asyncio.Event(), asyncio.Queue()
    async with asyncio.timeout(5), asyncio.Lock(), asyncio.Semaphore(1):
        task = asyncio.create_task(queue.get())
        queue.put_nowait(event)
        await asyncio.wait({task}, timeout=5)
        await asyncio.gather(asyncio.shield(task), asyncio.sleep(0))
    return task.result() is event

print(asyncio.SelectorEventLoop().run_until_complete(main()))
others = {"asyncio.streams", "asyncio.subprocess", "dataclasses", "ast", "inspect", "subprocess", "traceback"}
print({name: type(sys.modules[name]).__name__ for name in sorted(others & set(sys.modules))})
"""
    lazy = "{'inspect': '_LazyModule', 'subprocess': '_LazyModule', 'traceback': '_LazyModule'}"
    assert run(code).splitlines() == ["True", lazy]


def test_any_other_name_imports_the_whole_package():
    """With all its names, as if it had been imported as usual."""
    names = "print(*sorted(name for name in dir(asyncio) if not name.startswith('_')))"
    whole = run(names, before="import asyncio\n")

    assert run(f"asyncio.TaskGroup\n{names}") == whole
    assert run(f"from asyncio import TaskGroup\n{names}") == whole
    assert run(f"from asyncio import *\n{names}") == whole
    assert run("print(type(asyncio.run).__name__, type(asyncio).__name__)") == "function module"


def test_a_module_of_it_is_imported_by_its_name():
    """As attribute, by `from` and by `import`; and a name that there is nowhere is an AttributeError."""
    assert run("print(asyncio.subprocess.PIPE)") == "-1"
    assert run("from asyncio import subprocess; print(subprocess.PIPE)") == "-1"
    assert run("import asyncio.streams; print(asyncio.streams.StreamReader.__name__)") == "StreamReader"
    assert run("print(hasattr(asyncio, 'nothing'), hasattr(asyncio, '__nothing__'))") == "False False"


def test_what_shows_errors_is_imported_when_an_error_is_shown():
    """Then it is as complete as ever."""
    code = """
import inspect, traceback
try:
    asyncio.get_running_loop()
except RuntimeError:
    print(traceback.format_exc().splitlines()[-1], inspect.iscoroutinefunction(asyncio.sleep))
loop = asyncio.SelectorEventLoop()
loop.set_debug(True)
print(len(loop.create_future()._source_traceback) > 0, sys.modules['traceback'] is not traceback)
"""
    assert run(code).splitlines() == ["RuntimeError: no running event loop True", "True True"]


def test_a_callback_that_fails_is_reported_where_nothing_can_be_imported():
    """The loop goes on; the failure of an import would be its own, and hide what happened."""
    code = """
import functools
loop = asyncio.SelectorEventLoop()
class NoMemory:
    @staticmethod
    def find_spec(name, *_):
        raise MemoryError
sys.meta_path.insert(0, NoMemory)
seen = []
def fail():
    raise KeyError
loop.set_exception_handler(lambda _, context: seen.append(type(context["exception"]).__name__))
for callback in (fail, functools.partial(fail), [].index):
    loop.call_soon(callback)
loop.call_soon(loop.stop)
loop.run_forever()
print(*seen)
"""
    assert run(code) == "KeyError KeyError TypeError"


def test_what_stands_in_for_a_module_does_as_it_does():
    """Also with a function that wraps another one."""
    code = """
import functools, inspect
light = inspect.unwrap, inspect.isfunction
inspect.signature
import inspect
wrapped = functools.wraps(run := lambda: 1)(lambda: 2)
for thing in (run, wrapped, int, len, asyncio.Event().set, functools.partial(run), functools.partial(wrapped)):
    assert inspect.unwrap(thing) is light[0](thing), thing
    assert inspect.unwrap(thing, stop=callable) is light[0](thing, stop=callable), thing
    assert inspect.isfunction(thing) is light[1](thing), thing
print(light[0] is not inspect.unwrap)
"""
    assert run(code) == "True"


def test_threads_may_need_the_same_module_at_once():
    """The first thread replaces the light one, and the others find the whole one."""
    code = """
import threading
sys.setswitchinterval(1e-6)
found, failed = [], []
threading.excepthook = failed.append
for _ in range(100):
    for name in ("subprocess", "traceback"):
        lazy = sys.modules[name] = light_asyncio._LazyModule(name, {})
        threads = [threading.Thread(target=lambda lazy=lazy: found.append(lazy.__all__)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
print(len(found), failed)
"""
    assert run(code) == "800 []"


@pytest.mark.parametrize("library", ["aiohttp.web", "aiobotocore.session"])
def test_the_libraries_find_all_that_they_need(library):
    """They are imported later, in a process that has used the light one."""
    code = "asyncio.Event()\nimport importlib\nprint(importlib.import_module(sys.argv[1]).__name__)"
    command = [sys.executable, "-I", "-S", "-c", LIGHT + code, library]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert (library, "") == (done.stdout.strip(), done.stderr)


def test_a_process_can_be_started():
    """What was read of `subprocess` before it was imported is what it has."""
    code = """
async def main():
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "print(5)", stdout=asyncio.subprocess.PIPE)
    return (await process.communicate())[0]

print(asyncio.run(main()), asyncio.subprocess.PIPE == light_asyncio.LAZY["subprocess"]["PIPE"])
"""
    assert run(code) == r"b'5\n' True"


def test_it_has_no_effect_where_asyncio_is_imported_already():
    """Nothing that holds the package may see another one."""
    before = f"import asyncio, sys; whole = asyncio; sys.path += {PATHS!r}\n"
    code = "from secrets_cache.system import light_asyncio; light_asyncio.install(); import asyncio, inspect\n"
    assert run(f"{code}print(asyncio is whole, type(inspect).__name__)", before) == "True module"


def test_every_name_that_a_start_uses_has_its_home():
    """A name without one would import the whole package at every start."""
    known = {name for names in HOMES.values() for name in names}
    used: dict[str, str] = {}
    for path in sorted(Path(ROOT, "secrets_cache").rglob("*.py")):
        if path.relative_to(ROOT / "secrets_cache").as_posix() in LIBRARIES or path.parent.name == "cli":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "asyncio":
                used.setdefault(node.attr, path.name)
            if isinstance(node, ast.ImportFrom) and node.module == "asyncio":
                used.update({alias.name: path.name for alias in node.names})

    assert {} == {name: file for name, file in used.items() if name not in known}
    assert known - {*used} == set()
