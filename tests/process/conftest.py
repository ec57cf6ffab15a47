"""The process that these tests start."""

import pytest

from tests.support.command_line import filled_upstream, write_config_file  # noqa: F401 - fixtures
from tests.support.fakes import CANARY
from tests.support.processes import EXTENSION, Process, config


@pytest.fixture(name="start")
def _start(api, upstream, tmp_path):
    """Give a function that makes an extension's process of a configuration; `before` is Python that runs before it."""
    upstream.put("db", CANARY)

    def start(text: str = "secrets: [db]", *, port: int | None = None, before: str = "", **environ: str) -> Process:
        option, code, name = EXTENSION
        environ = {"AWS_LAMBDA_RUNTIME_API": api.address, **config(tmp_path, text), **environ}
        return Process((option, f"{before}\n{code}", name), environ, port=port)

    return start
