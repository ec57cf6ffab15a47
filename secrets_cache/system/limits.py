"""
What the system lets this process have: no core dump, memory of its own, and as many descriptors as it gives.

Rules
-----
1. Nothing slow is imported here: the limits are set right after the registration, before anything is secret.
2. A limit that cannot be changed is lived with.
"""

import contextlib
import resource

# prctl(2).
PR_SET_DUMPABLE = 4

# More connections than these descriptors allow would cost memory that a function has better uses for.
MAX_DESCRIPTORS = 4096
# For AWS, the Extensions API, libraries' files: whoever calls must not take them.
KEPT_DESCRIPTORS = 128


def set_limits() -> None:
    """
    Keep to ourselves what is in our memory; allow as many open descriptors as can be had and used.

    No core dump, which is memory on a disk, and no look at our memory for whoever runs as the same user.
    """
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _make_undumpable()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _make_undumpable() -> None:
    """
    Take away what the limit leaves: a dump that the system pipes to a program, and /proc/PID/mem for our own user.

    `execve` gives it back, so that nothing we start is touched by it. docs/adr/0010-not-dumpable.md has the reasons.
    """
    # What it is without: core(5) has no limit for a pipe, and the function's code runs as the same user.
    with contextlib.suppress(ImportError, OSError, AttributeError, TypeError):
        # CPython's own part of `ctypes`, whose import takes ten times as long; the standard library has no prctl.
        import _ctypes  # noqa: PLC0415 - not every interpreter has it

        library = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]
        prctl = _ctypes.dlsym(library, "prctl")
        _ctypes.call_function(prctl, (PR_SET_DUMPABLE, 0, 0, 0, 0))


def max_connections() -> int:
    """Return how many callers' connections may be open at once: some descriptors are kept for everything else."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    descriptors = MAX_DESCRIPTORS if soft == resource.RLIM_INFINITY else min(soft, MAX_DESCRIPTORS)
    return max(descriptors - KEPT_DESCRIPTORS, descriptors // 2, 1)
