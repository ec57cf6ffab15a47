"""Which process runs which test: each test any of them, but for those that share what is expensive or a port."""

from xdist.scheduler import LoadScopeScheduling

# One process runs all tests whose ids begin so. (xdist's own marks for this do not work with pytest 9.2.)
TOGETHER = (
    # A release is built once, a server started once, a module of Terraform parsed once.
    "tests/release/test_release.py",
    "tests/docs/test_examples.py",
    "tests/process/test_completion.py",
    "tests/process/test_get.py",
    "tests/release/test_infrastructure.py",
)


class Scheduling(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types for it
    """Gives each process one test after the other, the largest groups first."""

    def _split_scope(self, nodeid: str) -> str:
        return next((start for start in TOGETHER if nodeid.startswith(start)), nodeid)
