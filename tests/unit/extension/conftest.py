"""The client of the Extensions API that the tests of this folder share."""

import pytest

from secrets_cache.extension.extensions_api import ExtensionsApi
from tests.support.lambda_api import LambdaApi


@pytest.fixture(name="client")
def _client(api: LambdaApi) -> ExtensionsApi:
    return ExtensionsApi(api.address, "secrets-cache")
