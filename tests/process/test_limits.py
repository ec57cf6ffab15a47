"""The limits of the process, each set in a process of its own."""

import json
import subprocess
import sys

import pytest

from secrets_cache.system.limits import MAX_DESCRIPTORS, RESERVED_DESCRIPTORS

CODE = """
import ctypes, json, resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from secrets_cache.system import limits
limits.set_limits()
print(json.dumps([
    resource.getrlimit(resource.RLIMIT_CORE), resource.getrlimit(resource.RLIMIT_NOFILE), limits.find_max_connections(),
    ctypes.CDLL(None).prctl(3),
]))
"""


def read_limits(soft: int, hard: int) -> list[object]:
    """Return core and descriptor limit, room for connections and PR_GET_DUMPABLE of a process that began so."""
    code = CODE.format(soft=soft, hard=hard)
    found: list[object] = json.loads(
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    )
    return found


@pytest.mark.parametrize(
    ("soft", "hard", "raised"),
    [
        (512, 1024, 1024),
        (1024, 1024, 1024),
        (100, 10_000, MAX_DESCRIPTORS),
        (5_000, 10_000, 5_000),
    ],
)
def test_the_limit_of_descriptors_is_raised_as_far_as_it_is_useful(soft, hard, raised):
    """The soft limit is raised to the hard one, or to what connections may use; it is never lowered."""
    core, descriptors, room, dumpable = read_limits(soft, hard)

    assert [0, 0] == core
    assert 0 == dumpable
    assert [raised, hard] == descriptors
    assert min(raised, MAX_DESCRIPTORS) - RESERVED_DESCRIPTORS == room


def test_few_descriptors_are_shared_between_callers_and_the_rest():
    """Half of them each, if what is kept by rule would leave none."""
    assert 32 == read_limits(64, 64)[2]


def test_a_program_after_execve_is_dumpable_again():
    """Of all this only the limits live through execve, and no runtime is ever started from here."""
    code = (
        "import os, sys; from secrets_cache.system.limits import set_limits; set_limits(); "
        "os.execv(sys.executable, [sys.executable, '-c', 'import ctypes; print(ctypes.CDLL(None).prctl(3))'])"
    )
    assert b"1\n" == subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout


@pytest.mark.parametrize("broken", ["raise ImportError", "dlopen = dlsym = None", "def dlopen(*_): raise OSError"])
def test_without_ctypes_core_dumps_as_files_are_still_forbidden(tmp_path, broken):
    """An interpreter may lack ctypes, or the C library its functions."""
    (tmp_path / "_ctypes.py").write_text(broken)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import resource; from secrets_cache.system import limits; "
        "limits.set_limits(); print(resource.getrlimit(resource.RLIMIT_CORE))"
    )
    assert b"(0, 0)\n" == subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
