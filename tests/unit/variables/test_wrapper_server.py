"""When the extension expects a wrapper. The two as processes: tests/process/test_wrapper_server.py."""

import pytest

from secrets_cache.variables.wrapper_server import expects_wrapper

WRAPPER = "/opt/get-secrets-layer"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"AWS_LAMBDA_EXEC_WRAPPER": "/opt/other"}, False),
        ({"AWS_LAMBDA_EXEC_WRAPPER": WRAPPER}, True),
        ({"AWS_LAMBDA_EXEC_WRAPPER": WRAPPER, "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"}, True),
        ({"AWS_LAMBDA_EXEC_WRAPPER": "/opt/a", "SECRETS_CACHE_NEXT_WRAPPER": "/b:/c/get-secrets-layer"}, True),
        ({"AWS_LAMBDA_EXEC_WRAPPER": WRAPPER, "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}, False),
    ],
)
def test_a_wrapper_is_expected_where_it_is_named(environ, expected):
    """Under SnapStart nothing is fetched before it asks."""
    assert expected == expects_wrapper(environ)
