"""
The limits of the process: no core dump, memory that no other process reads, enough descriptors.

Rules
-----
1. Nothing slow is imported: the limits are set right after the registration, before there is any secret in memory.
2. A limit that cannot be changed stays as it is; that is no error.
"""

import contextlib
import resource

# prctl(2).
PR_SET_DUMPABLE = 4

# More connections than this allows would cost memory that the function needs.
MAX_DESCRIPTORS = 4096
# Kept for AWS, the Extensions API and files: callers must not use these up.
RESERVED_DESCRIPTORS = 128


def set_limits() -> None:
    """
    Forbid core dumps and reading this process's memory; raise the limit of open descriptors, up to `MAX_DESCRIPTORS`.

    A core dump would write secrets to a disk. Reading the memory is forbidden to processes of the same user as well.
    """
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _make_undumpable()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < target:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))


def _make_undumpable() -> None:
    """
    Forbid what RLIMIT_CORE does not: a dump that the system pipes to a program, and /proc/PID/mem for the same user.

    `execve` undoes it, so nothing that this process becomes is affected. See docs/adr/0010-not-dumpable.md.
    """
    # core(5): the limit does not count for a pipe; and the function's code runs as the same user.
    with contextlib.suppress(ImportError, OSError, AttributeError, TypeError):
        # CPython's own part of `ctypes`, which takes ten times as long to import; the standard library has no prctl.
        import _ctypes  # noqa: PLC0415 - not every interpreter has it

        library = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]
        prctl = _ctypes.dlsym(library, "prctl")
        _ctypes.call_function(prctl, (PR_SET_DUMPABLE, 0, 0, 0, 0))


def find_max_connections() -> int:
    """Return how many connections of callers may be open at once, so that some descriptors are left for the rest."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    descriptors = MAX_DESCRIPTORS if soft == resource.RLIM_INFINITY else min(soft, MAX_DESCRIPTORS)
    return max(descriptors - RESERVED_DESCRIPTORS, descriptors // 2, 1)
