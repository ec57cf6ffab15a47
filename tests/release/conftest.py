"""The account that deploy.sh works on."""

from collections.abc import Iterator

import pytest

from tests.support.aws_cli import Proxy
from tests.support.deploying import Lambda
from tools.emulator import moto_server


@pytest.fixture(scope="module", name="only_account")
def _only_account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lambda]:
    with moto_server() as url, Proxy(url) as proxy:
        yield Lambda(url, proxy, tmp_path_factory.mktemp("deploy"))


@pytest.fixture(name="account")
def _account(only_account: Lambda) -> Iterator[Lambda]:
    """Give the account; each test begins and ends with moto's own answers."""
    yield only_account
    only_account.proxy.change = only_account.proxy.refuse = None
