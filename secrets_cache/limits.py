"""
What the system lets this process have: no core dump, and as many descriptors as it gives.

Rules
-----
1. Nothing slow is imported here: the limits are set right after the registration, before anything is secret.
2. A limit that cannot be changed is lived with.
"""

import contextlib
import resource

# More connections than these descriptors allow would cost memory that a function has better uses for.
MAX_DESCRIPTORS = 4096
# For AWS, the Extensions API, libraries' files: whoever calls must not take them.
KEPT_DESCRIPTORS = 128


def set_limits() -> None:
    """Forbid core dumps, which are memory on a disk; allow as many open descriptors as can be had and used."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def max_connections() -> int:
    """Return how many callers' connections may be open at once: some descriptors are kept for everything else."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    descriptors = MAX_DESCRIPTORS if soft == resource.RLIM_INFINITY else min(soft, MAX_DESCRIPTORS)
    return max(descriptors - KEPT_DESCRIPTORS, descriptors // 2, 1)
