"""The limits of the process, each set in a process of its own."""

import json
import subprocess
import sys

import pytest

from secrets_cache.limits import KEPT_DESCRIPTORS, MAX_DESCRIPTORS

CODE = """
import json, resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from secrets_cache import limits
limits.set_limits()
print(json.dumps([
    resource.getrlimit(resource.RLIMIT_CORE), resource.getrlimit(resource.RLIMIT_NOFILE), limits.max_connections()
]))
"""


def limits_of(soft: int, hard: int) -> list[object]:
    """Return core limit, descriptor limit and room for connections of a process that began with such limits."""
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
def test_descriptors_are_had_as_far_as_they_are_of_use(soft, hard, raised):
    """The soft limit is raised to the hard one, or to what connections may use; it is never lowered."""
    core, descriptors, room = limits_of(soft, hard)

    assert [0, 0] == core
    assert [raised, hard] == descriptors
    assert min(raised, MAX_DESCRIPTORS) - KEPT_DESCRIPTORS == room


def test_few_descriptors_are_shared_between_callers_and_the_rest():
    """Half of them each, if what is kept by rule would leave none."""
    assert 32 == limits_of(64, 64)[2]
