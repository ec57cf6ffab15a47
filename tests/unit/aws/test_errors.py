"""What AWS's errors mean."""

import pytest

from secrets_cache.aws.errors import (
    MAX_MESSAGE,
    classify,
    is_about_key,
    is_about_permission,
    make_malformed,
    make_unanswered,
)
from secrets_cache.core.retry import RetryableError
from secrets_cache.errors import SecretError, SecretNotFound, SecretRefused, VersionNotFound
from tests.support.fakes import CANARY


def meant(
    code: str, status: int = 400, message: str = "", hidden: tuple[str, ...] = ()
) -> SecretError | RetryableError:
    """Return what an error answer means."""
    return classify("db", status=status, code=code, message=message, hidden=hidden)


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "ParameterNotFound", "ParameterVersionNotFound"])
def test_not_found_is_definite(code):
    """It keeps AWS's code, which says of what."""
    error = meant(code)

    assert isinstance(error, SecretNotFound)
    assert code == error.code


NO_SECRET = "Secrets Manager can't find the specified secret."
NO_LABEL = "Secrets Manager can't find the specified secret value for staging label: AWSPREVIOUS"
NO_VERSION = "Secrets Manager can't find the specified secret value for VersionId: 0"
NO_PARAMETER_VERSION = "Systems Manager could not find version 9 of /x. Verify the version and try again."


@pytest.mark.parametrize(
    ("code", "message", "of_a_version"),
    [
        ("ResourceNotFoundException", NO_SECRET, False),
        ("ResourceNotFoundException", NO_LABEL, True),
        ("ResourceNotFoundException", NO_VERSION, True),
        ("ResourceNotFoundException", "no secret stagingLabel/versionId", False),
        ("ParameterNotFound", "", False),
        ("ParameterVersionNotFound", NO_PARAMETER_VERSION, True),
    ],
)
def test_what_was_not_found_is_what_aws_says_was_not_found(code, message, of_a_version):
    """The secret or one version of it, in AWS's own words."""
    error = meant(code, message=message)

    assert isinstance(error, SecretNotFound)
    assert (of_a_version, message) == (isinstance(error, VersionNotFound), error.aws_message)
    assert str(error).endswith(message.removesuffix("."))


@pytest.mark.parametrize("code", ["ThrottlingException", "ExpiredTokenException"])
def test_awss_own_words_are_in_a_failure_that_may_pass(code):
    """It has a reason, too."""
    error = meant(code, message="Rate exceeded\nby you")

    assert isinstance(error, RetryableError)
    assert str(error.error).endswith(": Rate exceeded by you")


def test_a_server_that_fails_is_not_told_in_its_own_words():
    """It may say anything."""
    error = meant("InternalServiceError", 500, CANARY)

    assert isinstance(error, RetryableError)
    assert "secret 'db' is unavailable: AWS answered with status 500" == str(error.error)


def test_a_signature_that_expired_is_not_told_in_awss_words():
    """AWS may repeat everything that was signed."""
    error = meant("InvalidSignatureException", message=f"Signature expired: {CANARY}")

    assert isinstance(error, RetryableError)
    assert CANARY not in str(error.error)


@pytest.mark.parametrize(
    ("code", "status", "message", "at_once", "throttled", "said"),
    [
        ("ThrottlingException", 400, "", False, True, "AWS is throttling the calls of this account"),
        ("New", 429, "", False, True, "AWS is throttling the calls of this account"),
        ("InternalServiceError", 500, "", False, False, "AWS answered with status 500"),
        ("", 503, "", False, False, "AWS answered with status 503"),
        ("RequestTimeout", 400, "", False, False, "AWS answered with status 400"),
        ("RequestExpired", 400, "", True, False, "AWS rejected the signature as too old or too new"),
        ("InvalidSignatureException", 400, "Signature expired: x", True, False, "signature as too old or too new"),
        ("SignatureDoesNotMatch", 403, "Signature not yet current: x", True, False, "too old or too new"),
        ("ExpiredTokenException", 400, "", True, False, "the AWS credentials have expired"),
        ("", 403, "<html>", False, False, "the endpoint answered with status 403, but not as AWS does"),
        ("400", 400, "", False, False, "the endpoint answered with status 400, but not as AWS does"),
        ("Brand New", 400, "", False, False, "but not as AWS does"),
    ],
)
def test_a_failure_that_may_pass(code, status, message, at_once, throttled, said):
    """It says when the next attempt makes sense, and nothing of what came."""
    error = meant(code, status, message)

    assert isinstance(error, RetryableError)
    assert (at_once, throttled) == (error.at_once, error.error.is_throttled)
    assert said in str(error.error)


def test_anything_else_is_a_refusal_in_awss_words():
    """Shortened, and in one line."""
    error = meant("AccessDeniedException", message="no\n  permission " + "x" * 400)

    assert isinstance(error, SecretRefused)
    assert ("AccessDeniedException", 300) == (error.code, len(error.aws_message))
    assert error.aws_message.startswith("no permission xx")
    assert error.aws_message.endswith("x")
    assert "x…x" in error.aws_message
    assert "[...]" not in getattr(meant("X", message="x" * 300), "aws_message", "[...]")


def test_a_wrong_signature_is_not_told_in_awss_words():
    """AWS repeats everything that was signed, the session token included."""
    error = meant("InvalidSignatureException", message=f"The string to sign was {CANARY}")

    assert "AWS refused secret 'db' with InvalidSignatureException: check AWS_SECRET_ACCESS_KEY" == str(error)


def test_credentials_are_hidden():
    """In a message they are left out; a code with one in it is none of AWS's."""
    assert "got ... only" == getattr(meant("X", message=f"got {CANARY} only", hidden=("", CANARY)), "aws_message", "")
    assert isinstance(meant(CANARY, hidden=(CANARY,)), RetryableError)


@pytest.mark.parametrize(
    ("code", "message", "about_permission", "about_key"),
    [
        ("AccessDeniedException", "not authorized to perform: secretsmanager:GetSecretValue", True, False),
        ("AccessDeniedException", "Access to KMS is not allowed", False, True),
        ("AccessDenied", "not authorized to perform: kms:Decrypt", False, True),
        ("DecryptionFailure", "", False, True),
        ("InvalidRequestException", "", False, False),
    ],
)
def test_what_a_refusal_is_about(code, message, about_permission, about_key):
    """The code does not always tell the secret from its key; the words do."""
    error = SecretRefused("db", code=code, aws_message=message)

    assert (about_permission, about_key) == (is_about_permission(error), is_about_key(error))


def test_a_call_without_an_answer():
    """Only a connection that AWS has closed is tried again at once: it was too old."""
    assert [True, False] == [make_unanswered("db", code).at_once for code in ("connection-closed", "timeout")]
    assert "secret 'db' is unavailable: AWS's answer is not in the documented form" == str(make_malformed("db").error)


def test_a_long_message_keeps_its_beginning_and_its_end():
    """AWS says at the end which policy is missing. A mark stands for what is left out."""
    said = getattr(
        meant("X", message=f"User: {'x' * 400} because no identity-based policy allows it"), "aws_message", ""
    )

    assert MAX_MESSAGE == len(said)
    assert said.startswith("User: xxx")
    assert said.endswith("because no identity-based policy allows it")
    assert "…" in said
