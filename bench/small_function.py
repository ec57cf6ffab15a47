"""
The first answer to a request for something that is not listed, on 7.2 % of a core: the share of a function of 128 MB.

The start is not limited, as Lambda's init is not: a control group takes the process once it waits for events.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.client import ask_once, request
from bench.cold_start import wait_for_call
from bench.processes import EXTENSION, MEASURING_CORE, Child, on_core
from bench.rows import Row, measured, no_more_than
from bench.setting import PORT, Setting
from bench.setups import ROLE
from bench.stubs.answers import TOKEN

QUOTA_US, PERIOD_US = 7_200, 100_000
GROUPS = Path("/sys/fs/cgroup")
AWS_PORT = 2773
# A time-out would cut what is measured.
CONFIG = 'allow: ["secret-*", "arn:aws:ssm:*"]\nfetch_timeout: 30s'
PARAMETER_ARN = "arn:aws:ssm:eu-west-1:123456789012:parameter/app/parameter-1"


@dataclass(frozen=True, slots=True)
class Case:
    """What is requested first, and the budget in ms."""

    key: str
    what: str
    path: str
    port: int = AWS_PORT
    limit: float = 500


CASES = (
    Case("small_secret", "a secret", "/cache/secret-1", PORT),
    Case("small_parameter", "a parameter", f"/cache/{PARAMETER_ARN}", PORT),
    Case("small_secret_aws", "a secret, AWS's protocol", "/secretsmanager/get?secretId=secret-1"),
    Case("small_parameter_aws", "a parameter, AWS's protocol", "/systemsmanager/parameters/get?name=/app/parameter-1"),
    Case("small_role", "a secret by a role", f"/secretsmanager/get?secretId=secret-1&roleArn={ROLE}", limit=800),
)


def rows(setting: Setting) -> list[Row]:
    """Measure, interleaved; return the rows."""
    took: dict[str, list[float]] = {case.key: [] for case in CASES}
    with limited_group() as group, on_core(MEASURING_CORE):
        for _ in setting.rounds(5, 1):
            for case in CASES:
                took[case.key].append(_first_answer(setting, case, group))
    return [
        measured(
            case.key, f"first answer on 7.2 % of a core: {case.what}", took[case.key], budget=no_more_than(case.limit)
        )
        for case in CASES
    ]


@contextlib.contextmanager
def limited_group() -> Iterator[Path]:
    """Make a control group with the share of a core; give the file that a process id is written to (cgroups(7))."""
    is_unified = (GROUPS / "cgroup.controllers").exists()
    group = (GROUPS if is_unified else GROUPS / "cpu") / f"secrets-cache-bench-{os.getpid()}"
    limits = {"cpu.cfs_period_us": f"{PERIOD_US}", "cpu.cfs_quota_us": f"{QUOTA_US}"}
    if is_unified:
        limits = {"cpu.max": f"{QUOTA_US} {PERIOD_US}"}
        (GROUPS / "cgroup.subtree_control").write_text("+cpu", "ascii")
    group.mkdir()
    try:
        for name, limit in limits.items():
            (group / name).write_text(limit, "ascii")
        yield group / "cgroup.procs"
    finally:
        group.rmdir()


def _first_answer(setting: Setting, case: Case, group: Path) -> float:
    """Return how long the first answer took, in ms."""
    environ = setting.environ(CONFIG, {"PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(AWS_PORT)}, secrets=0)
    content = request(case.path, f"X-Aws-Parameters-Secrets-Token: {TOKEN}")
    setting.api.ask()
    with Child(EXTENSION, environ) as child:
        child.wait_until_ready()
        wait_for_call(setting.api, "/event/next")
        group.write_text(str(child.pid), "ascii")
        began = time.monotonic_ns()
        ask_once(case.port, content)
        return (time.monotonic_ns() - began) / 1e6
