"""Errors as problem details: a status and a code for each, with what AWS said."""

import pytest

from secrets_cache.errors import (
    ExtensionsApiError,
    SecretNotFound,
    SecretRefused,
    SecretTimeout,
    SecretUnavailable,
    VersionNotFound,
)
from secrets_cache.server.problems import PROBLEM_TYPES, find_problem_type
from tests.support.fakes import CANARY


@pytest.mark.parametrize(
    ("error", "status", "code", "aws_code"),
    [
        (
            SecretRefused("x", code="AccessDeniedException", aws_message="no"),
            502,
            "upstream-refused",
            "AccessDeniedException",
        ),
        (
            SecretUnavailable("x", code="connection-failed", cause="no"),
            503,
            "upstream-unavailable",
            "connection-failed",
        ),
        (SecretTimeout("x", budget_seconds=5), 504, "upstream-timeout", "timeout"),
        (ZeroDivisionError(CANARY), 503, "upstream-unavailable", "internal-error"),
    ],
)
async def test_what_aws_did_is_told_apart(running, error, status, code, aws_code):
    """A refusal, no answer, no answer in time: each its status, with AWS's code."""
    running.source.error["allowed"] = error

    for _ in range(2):
        details = await running.problem("/cache/allowed")
        assert (status, code, aws_code) == (details["status"], details["code"], details["aws_code"])
    assert 1 == len(running.source.fetched)
    assert ("1" if status in {503, 504} else None) == running.headers.get("Retry-After")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SecretNotFound("x", aws_message="it is not there"), "secret-not-found"),
        (VersionNotFound("x", aws_message="no value for staging label: X"), "version-not-found"),
    ],
)
async def test_not_found_says_what_aws_said(running, error, code):
    """404, with a code for what was missing, and AWS's own words in the detail."""
    running.source.error["allowed"] = error

    details = await running.problem("/cache/allowed")

    assert (404, code) == (details["status"], details["code"])
    assert details["detail"].endswith(f": {error.aws_message}")


async def test_retry_after_says_when_there_will_be_another_try(running):
    """It follows the back-off, rounded up."""
    running.source.error["allowed"] = SecretUnavailable("x", code="x", cause="no")
    for expected in ("1", "2", "4"):
        await running.problem("/cache/allowed")
        assert expected == running.headers["Retry-After"]
        running.clock.tick(float(expected))


def test_every_error_that_can_reach_a_caller_has_its_row():
    """An error without a row is an internal one, and the caller learns nothing of it."""
    assert {400, 404, 502, 503, 504} == {problem.status for problem in PROBLEM_TYPES.values()}
    assert 504 == find_problem_type(SecretTimeout("x", budget_seconds=1)).status
    assert (500, "internal-error") == (
        find_problem_type(ExtensionsApiError("a", "b")).status,
        find_problem_type(ExtensionsApiError("a", "b")).code,
    )
