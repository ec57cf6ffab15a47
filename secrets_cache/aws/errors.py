"""
What AWS's errors mean: a definite refusal, or a failure that may pass.

Rules
-----
1. An error shows AWS's code and message only, and neither holds a credential: AWS, or a server in its place,
   may repeat what it was sent.
2. What AWS said is shown as AWS said it, never replaced by what it probably meant.
3. AWS's words are not parsed, except where one code has two meanings.
"""

import re
from collections.abc import Iterable

from secrets_cache.aws.trust import UnusableBundle
from secrets_cache.core.retry import RetryableError
from secrets_cache.core.text import shorten
from secrets_cache.errors import (
    SecretError,
    SecretNotFound,
    SecretRefused,
    SecretUnavailable,
    VersionNotFound,
    quote_aws,
)

# Of Secrets Manager, and of Parameter Store.
NOT_FOUND = frozenset({"ParameterNotFound", "ResourceNotFoundException"})
VERSION_NOT_FOUND = frozenset({"ParameterVersionNotFound"})
# Secrets Manager has one code for a secret and for its versions. A name holds no space, so none of these is one.
# Patterns that only a failure needs are compiled by the first use.
_OF_A_VERSION = r"(?i)secret value for|staging label:|version ?id:"
THROTTLED = frozenset(
    {
        "LimitExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
PASSING = frozenset(
    {
        "InternalFailure",
        "InternalServiceError",
        "InternalServiceErrorException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
    }
)
EXPIRED_CREDENTIALS = frozenset({"ExpiredToken", "ExpiredTokenException"})
# AWS does not know the key or the token: they were rotated, or are wrong.
REJECTED_CREDENTIALS = frozenset(
    {"InvalidAccessKeyId", "InvalidClientTokenId", "InvalidToken", "UnrecognizedClientException"}
)
EXPIRED_SIGNATURE = frozenset({"RequestExpired", "RequestTimeTooSkewed"})
# One code for two things: the key is wrong, which is definite; the signature has expired, which is not.
WRONG_SIGNATURE = frozenset({"InvalidSignatureException", "SignatureDoesNotMatch"})
DENIED = frozenset({"AccessDenied", "AccessDeniedException"})
DECRYPTION = frozenset({"DecryptionFailure"})
MAX_MESSAGE = 300
BAD_REQUEST = 400
TOO_MANY_REQUESTS = 429
INTERNAL_SERVER_ERROR = 500
ERROR_STATUSES = range(400, 600)
_CODE = r"[A-Za-z0-9._:-]{1,80}"
_EXPIRED = r"expired|not yet current"


NO_CREDENTIALS = "no-credentials"
STILL_EXPIRED = "expired-credentials"
# By our own code, for a call that AWS did not answer.
_CAUSES = {
    NO_CREDENTIALS: "no AWS credentials were found",
    STILL_EXPIRED: "the AWS credentials have expired, and there are no newer ones",
    "no-region": "AWS_REGION is not set",
    "proxy-failed": "the proxy in HTTPS_PROXY could not be used",
    "tls-failed": "the TLS connection to AWS could not be verified",
    "connection-failed": "could not connect to AWS",
    "connection-closed": "AWS closed the connection before it answered",
    "timeout": "AWS accepted the request but did not answer",
}


def make_unanswered(name: str, code: str) -> RetryableError:
    """Return the failure of a call that AWS did not answer. `code` is one of our own codes."""
    # AWS is well, only the connection was too old.
    return RetryableError(SecretUnavailable(name, code=code, cause=_CAUSES[code]), at_once=code == "connection-closed")


def make_malformed(name: str) -> RetryableError:
    """Return the failure of a call whose answer is not in the documented form."""
    cause = "AWS's answer is not in the documented form"
    return RetryableError(SecretUnavailable(name, code="malformed-answer", cause=cause))


def make_unusable_bundle(name: str, error: UnusableBundle) -> RetryableError:
    """Return the failure of a call that was not made, because the certificates to trust cannot be read."""
    cause = f"the certificates in {error.bundle!r} cannot be read ({error.reason}); check the setting that names them"
    return RetryableError(SecretUnavailable(name, code="request-failed", cause=cause))


def classify(
    name: str, *, status: int, code: str, message: str, hidden: Iterable[str] = ()
) -> SecretError | RetryableError:
    """
    Return what an error answer means.

    Args:
        name: The secret that was asked for.
        status: The HTTP status; 0 if it is not known.
        code: AWS's code; empty if there is none.
        message: AWS's message; the same.
        hidden: The credentials that signed the request.
    """
    code = _clean_code(code, hidden)
    is_from_aws = bool(code) and not code.isdigit()
    # A server that fails may say anything, even what it was about to answer.
    has_failed = code in PASSING or status >= INTERNAL_SERVER_ERROR
    said = _clean_message(message, hidden) if is_from_aws and not has_failed else ""
    found = _find_meaning(name, status, code, message, said)
    error = found.error if isinstance(found, RetryableError) else found
    if is_from_aws:
        likely = INTERNAL_SERVER_ERROR if has_failed else BAD_REQUEST
        # 0, or a redirect, is no status of an error.
        error.aws_status = status if status in ERROR_STATUSES else likely
        # AWS's words about a signature repeat everything that was signed, the session token included.
        if code not in WRONG_SIGNATURE:
            error.aws_message = said
    return found


def _find_meaning(name: str, status: int, code: str, message: str, said: str) -> SecretError | RetryableError:
    if code in VERSION_NOT_FOUND or (code in NOT_FOUND and re.search(_OF_A_VERSION, said)):
        return VersionNotFound(name, code=code, aws_message=said)
    if code in NOT_FOUND:
        return SecretNotFound(name, code=code, aws_message=said)
    if code in EXPIRED_SIGNATURE or (code in WRONG_SIGNATURE and re.search(_EXPIRED, message)):
        cause = "AWS rejected the signature as too old or too new; check the clock"
        return RetryableError(SecretUnavailable(name, code=code, cause=cause), at_once=True)
    if code in EXPIRED_CREDENTIALS:
        cause = f"the AWS credentials have expired{quote_aws(said)}"
        return RetryableError(SecretUnavailable(name, code=code, cause=cause), at_once=True)
    if code in THROTTLED or status == TOO_MANY_REQUESTS:
        cause = f"AWS is throttling the calls of this account{quote_aws(said)}"
        throttled = SecretUnavailable(name, code=code or str(status), cause=cause)
        throttled.is_throttled = True
        return RetryableError(throttled)
    if code in PASSING or status >= INTERNAL_SERVER_ERROR:
        cause = f"AWS answered with status {status}"
        return RetryableError(SecretUnavailable(name, code=code or str(status), cause=cause))
    if not code or code.isdigit():
        cause = f"the endpoint answered with status {status}, but not as AWS does"
        return RetryableError(SecretUnavailable(name, code="malformed-answer", cause=cause))
    if code in WRONG_SIGNATURE:
        return SecretRefused(name, code=code, aws_message="check AWS_SECRET_ACCESS_KEY")
    return SecretRefused(name, code=code, aws_message=said)


def is_about_credentials(failure: SecretError | RetryableError) -> bool:
    """Return whether a call failed because of its credentials, so that other ones may be worth a call."""
    if isinstance(failure, RetryableError):
        return failure.error.code in EXPIRED_CREDENTIALS
    if not isinstance(failure, SecretRefused):
        return False
    is_about_token = failure.code in DENIED and "security token" in failure.aws_message
    return failure.code in REJECTED_CREDENTIALS or failure.code in WRONG_SIGNATURE or is_about_token


def may_be_revoked(failure: SecretError | RetryableError) -> bool:
    """Return whether a call was denied as IAM denies a revoked session, so that a newer one may be worth a call."""
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_revoke-sessions.html
    return isinstance(failure, SecretRefused) and failure.code in DENIED and "explicit deny" in failure.aws_message


def is_about_permission(error: SecretRefused) -> bool:
    """Return whether the role lacks the permission to read the secret."""
    return error.code in DENIED and not is_about_key(error)


def is_about_key(error: SecretRefused) -> bool:
    """Return whether the role lacks the permission to use the secret's key. Some codes leave that to the text."""
    text = f"{error.code} {error.aws_message}".lower()
    return error.code in DECRYPTION or "kms:" in text or "access to kms" in text


def _clean_code(code: str, hidden: Iterable[str]) -> str:
    return code if re.fullmatch(_CODE, code) and not any(secret in code for secret in hidden if secret) else ""


def _clean_message(message: str, hidden: Iterable[str]) -> str:
    for secret in filter(None, hidden):
        message = message.replace(secret, "...")
    return shorten(" ".join(message.split()), MAX_MESSAGE)
