"""What to do about a failure, in words of the place where the program runs."""

import re
from typing import Any

import pytest

from secrets_cache.aws.advice import advise, is_in_lambda
from secrets_cache.aws.errors import _CAUSES, make_unanswered
from secrets_cache.errors import KeyNotFound, SecretRefused
from tests.support.fakes import CANARY

OF_LAMBDA = re.compile("NAT gateway|VPC|execution role|the function")


@pytest.mark.parametrize("code", sorted(_CAUSES))
def test_what_to_do_is_about_where_this_runs(code):
    """Neither the cause nor, elsewhere than in Lambda, the advice speaks of Lambda."""
    error = make_unanswered("db", code).error
    assert not OF_LAMBDA.search(str(error))
    assert not OF_LAMBDA.search(str(advise(error, in_lambda=False)))


@pytest.mark.parametrize(
    ("code", "in_lambda", "said"),
    [
        ("no-credentials", True, "no AWS credentials were found; give the function an execution role"),
        ("no-credentials", False, "no AWS credentials were found; run `aws configure`, or set AWS_PROFILE, or"),
        ("connection-failed", True, "could not connect to AWS; in a VPC, add a NAT gateway or an endpoint"),
        ("connection-failed", False, "could not connect to AWS; check the network, the proxy and AWS_ENDPOINT_URL"),
        ("timeout", True, "did not answer; in a VPC, add a NAT gateway or an endpoint for Secrets Manager"),
        ("timeout", False, "did not answer; check the network, the proxy and AWS_ENDPOINT_URL"),
        ("tls-failed", False, "could not be verified; check AWS_CA_BUNDLE, AWS_ENDPOINT_URL and the proxy"),
        ("proxy-failed", True, "could not be used; check its address, or list AWS's hosts in NO_PROXY"),
        ("expired-credentials", False, "there are no newer ones; log in again"),
        ("no-region", False, "AWS_REGION is not set; set it, or give the profile a region"),
    ],
)
def test_advice_for_each_place(code, in_lambda, said):
    """In Lambda, and everywhere else."""
    assert said in str(advise(make_unanswered("db", code).error, in_lambda=in_lambda))


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"AWS_REGION": "eu-west-1"}, False),
        ({"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001"}, True),
        ({"AWS_LAMBDA_EXEC_WRAPPER": "/opt/get-secrets-layer"}, True),
    ],
)
def test_lambda_sets_variables_that_nothing_else_sets(environ, expected):
    """For an extension, a runtime and a wrapper."""
    assert expected == is_in_lambda(environ)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (
            {"region": "eu-west-1"},
            "could not connect to AWS in eu-west-1; check the network, the proxy and AWS_ENDPOINT_URL",
        ),
        ({"region": "eu-wst-1"}, "to AWS in eu-wst-1; 'eu-wst-1' is not an AWS region (did you mean eu-west-1?)"),
        ({"region": "Ireland"}, "to AWS in Ireland; 'Ireland' is not an AWS region"),
        (
            {"region": "eu-wst-1", "variable": "AWS_ENDPOINT_URL_SSM", "url": "http://localhost:9"},
            "could not connect to http://localhost:9; check AWS_ENDPOINT_URL_SSM and the network",
        ),
        (
            {"variable": "AWS_ENDPOINT_URL", "url": f"http://me:{CANARY}@localhost:9"},
            "could not connect to the endpoint in AWS_ENDPOINT_URL; check AWS_ENDPOINT_URL and the network",
        ),
    ],
)
@pytest.mark.parametrize("times", [1, 2])
def test_where_nobody_answered_is_named(place: dict[str, Any], said, times):
    """A region that hardly exists is what to check. Several secrets may share one error."""
    error = make_unanswered("db", "connection-failed").error
    for _ in range(times):
        advise(error, in_lambda=False, **place)

    assert str(error).endswith(said)


def test_rejected_credentials_are_what_to_check_on_a_machine_of_ones_own():
    """AWS speaks of a security token that nobody has set. In Lambda there is nothing to set."""
    texts = []
    for in_lambda in (False, True):
        error = SecretRefused("db", code="UnrecognizedClientException", aws_message="The token is invalid.")
        texts.append(str(advise(error, in_lambda=in_lambda)))

    refused = "AWS refused secret 'db' with UnrecognizedClientException: The token is invalid"
    assert [f"{refused}; check AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", refused] == texts


def test_of_a_missing_key_there_is_no_advice():
    """AWS has nothing to do with it."""
    assert "" == advise(KeyNotFound("db", "user"), in_lambda=False).advice
